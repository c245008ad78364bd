namespace LandmarkSharp.Text;

/// <summary>
/// A stretch of text that is turned into tokens by itself: either one whole token (<see cref="Id"/> ≥ 0: an added
/// token, a user-defined symbol) or a word, inside which pairs are merged.
/// </summary>
/// <param name="Source">The (normalised) string that holds the word.</param>
/// <param name="Start">Where the word starts in <paramref name="Source"/>.</param>
/// <param name="Length">Its length in UTF-16 units.</param>
/// <param name="Id">The token, or −1 for a word.</param>
/// <param name="Cut">
/// Where the fragment starts in the text as the user gave it, if that text may be cut there without changing any
/// token on either side; else −1.
/// </param>
internal readonly record struct Fragment(string Source, int Start, int Length, int Id, int Cut)
{
    public const int Word = -1;
    public const int NoCut = -1;

    public ReadOnlySpan<char> Span => Source.AsSpan(Start, Length);
}
