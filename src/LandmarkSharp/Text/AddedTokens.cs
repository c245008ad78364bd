using System.Globalization;

namespace LandmarkSharp.Text;

/// <summary>A stretch of the user's text between added tokens (<see cref="Token"/> null), or one added token.</summary>
internal readonly record struct Segment(int Start, int End, AddedToken? Token);

/// <summary>Finds the added tokens in a text, before anything else is done with it.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<int, AddedToken> byId;
    private readonly LiteralMatcher ordinary;
    private readonly LiteralMatcher all;

    public AddedTokens(IReadOnlyList<AddedToken> tokens)
    {
        byId = tokens.DistinctBy(token => token.Id).ToDictionary(token => token.Id);
        ordinary = new LiteralMatcher(tokens.Where(token => !token.Special).Select(token => (token.Text, token.Id)));
        all = new LiteralMatcher(tokens.Select(token => (token.Text, token.Id)));
    }

    /// <summary>Length of the longest that ordinary text can hold.</summary>
    public int LongestOrdinary => ordinary.LongestLength;

    /// <summary>Splits a text; empty stretches are left out.</summary>
    /// <param name="text">The text.</param>
    /// <param name="parseSpecial">Whether special tokens are found too.</param>
    /// <param name="given">Stretches, in order, where they are not, nor where they reach into one.</param>
    public IEnumerable<Segment> Split(string text, bool parseSpecial, IReadOnlyList<Range>? given = null)
    {
        var matcher = parseSpecial ? all : ordinary;
        bool Counts(int id, int start, int end) => !byId[id].Special || !Touches(given!, start, end);
        Func<int, int, int, bool>? counts = given is { Count: > 0 } ? Counts : null;
        var done = 0;
        for (var from = 0; !matcher.IsEmpty && from < text.Length;)
        {
            var (start, length, id) = matcher.Next(text, from, counts);
            if (length == 0) break;
            var token = byId[id];
            var end = start + length;
            from = end;
            if (token.WholeWord && (IsWordAt(text, start - 1) || IsWordAt(text, end))) continue;
            while (token.TakesSpaceBefore && start > done && char.IsWhiteSpace(text[start - 1])) start--;
            while (token.TakesSpaceAfter && end < text.Length && char.IsWhiteSpace(text[end])) end++;
            if (start > done) yield return new Segment(done, start, null);
            yield return new Segment(start, end, token);
            from = done = end;
        }
        if (done < text.Length) yield return new Segment(done, text.Length, null);
    }

    private static bool Touches(IReadOnlyList<Range> given, int start, int end)
    {
        // The first that ends after the start.
        var (low, high) = (0, given.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (given[middle].End.Value > start) high = middle;
            else low = middle + 1;
        }
        return low < given.Count && given[low].Start.Value < end;
    }

    private static bool IsWordAt(string text, int at) =>
        at >= 0 && at < text.Length
        && (char.IsLetterOrDigit(text[at]) || text[at] == '_'
            || char.GetUnicodeCategory(text[at]) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark);
}
