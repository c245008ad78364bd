namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The arguments of a call, taken in the order of the parameters; whatever is called says at the end that it took all.</summary>
internal sealed class Arguments(string callee, Meter meter, IReadOnlyList<object?> positional, IReadOnlyList<KeyValuePair<string, object?>> named)
{
    private readonly HashSet<string> taken = new(StringComparer.Ordinal);
    private int next;

    public Meter Meter => meter;

    public string Callee => callee;

    /// <summary>How many were given.</summary>
    public int Count => positional.Count + named.Count;

    /// <summary>How many positional ones are not yet taken.</summary>
    public int Left => positional.Count - next;

    /// <summary>The next parameter's argument, by its place or its name; false where it was not given.</summary>
    public bool TryTake(string name, out object? value)
    {
        value = null;
        foreach (var (given, with) in named)
        {
            if (given != name) continue;
            if (next < positional.Count) throw JinjaException.Failed($"{callee} is given '{name}' twice");
            taken.Add(name);
            value = with;
            return true;
        }
        if (next >= positional.Count) return false;
        value = positional[next++];
        return true;
    }

    public object? Required(string name) => TryTake(name, out var value) ? value : throw JinjaException.Failed($"{callee} needs '{name}'");

    public object? Optional(string name, object? otherwise = null) => TryTake(name, out var value) ? value : otherwise;

    public bool Flag(string name, bool otherwise = false) => TryTake(name, out var value) ? Comparing.Truth(value) : otherwise;

    public TaintedText Text(string name) => Required(name) as TaintedText ?? throw Wrong(name, "a string");

    /// <summary>A string, or null where it was not given or is none.</summary>
    public TaintedText? OptionalText(string name) => Optional(name) switch
    {
        null => null,
        TaintedText text => text,
        _ => throw Wrong(name, "a string"),
    };

    public int Integer(string name, int otherwise) => Optional(name, (long)otherwise) is { } value && Numbers.IsInteger(value, out var number)
        ? (int)Math.Clamp(number, int.MinValue, int.MaxValue) : throw Wrong(name, "a whole number");

    /// <summary>The positional arguments that are left.</summary>
    public IReadOnlyList<object?> Rest()
    {
        var rest = positional.Skip(next).ToArray();
        next = positional.Count;
        return rest;
    }

    /// <summary>The arguments by name that are left.</summary>
    public IReadOnlyList<KeyValuePair<string, object?>> NamedRest()
    {
        var rest = named.Where(a => !taken.Contains(a.Key)).ToArray();
        taken.UnionWith(rest.Select(a => a.Key));
        return rest;
    }

    /// <summary>Refuses what nobody took.</summary>
    public Arguments Done()
    {
        if (next < positional.Count) throw JinjaException.Failed($"{callee} is given {positional.Count} arguments, more than it takes");
        foreach (var (name, _) in named)
            if (!taken.Contains(name)) throw JinjaException.Failed($"{callee} has no argument '{name}'");
        return this;
    }

    private JinjaException Wrong(string name, string expected) => JinjaException.Failed($"'{name}' of {callee} is not {expected}");
}
