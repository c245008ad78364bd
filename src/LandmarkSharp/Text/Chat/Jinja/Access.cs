namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>
/// Attributes, items and iteration. What is not there is undefined, not an error; but what is undefined has no attributes
/// and no items. <c>a.b</c> finds a method before a key, <c>a['b']</c> a key before a method.
/// </summary>
internal static class Access
{
    public static object? Attribute(Meter meter, object? owner, string name)
    {
        if (owner is Undefined undefined) throw JinjaException.Failed(undefined.Reason);
        if (owner is IAttributes attributes) return attributes.TryGet(name, out var value) ? value : Missing(owner, $"'{name}'");
        return Methods.Find(meter, owner, name)
            ?? (owner is Mapping mapping && mapping.TryGet(TaintedText.Own(name), out var item) ? item : Missing(owner, $"'{name}'"));
    }

    public static object? Item(Meter meter, object? owner, object? index)
    {
        if (owner is Undefined undefined) throw JinjaException.Failed(undefined.Reason);
        meter.SpendOn(index);
        if (owner is Mapping mapping && Key(index) is { } key && mapping.TryGet(key, out var value)) return value;
        if (Numbers.IsInteger(index, out var place))
        {
            if (owner is Items { Kind: ItemsKind.List or ItemsKind.Tuple or ItemsKind.Range } items)
                return At(items.Count, ref place) ? items[(int)place] : Missing(owner, $"item {place}");
            if (owner is TaintedText text)
            {
                meter.SpendOn(text);
                var starts = text.CharacterStarts();
                if (!At(starts?.Length - 1 ?? text.Value.Length, ref place)) return Missing(owner, $"item {place}");
                return starts is null ? text.Part((int)place, 1) : text.Part(starts[place], starts[place + 1] - starts[place]);
            }
        }
        if (index is not TaintedText name) return Missing(owner, $"item under {Python.TypeName(index)}");
        if (owner is IAttributes attributes && attributes.TryGet(name.Value, out var attribute)) return attribute;
        return Methods.Find(meter, owner, name.Value) ?? Missing(owner, $"'{name.Value}'");
    }

    /// <summary>A value as a dictionary's key, or null where no dictionary here has such a key.</summary>
    public static object? Key(object? value) => value is TaintedText or long or double or bool ? value : null;

    /// <summary>The same, where looking for a list or dictionary is an error.</summary>
    public static object? HashableKey(object? value) => value switch
    {
        Mapping or Items { Kind: ItemsKind.List or ItemsKind.View } => throw JinjaException.Failed($"{Python.TypeName(value)} is no key"),
        Items { Kind: ItemsKind.Tuple } => throw JinjaException.Unsupported("a tuple as a key"),
        _ => Key(value),
    };

    /// <summary>All that going through a value gives: characters, items, keys.</summary>
    public static IReadOnlyList<object?> Iterate(Meter meter, object? value)
    {
        meter.SpendOn(value);
        return value switch
        {
            Items items => items.Read(),
            Mapping mapping => mapping.Keys,
            TaintedText text => text.Characters(),
            Undefined => [],
            _ => throw JinjaException.Failed($"{Python.TypeName(value)} has nothing to go through"),
        };
    }

    private static bool At(int count, ref long place)
    {
        if (place < 0) place += count;
        return place >= 0 && place < count;
    }

    private static Undefined Missing(object? owner, string what) => new($"{Python.TypeName(owner)} has no {what}");
}
