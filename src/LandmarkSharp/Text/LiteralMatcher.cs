using System.Buffers;

namespace LandmarkSharp.Text;

/// <summary>Finds fixed strings in text: the leftmost first and, among those that start together, the longest.</summary>
internal sealed class LiteralMatcher
{
    private readonly Dictionary<char, (string Text, int Id)[]> byFirst;
    private readonly SearchValues<char> firsts;

    public LiteralMatcher(IEnumerable<(string Text, int Id)> literals)
    {
        byFirst = literals.Where(literal => literal.Text.Length > 0).GroupBy(literal => literal.Text[0])
            .ToDictionary(group => group.Key, group => group.OrderByDescending(literal => literal.Text.Length).ToArray());
        firsts = SearchValues.Create([.. byFirst.Keys]);
        LongestLength = byFirst.Values.Select(group => group[0].Text.Length).DefaultIfEmpty().Max();
    }

    public bool IsEmpty => byFirst.Count == 0;

    /// <summary>Length of the longest literal, in UTF-16 units.</summary>
    public int LongestLength { get; }

    /// <summary>The literal that starts exactly at <paramref name="at"/>, or a length of 0.</summary>
    /// <param name="text">The text.</param>
    /// <param name="at">Where.</param>
    /// <param name="counts">Whether the literal with an id counts from a place up to another; without it, all do.</param>
    public (int Length, int Id) MatchAt(ReadOnlySpan<char> text, int at, Func<int, int, int, bool>? counts = null)
    {
        if (!byFirst.TryGetValue(text[at], out var candidates)) return (0, -1);
        foreach (var (literal, id) in candidates)
        {
            if (text[at..].StartsWith(literal, StringComparison.Ordinal) && counts?.Invoke(id, at, at + literal.Length) != false)
                return (literal.Length, id);
        }
        return (0, -1);
    }

    /// <summary>The first literal at or after <paramref name="from"/>, or a length of 0.</summary>
    public (int Start, int Length, int Id) Next(ReadOnlySpan<char> text, int from, Func<int, int, int, bool>? counts = null)
    {
        for (var at = from; at < text.Length; at++)
        {
            var skip = text[at..].IndexOfAny(firsts);
            if (skip < 0) break;
            at += skip;
            var (length, id) = MatchAt(text, at, counts);
            if (length > 0) return (at, length, id);
        }
        return (text.Length, 0, -1);
    }
}
