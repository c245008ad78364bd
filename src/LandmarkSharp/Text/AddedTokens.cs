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
    public IEnumerable<Segment> Split(string text, bool parseSpecial)
    {
        var matcher = parseSpecial ? all : ordinary;
        var done = 0;
        for (var from = 0; !matcher.IsEmpty && from < text.Length;)
        {
            var (start, length, id) = matcher.Next(text, from);
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

    private static bool IsWordAt(string text, int at) =>
        at >= 0 && at < text.Length
        && (char.IsLetterOrDigit(text[at]) || text[at] == '_'
            || char.GetUnicodeCategory(text[at]) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark);
}
