namespace LandmarkSharp.Server.Page;

/// <summary>How strongly a passage's words are shaded, and what of it stands where there is little room.</summary>
internal static class PassageShades
{
    /// <summary>The strongest shade.</summary>
    public const int Most = 10;

    private const int WordsBefore = 6;

    /// <summary>The passage's text in pieces, each with its shade: from 0 to <see cref="Most"/>, which its most read word has.</summary>
    public static IEnumerable<(string Text, int Shade)> Of(PagePassage passage) => MostRead(passage) is { } peak
        ? passage.Words!.Select(w => (w.Text, IsSeen(w) ? (int)Math.Round(Most * w.Share / peak.Share) : 0)) : [(passage.Text, 0)];

    /// <summary>What the shades mean.</summary>
    public static string Note(PagePassage passage) => MostRead(passage) is { } peak
        ? $"The stronger a word's shade, the more of the answer's attention it had: “{peak.Text.Trim()}” most, with {peak.Share:P1}. "
            + "Attention tells where the model looked, not on what the answer rests."
        : "";

    /// <summary>The passage about its most read word: a few words before, the word, and all after it.</summary>
    public static (string Before, string Word, string After) Excerpt(PagePassage passage)
    {
        if (MostRead(passage) is not { } peak) return (passage.Text.Trim(), "", "");
        var (words, at) = (passage.Words!, passage.Words!.ToList().IndexOf(peak));
        var from = Math.Max(0, at - WordsBefore);
        return ((from > 0 ? "… " : "") + Text(words.Skip(from).Take(at - from)).TrimStart(), peak.Text, Text(words.Skip(at + 1)));
    }

    /// <summary>The share of the most read word.</summary>
    public static double Peak(PagePassage passage) => MostRead(passage)?.Share ?? 0;

    private static string Text(IEnumerable<WordShare> words) => string.Concat(words.Select(w => w.Text));

    /// <summary>The most read word; null where nothing of the passage was read. White space is none, though a model may look there.</summary>
    private static WordShare? MostRead(PagePassage passage) => passage.Words?.Where(w => IsSeen(w) && w.Share > 0).MaxBy(w => w.Share);

    private static bool IsSeen(WordShare word) => !string.IsNullOrWhiteSpace(word.Text);
}
