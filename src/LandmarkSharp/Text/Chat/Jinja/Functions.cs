namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The functions that every chat template may call.</summary>
internal static class Functions
{
    private const int LongestRange = 100_000;

    /// <summary>The function with this name, or null.</summary>
    public static Function? Find(string name, Meter meter) => name switch
    {
        "raise_exception" => new Function(name, Raise),
        "strftime_now" => new Function(name, arguments =>
        {
            var format = arguments.Text("format");
            arguments.Done();
            return TaintedText.Own(TimeText.Format(meter.Clock.GetLocalNow().DateTime, format.Value));
        }),
        "namespace" => new Function(name, MakeNamespace),
        "dict" => new Function(name, arguments => new Mapping(Pairs(arguments))),
        "range" => new Function(name, Range),
        // Jinja has these names; a template that asks for them means something by it.
        "cycler" or "joiner" or "lipsum" or "caller" or "varargs" or "kwargs" => throw JinjaException.Unsupported($"'{name}'"),
        _ => null,
    };

    private static object? Raise(Arguments arguments)
    {
        var message = Python.Text(arguments.Meter, arguments.Required("message"));
        arguments.Done();
        throw new LandmarkException($"The model's chat template refuses these messages: {message.Value.TrimEnd('.')}; send what it asks for.");
    }

    private static Namespace MakeNamespace(Arguments arguments)
    {
        var space = new Namespace();
        foreach (var (key, value) in Pairs(arguments))
            space[key is TaintedText text ? text.Value : throw JinjaException.Failed("a namespace is given a name that is no string")] = value;
        return space;
    }

    private static IEnumerable<(object Key, object? Value)> Pairs(Arguments arguments)
    {
        var first = arguments.Left == 0 ? [] : arguments.Required("values") switch
        {
            Mapping mapping => mapping.Pairs.Select(p => (p.Key, p.Value)),
            var other => throw JinjaException.Failed($"{arguments.Callee} cannot be made of {Python.TypeName(other)}"),
        };
        var named = arguments.NamedRest().Select(a => ((object)TaintedText.Own(a.Key), a.Value));
        arguments.Done();
        return first.Concat(named);
    }

    private static Items Range(Arguments arguments)
    {
        var numbers = arguments.Rest().Select(a => Numbers.IsInteger(a, out var number)
            ? number : throw JinjaException.Failed($"range is given {Python.TypeName(a)}")).ToArray();
        arguments.Done();
        if (numbers.Length is 0 or > 3) throw JinjaException.Failed($"range is given {numbers.Length} numbers");
        var (from, to) = numbers.Length == 1 ? (0, numbers[0]) : (numbers[0], numbers[1]);
        var by = numbers.Length == 3 ? numbers[2] : 1;
        if (by == 0) throw JinjaException.Failed("range has a step of 0");
        var items = new List<object?>();
        for (Int128 i = from; by > 0 ? i < to : i > to; i += by)
        {
            if (items.Count == LongestRange) throw JinjaException.Unsupported($"a range of more than {LongestRange:N0} numbers");
            items.Add((long)i);
        }
        arguments.Meter.Spend(items.Count);
        return new Items(ItemsKind.Range, items);
    }
}
