namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>
/// What counts as true, equal, smaller and inside: as in Python. All that is looked at counts as work, for a few lists that
/// hold each other twice have more paths through them than can be gone.
/// </summary>
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

    /// <summary>Whether <c>left operator right</c> holds.</summary>
    public static bool Holds(Meter meter, string name, object? left, object? right) => name switch
    {
        "==" => Equal(meter, left, right),
        "!=" => !Equal(meter, left, right),
        "<" => Order(meter, left, right) < 0,
        "<=" => Order(meter, left, right) is < 0 or 0,
        ">" => Order(meter, left, right) is 1,
        ">=" => Order(meter, left, right) is 0 or 1,
        "in" => Contains(meter, right, left),
        _ => !Contains(meter, right, left),
    };

    public static bool Equal(Meter meter, object? left, object? right)
    {
        Meter.Descend();
        meter.Spend(left is TaintedText text ? text.Value.Length : 1);
        return (left, right) switch
        {
            (Items { Kind: ItemsKind.View }, Items { Kind: ItemsKind.View }) =>
                throw JinjaException.Unsupported("an equality of dictionaries' views"),
            (Items a, Items b) => ReferenceEquals(a, b) || (a.Kind == b.Kind && a.Kind != ItemsKind.Generator
                && a.Count == b.Count && Enumerable.Range(0, a.Count).All(i => Equal(meter, a[i], b[i]))),
            (Mapping a, Mapping b) => ReferenceEquals(a, b) || (a.Count == b.Count
                && a.Pairs.All(p => b.TryGet(p.Key, out var other) && Equal(meter, p.Value, other))),
            _ => EqualAtoms(left, right),
        };
    }

    /// <summary>The same for values that hold no others; true, 1 and 1.0 are equal.</summary>
    public static bool EqualAtoms(object? left, object? right)
    {
        if (Numbers.IsInteger(left, out var a) && Numbers.IsInteger(right, out var b)) return a == b;
        if (Numbers.IsNumber(left, out var x) && Numbers.IsNumber(right, out var y)) return x == y;
        return left is Namespace or LoopState ? ReferenceEquals(left, right) : Equals(left, right);
    }

    /// <summary>−1, 0 or 1, or 2 where a number is none (NaN), for which nothing holds.</summary>
    public static int Order(Meter meter, object? left, object? right)
    {
        Meter.Descend();
        meter.Spend(left is TaintedText text ? text.Value.Length : 1);
        if (Numbers.IsInteger(left, out var c) && Numbers.IsInteger(right, out var d)) return c.CompareTo(d);
        if (Numbers.IsNumber(left, out var a) && Numbers.IsNumber(right, out var b)) return a < b ? -1 : a > b ? 1 : a == b ? 0 : 2;
        return (left, right) switch
        {
            (TaintedText x, TaintedText y) => Order(x.Value, y.Value),
            (Items { Kind: ItemsKind.List or ItemsKind.Tuple } x, Items y) when x.Kind == y.Kind => Order(meter, x, y),
            (Items { Kind: ItemsKind.View }, Items { Kind: ItemsKind.View }) =>
                throw JinjaException.Unsupported("an order of dictionaries' views"),
            (Undefined undefined, _) => throw JinjaException.Failed(undefined.Reason),
            (_, Undefined undefined) => throw JinjaException.Failed(undefined.Reason),
            _ => throw JinjaException.Failed($"{Python.TypeName(left)} and {Python.TypeName(right)} have no order"),
        };
    }

    private static int Order(Meter meter, Items left, Items right)
    {
        for (var i = 0; i < Math.Min(left.Count, right.Count); i++)
            if (!Equal(meter, left[i], right[i])) return Order(meter, left[i], right[i]);
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

    private static bool Contains(Meter meter, object? whole, object? part)
    {
        meter.SpendOn(part);
        return (whole, part) switch
        {
            (TaintedText text, TaintedText inner) => Cutting.Find(meter, text, inner) >= 0,
            (Mapping mapping, _) => Access.HashableKey(part) is { } key && mapping.TryGet(key, out _),
            (Items items, _) => items.Read().Any(item => Equal(meter, item, part)),
            (Undefined, _) => false,
            _ => throw JinjaException.Failed($"{Python.TypeName(part)} cannot be looked for in {Python.TypeName(whole)}"),
        };
    }
}
