namespace LandmarkSharp.Text;

/// <summary>
/// For tokenizers that merge over the whole text (SentencePiece and Llama 2): splits it where no merge can reach
/// across. Two neighbouring characters that no piece of the vocabulary holds side by side can never come into one
/// token, so the merges left and right of them do not know of each other, and short words give the same tokens as
/// the whole text in one go.
/// </summary>
internal sealed class BoundarySplitter : TextSplitter
{
    private readonly TextNormalizer normalizer;
    private readonly LiteralMatcher literals;
    private readonly HashSet<uint> neighbours = [];

    /// <summary>Prepares the splitter for a vocabulary.</summary>
    /// <param name="normalizer">What happens to the text first.</param>
    /// <param name="pieces">Every spelling that a merge may lead to or that is matched as a whole.</param>
    /// <param name="literals">Spellings that are one token wherever they occur in the normalised text.</param>
    public BoundarySplitter(TextNormalizer normalizer, IEnumerable<string> pieces, LiteralMatcher literals)
    {
        this.normalizer = normalizer;
        this.literals = literals;
        foreach (var piece in pieces)
        {
            for (var i = 1; i < piece.Length; i++) neighbours.Add(Pair(piece[i - 1], piece[i]));
        }
    }

    public override IEnumerable<Fragment> Split(string text, bool atStart)
    {
        var normalized = normalizer.Normalize(text, atStart);
        var source = normalized.Text;
        for (var start = 0; start < source.Length;)
        {
            var (length, id) = literals.MatchAt(source, start);
            if (length == 0)
            {
                length = 1;
                while (start + length < source.Length && Joined(source, start + length)) length++;
            }
            yield return new Fragment(source, start, length, id, normalized.CutAt(start));
            start += length;
        }
    }

    private bool Joined(string text, int at) =>
        (neighbours.Contains(Pair(text[at - 1], text[at])) || char.IsSurrogatePair(text[at - 1], text[at]))
        && (literals.IsEmpty || literals.MatchAt(text, at).Length == 0);

    private static uint Pair(char left, char right) => ((uint)left << 16) | right;
}
