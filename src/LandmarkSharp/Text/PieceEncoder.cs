namespace LandmarkSharp.Text;

/// <summary>Encodes a text of any length in pieces whose tokens, joined, are those of the whole text.</summary>
internal sealed class PieceEncoder(Tokenizer tokenizer, TextReader reader, int pieceChars, bool startsText = true)
{
    /// <summary>UTF-16 units to hold back, waiting for a place to cut, before cutting anyway.</summary>
    public const int HoldBackLimit = 1 << 20;

    public IEnumerable<int[]> Pieces()
    {
        var (rest, atStart, ids, more) = ("", startsText, new List<int>(), true);
        var given = 0;
        var block = new char[pieceChars];
        while (more)
        {
            var read = reader.ReadBlock(block);
            more = read == pieceChars;
            var text = string.Concat(rest, block.AsSpan(0, read));
            var cut = Encode(text, atStart, more, ids);
            rest = text[cut..];
            atStart &= cut == 0;
            if (ids.Count == given) continue;
            yield return ids[given..].ToArray();
            // The last token stays in sight: an unknown token may swallow the next.
            ids.RemoveRange(0, ids.Count - 1);
            given = 1;
        }
    }

    // Encodes as much of the text as later text cannot change, and says how much that was.
    private int Encode(string text, bool atStart, bool more, List<int> ids)
    {
        var fragments = new List<Fragment>(text.Length / 4);
        fragments.AddRange(tokenizer.Fragments(text, atStart, parseSpecial: false));
        var (count, cut) = more ? Certain(fragments, text.Length) : (fragments.Count, text.Length);
        if (cut == 0 && text.Length >= HoldBackLimit)
            (count, cut) = (fragments.Count, text.Length);
        for (var i = 0; i < count; i++) tokenizer.Append(fragments[i], ids);
        return cut;
    }

    // A word's end may hang on the next word or two (white space looks ahead), and an added token at the end may be
    // seen only in part: so the cut is two words before the last one that starts clear of that.
    private (int Count, int Cut) Certain(List<Fragment> fragments, int length)
    {
        var clear = length - Math.Max(1, tokenizer.LongestAddedToken);
        var i = fragments.Count - 1;
        while (i >= 0 && (fragments[i].Cut < 0 || fragments[i].Cut > clear)) i--;
        for (i -= 2; i > 0; i--)
        {
            if (fragments[i].Cut > 0) return (i, fragments[i].Cut);
        }
        return (0, 0);
    }
}
