namespace LandmarkSharp.Text;

/// <summary>
/// For tokenizers that merge over the whole text (SentencePiece and Llama 2): splits it where no merge can reach
/// across. Two neighbouring characters that no piece of the vocabulary holds side by side can never come into one
/// token, so the merges left and right of them do not know of each other, and short words give the same tokens as
/// the whole text in one go.
/// </summary>
internal sealed class BoundarySplitter : TextSplitter
{
    private const int ChunkLength = 4096;

    private readonly SpaceNormalizer normalizer;
    private readonly LiteralMatcher literals;
    private readonly HashSet<uint> neighbours = [];
    private readonly bool spacesStartPieces = true;

    /// <summary>Prepares the splitter for a vocabulary.</summary>
    /// <param name="normalizer">What happens to the text first.</param>
    /// <param name="pieces">Every spelling that a merge may lead to or that is matched as a whole.</param>
    /// <param name="literals">Spellings that are one token wherever they occur in the normalised text.</param>
    public BoundarySplitter(SpaceNormalizer normalizer, IEnumerable<string> pieces, LiteralMatcher literals)
    {
        this.normalizer = normalizer;
        this.literals = literals;
        foreach (var piece in pieces)
        {
            for (var i = 1; i < piece.Length; i++)
            {
                neighbours.Add(Pair(piece[i - 1], piece[i]));
                if (piece[i] == SpaceNormalizer.Space && piece[i - 1] != SpaceNormalizer.Space) spacesStartPieces = false;
            }
        }
    }

    public override IEnumerable<Fragment> Split(string text, bool atStart)
    {
        if (normalizer.KeepsLength)
        {
            var normalized = normalizer.Normalize(text, atStart, out var prefix);
            return Words(normalized, -prefix, everyCut: true);
        }
        return Chunks(text, atStart);
    }

    // Rewriting moves characters, so only the starts of chunks are known in the user's text.
    private IEnumerable<Fragment> Chunks(string text, bool atStart)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = Math.Min(text.Length, start + ChunkLength);
            while (end < text.Length && !(spacesStartPieces && normalizer.MayCut(text, end))) end++;
            var chunk = normalizer.Normalize(text[start..end], atStart && start == 0, out _);
            foreach (var word in Words(chunk, start, everyCut: false)) yield return word;
            start = end;
        }
    }

    private IEnumerable<Fragment> Words(string text, int shift, bool everyCut)
    {
        for (var start = 0; start < text.Length;)
        {
            var cut = everyCut || start == 0 ? start + shift : Fragment.NoCut;
            var (length, id) = literals.MatchAt(text, start);
            if (length == 0)
            {
                length = 1;
                while (start + length < text.Length && Joined(text, start + length)) length++;
            }
            yield return new Fragment(text, start, length, id, cut);
            start += length;
        }
    }

    private bool Joined(string text, int at) =>
        (neighbours.Contains(Pair(text[at - 1], text[at])) || char.IsLowSurrogate(text[at]))
        && (literals.IsEmpty || literals.MatchAt(text, at).Length == 0);

    private static uint Pair(char left, char right) => ((uint)left << 16) | right;
}
