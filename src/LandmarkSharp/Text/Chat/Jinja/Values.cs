using System.Diagnostics.CodeAnalysis;

namespace LandmarkSharp.Text.Chat.Jinja;

// The values of templates are Python's: null (None), bool, long, double, TaintedText, and the classes below. None of
// them changes once made, but a namespace: chat templates run in a sandbox that lets nothing else be changed.

/// <summary>What a name, item or attribute that is not there gives: prints as nothing; most other uses are errors.</summary>
internal sealed record Undefined(string Reason)
{
    public bool Equals(Undefined? other) => other is not null;

    public override int GetHashCode() => 0;
}

/// <summary>What sort of sequence: they differ in what can be done with them, and in how they print.</summary>
internal enum ItemsKind
{
    List,
    Tuple,
    Range,

    /// <summary>A dictionary's keys, values or pairs.</summary>
    View,

    /// <summary>What <c>map</c> or <c>select</c> gives: can be gone through once, and has no length.</summary>
    Generator,
}

/// <summary>Values in order.</summary>
internal sealed class Items(ItemsKind kind, IReadOnlyList<object?> values)
{
    private bool spent;

    public ItemsKind Kind => kind;

    public int Count => values.Count;

    public object? this[int index] => values[index];

    /// <summary>The values, for whoever goes through them; a generator has them once.</summary>
    public IReadOnlyList<object?> Read()
    {
        if (spent) return [];
        spent = kind == ItemsKind.Generator;
        return values;
    }

    public static Items List(IReadOnlyList<object?> values) => new(ItemsKind.List, values);

    public static Items Tuple(params IReadOnlyList<object?> values) => new(ItemsKind.Tuple, values);

    public static Items Generator(IReadOnlyList<object?> values) => new(ItemsKind.Generator, values);
}

/// <summary>Keys with their values, in the order they were put in.</summary>
internal sealed class Mapping
{
    private readonly OrderedDictionary<object, object?> values;

    public Mapping(IEnumerable<(object Key, object? Value)> pairs)
    {
        values = new OrderedDictionary<object, object?>(KeyComparer.Instance);
        foreach (var (key, value) in pairs) values[key] = value;
    }

    public int Count => values.Count;

    public IReadOnlyList<object> Keys => values.Keys;

    public IEnumerable<KeyValuePair<object, object?>> Pairs => values;

    public bool TryGet(object key, out object? value) => values.TryGetValue(key, out value);

    /// <summary>The keys and values as tuples.</summary>
    public IReadOnlyList<object?> Tuples() => [.. values.Select(p => Items.Tuple(p.Key, p.Value))];

    // In Python 1, 1.0 and True are one key.
    private sealed class KeyComparer : IEqualityComparer<object>
    {
        public static readonly KeyComparer Instance = new();

        public new bool Equals(object? x, object? y) => Comparing.EqualAtoms(x, y);

        public int GetHashCode([DisallowNull] object obj) => obj switch
        {
            bool flag => (flag ? 1.0 : 0.0).GetHashCode(),
            long number => ((double)number).GetHashCode(),
            _ => obj.GetHashCode(),
        };
    }
}

/// <summary>A value with attributes of its own.</summary>
internal interface IAttributes
{
    bool TryGet(string name, out object? value);
}

/// <summary>What <c>namespace()</c> makes: the one value that a template may change.</summary>
internal sealed class Namespace : Dictionary<string, object?>, IAttributes
{
    public Namespace()
        : base(StringComparer.Ordinal) { }

    public bool TryGet(string name, out object? value) => TryGetValue(name, out value);
}

/// <summary>Something that can be called: a macro, a function, a method of a value.</summary>
/// <param name="Name">What errors call it.</param>
/// <param name="Body">What it does.</param>
/// <param name="IsMacro">Whether the template defined it.</param>
internal sealed record Function(string Name, Func<Arguments, object?> Body, bool IsMacro = false);
