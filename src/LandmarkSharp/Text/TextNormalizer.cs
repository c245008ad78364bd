using System.Text;

namespace LandmarkSharp.Text;

/// <summary>A text as the tokenizer sees it, and where its parts came from.</summary>
/// <param name="Text">The normalised text.</param>
/// <param name="Prefix">How many characters were put before it.</param>
/// <param name="Anchors">
/// Null when characters kept their places (shifted by the prefix); else the places in <paramref name="Text"/> at which
/// the user's text may be cut, and where that is.
/// </param>
/// <param name="Composed">Whether the text went through composition, so that a cut must not part what may compose.</param>
internal readonly record struct NormalizedText(string Text, int Prefix, Dictionary<int, int>? Anchors, bool Composed)
{
    /// <summary>Where the user's text may be cut so that the part after it normalises to what starts here, or −1.</summary>
    public int CutAt(int at) =>
        at <= Prefix ? Fragment.NoCut
        : Anchors is not null ? Anchors.GetValueOrDefault(at, Fragment.NoCut)
        : !Composed || CanonicalForms.StartsAnew(Text[at]) || Text[at] == TextNormalizer.Mark ? at - Prefix : Fragment.NoCut;
}

/// <summary>
/// What is done to a text before it is split: characters are rewritten or composed, extra spaces dropped, spaces
/// written as ▁, one put before the text; each where the tokenizer's file asks for it.
/// </summary>
internal sealed class TextNormalizer
{
    /// <summary>SentencePiece's way to write a space.</summary>
    public const char Mark = '▁';

    /// <summary>Whether spaces are written as ▁.</summary>
    public bool MarksSpaces { get; init; }

    /// <summary>Whether a space is put before the text.</summary>
    public bool AddsPrefix { get; init; }

    /// <summary>Whether that is left out where the text starts with one.</summary>
    public bool PrefixOnlyIfMissing { get; init; }

    /// <summary>Whether runs of spaces become one and those at both ends go.</summary>
    public bool RemovesExtraSpaces { get; init; }

    /// <summary>Whether characters are composed (NFC).</summary>
    public bool Composes { get; init; }

    /// <summary>SentencePiece rules that rewrite characters, or null for none.</summary>
    public CharacterMap? Map { get; init; }

    /// <summary>Strings that no rule touches.</summary>
    public LiteralMatcher Kept { get; init; } = new([]);

    private char Space => MarksSpaces ? Mark : ' ';

    /// <summary>Normalises a stretch of text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="atStart">Whether a text starts here, so that the prefix belongs before it.</param>
    public NormalizedText Normalize(string text, bool atStart)
    {
        if (text.Length == 0) return new NormalizedText(text, 0, null, Composes);
        if (Map is not null || RemovesExtraSpaces) return Rewrite(text, atStart);
        if (Composes && !ReferenceEquals(CanonicalForms.Compose(text), text)) return Compose(text, atStart);
        var spaced = Spaced(text);
        return TakesPrefix(spaced, atStart)
            ? new NormalizedText(Space + spaced, 1, null, Composes)
            : new NormalizedText(spaced, 0, null, Composes);
    }

    private string Spaced(string text) => MarksSpaces ? text.Replace(' ', Mark) : text;

    private bool TakesPrefix(string text, bool atStart) =>
        AddsPrefix && atStart && !(PrefixOnlyIfMissing && text[0] == Space);

    // A place where words end in any language that writes spaces, and no rule reaches across.
    private static bool MayCut(string text, int at) => at > 0 && text[at] == ' ' && text[at - 1] is > ' ' and < '\x7F';

    private NormalizedText Compose(string text, bool atStart)
    {
        var (output, anchors) = (new StringBuilder(text.Length + 1), new Dictionary<int, int>());
        for (int start = 0, end; start < text.Length; start = end)
        {
            for (end = start + 1; end < text.Length && !MayCut(text, end);) end++;
            var part = Spaced(CanonicalForms.Compose(text[start..end]));
            if (start == 0 && TakesPrefix(part, atStart)) output.Append(Space);
            if (start > 0) anchors[output.Length] = start;
            output.Append(part);
        }
        return new NormalizedText(output.ToString(), 0, anchors, Composes);
    }

    // SentencePiece's normaliser, rule by rule.
    private NormalizedText Rewrite(string text, bool atStart)
    {
        var (output, anchors) = (new StringBuilder(text.Length + 1), new Dictionary<int, int>());
        if (atStart && AddsPrefix && !RemovesExtraSpaces) output.Append(Mark);
        var afterSpace = RemovesExtraSpaces && atStart;
        for (var at = 0; at < text.Length;)
        {
            if (!afterSpace && MayCut(text, at) && output.Length > 0 && output[^1] is not (' ' or Mark)) anchors[output.Length] = at;
            var (length, replacement) = Next(text, at);
            at += length;
            if (afterSpace) replacement = replacement.TrimStart(' ');
            if (replacement.Length == 0) continue;
            if (output.Length == 0 && atStart && AddsPrefix) output.Append(Mark);
            output.Append(replacement);
            afterSpace = RemovesExtraSpaces && replacement[^1] == ' ';
        }

        output.Replace(' ', Mark);
        var end = output.Length;
        while (RemovesExtraSpaces && end > 0 && output[end - 1] == Mark) end--;
        return new NormalizedText(output.ToString(0, end), 0, anchors, Composes);
    }

    private (int Length, string Replacement) Next(string text, int at)
    {
        var kept = Kept.MatchAt(text, at).Length;
        if (kept > 0) return (kept, text.Substring(at, kept));
        if (Map?.Match(text.AsSpan(at)) is ( > 0, _) and var rule) return rule;
        var length = char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]) ? 2 : 1;
        return (length, text.Substring(at, length));
    }
}
