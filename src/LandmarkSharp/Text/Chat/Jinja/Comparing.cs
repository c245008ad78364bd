namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>What counts as true, equal, smaller and inside: as in Python.</summary>
internal static class Comparing
{
    public static bool Truth(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        TaintedText text => text.Value.Length > 0,
        Items items => items.Kind == ItemsKind.Generator || items.Count > 0,
        Mapping mapping => mapping.Count > 0,
        _ => true,
    };

    public static bool Equal(object? left, object? right)
    {
        Meter.Descend();
        return (left, right) switch
        {
            (null, null) => true,
            (Items a, Items b) => ReferenceEquals(a, b) || (a.Kind == b.Kind && a.Kind is not (ItemsKind.View or ItemsKind.Generator)
                && a.Count == b.Count && Enumerable.Range(0, a.Count).All(i => Equal(a[i], b[i]))),
            (Mapping a, Mapping b) => ReferenceEquals(a, b) || (a.Count == b.Count
                && a.Pairs.All(p => b.TryGet(p.Key, out var other) && Equal(p.Value, other))),
            _ when Numbers.IsNumber(left, out var a) && Numbers.IsNumber(right, out var b) => a == b
                && (!Numbers.IsInteger(left, out var c) || !Numbers.IsInteger(right, out var d) || c == d),
            (Namespace or LoopState, _) => ReferenceEquals(left, right),
            _ => left?.Equals(right) ?? false,
        };
    }

    /// <summary>Whether <c>left operator right</c> holds.</summary>
    public static bool Holds(string name, object? left, object? right) => name switch
    {
        "==" => Equal(left, right),
        "!=" => !Equal(left, right),
        "<" => Order(left, right) < 0,
        "<=" => Order(left, right) is < 0 or 0,
        ">" => Order(left, right) is 1,
        ">=" => Order(left, right) is 0 or 1,
        "in" => Contains(right, left),
        _ => !Contains(right, left),
    };

    /// <summary>−1, 0 or 1, or 2 where a number is none (NaN), for which nothing holds.</summary>
    public static int Order(object? left, object? right)
    {
        Meter.Descend();
        if (Numbers.IsInteger(left, out var c) && Numbers.IsInteger(right, out var d)) return c.CompareTo(d);
        if (Numbers.IsNumber(left, out var a) && Numbers.IsNumber(right, out var b)) return a < b ? -1 : a > b ? 1 : a == b ? 0 : 2;
        return (left, right) switch
        {
            (TaintedText x, TaintedText y) => Order(x.Value, y.Value),
            (Items { Kind: ItemsKind.List or ItemsKind.Tuple } x, Items y) when x.Kind == y.Kind => Order(x, y),
            (Undefined undefined, _) => throw JinjaException.Failed(undefined.Reason),
            (Items { Kind: ItemsKind.View }, Items { Kind: ItemsKind.View }) => throw JinjaException.Unsupported("an order of dictionaries' views"),
            (_, Undefined undefined) => throw JinjaException.Failed(undefined.Reason),
            _ => throw JinjaException.Failed($"{Python.TypeName(left)} and {Python.TypeName(right)} have no order"),
        };
    }

    private static int Order(Items left, Items right)
    {
        for (var i = 0; i < Math.Min(left.Count, right.Count); i++)
            if (!Equal(left[i], right[i])) return Order(left[i], right[i]);
        return left.Count.CompareTo(right.Count);
    }

    // By code point: surrogates stand for characters above all others.
    private static int Order(string left, string right)
    {
        for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            if (left[i] == right[i]) continue;
            var (a, b) = (char.IsSurrogate(left[i]), char.IsSurrogate(right[i]));
            return a == b ? left[i] < right[i] ? -1 : 1 : a ? 1 : -1;
        }
        return left.Length.CompareTo(right.Length);
    }

    private static bool Contains(object? whole, object? part) => (whole, part) switch
    {
        (TaintedText text, TaintedText inner) => text.Value.Contains(inner.Value, StringComparison.Ordinal),
        (Mapping mapping, _) => Access.HashableKey(part) is { } key && mapping.TryGet(key, out _),
        (Items items, _) => items.Read().Any(item => Equal(item, part)),
        (Undefined, _) => false,
        _ => throw JinjaException.Failed($"{Python.TypeName(part)} cannot be looked for in {Python.TypeName(whole)}"),
    };
}
