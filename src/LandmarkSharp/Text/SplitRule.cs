using System.Text.RegularExpressions;

namespace LandmarkSharp.Text;

/// <summary>What becomes of the places where a split pattern matches.</summary>
internal enum SplitBehavior
{
    /// <summary>Matches and what lies between them are words.</summary>
    Isolated,

    /// <summary>Matches are dropped.</summary>
    Removed,

    /// <summary>A match ends the word before it.</summary>
    MergedWithPrevious,

    /// <summary>A match starts the word after it.</summary>
    MergedWithNext,

    /// <summary>Matches side by side are one word.</summary>
    Contiguous,
}

/// <summary>One step of pre-tokenization: a pattern, and what is done where it matches.</summary>
/// <param name="pattern">The pattern; over whole characters, <see cref="CodePoints"/> sees to that.</param>
/// <param name="behavior">What becomes of matches.</param>
/// <param name="invert">Whether matches and gaps change roles.</param>
internal sealed class SplitRule(Regex pattern, SplitBehavior behavior, bool invert)
{
    /// <summary>The words of a stretch of text, in order.</summary>
    public List<Range> Split(ReadOnlySpan<char> text)
    {
        var parts = new List<(int Start, int End, bool IsMatch)>();
        var done = 0;
        foreach (var match in pattern.EnumerateMatches(text))
        {
            if (match.Length == 0) continue;
            if (match.Index > done) parts.Add((done, match.Index, invert));
            done = match.Index + match.Length;
            parts.Add((match.Index, done, !invert));
        }
        if (done < text.Length) parts.Add((done, text.Length, invert));

        var words = new List<Range>(parts.Count);
        for (var i = 0; i < parts.Count; i++)
        {
            var (start, end, isMatch) = parts[i];
            switch (behavior)
            {
                case SplitBehavior.Removed when isMatch:
                    continue;
                case SplitBehavior.MergedWithPrevious when isMatch && i > 0 && !parts[i - 1].IsMatch:
                case SplitBehavior.MergedWithNext when !isMatch && i > 0 && parts[i - 1].IsMatch:
                case SplitBehavior.Contiguous when i > 0 && parts[i - 1].IsMatch == isMatch:
                    words[^1] = words[^1].Start..end;
                    continue;
                default:
                    words.Add(start..end);
                    continue;
            }
        }
        return words;
    }
}
