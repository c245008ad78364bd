using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// SentencePiece's normalisation: spaces are written as ▁ so that they are part of the pieces, one is put before the
/// text, and where the model asks for it characters are rewritten and extra spaces dropped.
/// </summary>
internal sealed class SpaceNormalizer
{
    public const char Space = '▁';

    /// <summary>Whether a ▁ is put before the text.</summary>
    public bool AddPrefix { get; init; }

    /// <summary>Whether the ▁ is left out before a text that starts with one (Hugging Face's Metaspace).</summary>
    public bool PrefixOnlyIfMissing { get; init; }

    /// <summary>Whether runs of spaces become one and those at both ends go.</summary>
    public bool RemoveExtraSpaces { get; init; }

    /// <summary>Rules that rewrite characters, or null for none.</summary>
    public CharacterMap? Map { get; init; }

    /// <summary>Strings that no rule touches.</summary>
    public LiteralMatcher Kept { get; init; } = new([]);

    /// <summary>Whether each character of the result stands for one of the input, after the prefix.</summary>
    public bool KeepsLength => !RemoveExtraSpaces && Map is null;

    /// <summary>Normalises a text; says by how many characters it became longer at its start.</summary>
    public string Normalize(string text, bool atStart, out int prefix)
    {
        prefix = 0;
        if (text.Length == 0) return text;
        if (!KeepsLength) return Rewrite(text, atStart);
        var spaced = text.Replace(' ', Space);
        if (!atStart || !AddPrefix || (PrefixOnlyIfMissing && spaced[0] == Space)) return spaced;
        prefix = 1;
        return Space + spaced;
    }

    /// <summary>Whether a text may be cut before a space at <paramref name="at"/> and its parts rewritten apart.</summary>
    public bool MayCut(ReadOnlySpan<char> text, int at)
    {
        const int LongestRule = 16;
        if (text[at] != ' ' || text[at - 1] is <= ' ' or >= '\x7F') return false;
        for (var start = Math.Max(0, at - LongestRule); Map is not null && start < at; start++)
        {
            if (start + Map.Match(text[start..]).Length > at) return false;
        }
        return true;
    }

    private string Rewrite(string text, bool atStart)
    {
        var output = new StringBuilder(text.Length + 1);
        if (atStart && AddPrefix && !RemoveExtraSpaces) output.Append(Space);
        var afterSpace = RemoveExtraSpaces && atStart;
        for (var at = 0; at < text.Length;)
        {
            var (length, replacement) = Next(text, at);
            at += length;
            if (afterSpace) replacement = replacement.TrimStart(' ');
            if (replacement.Length == 0) continue;
            if (output.Length == 0 && atStart && AddPrefix) output.Append(Space);
            output.Append(replacement);
            afterSpace = RemoveExtraSpaces && replacement[^1] == ' ';
        }

        output.Replace(' ', Space);
        var end = output.Length;
        while (RemoveExtraSpaces && end > 0 && output[end - 1] == Space) end--;
        return output.ToString(0, end);
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
