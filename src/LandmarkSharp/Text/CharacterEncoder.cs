using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Merging that starts from characters (SentencePiece, Llama 2). A character without a piece of its own is a
/// symbol too, numbered −1 − code point, since a longer piece may hold it; left alone it becomes its UTF-8 bytes,
/// or the unknown token.
/// </summary>
internal sealed class CharacterEncoder : WordEncoder
{
    private readonly Dictionary<int, int> characters;
    private readonly int[]? bytes;
    private readonly int unknown;
    private readonly bool fuseUnknown;

    /// <summary>Prepares the encoder for a vocabulary.</summary>
    /// <param name="characters">Ids of the pieces of one character, by code point.</param>
    /// <param name="merges">The merges, over ids and −1 − code point.</param>
    /// <param name="bytes">Ids of the 256 byte pieces, or null when bytes do not back up the vocabulary.</param>
    /// <param name="unknown">The unknown token, or −1 when there is none.</param>
    /// <param name="fuseUnknown">Whether a run of unknown characters is one unknown token.</param>
    public CharacterEncoder(
        Dictionary<int, int> characters, PairMerges merges, int[]? bytes, int unknown, bool fuseUnknown)
        : base(merges)
    {
        this.characters = characters;
        this.bytes = bytes;
        this.unknown = unknown;
        this.fuseUnknown = fuseUnknown;
    }

    /// <summary>The symbol of a character: its id, or −1 − code point.</summary>
    public static int SymbolOf(Dictionary<int, int> characters, Rune rune) =>
        characters.TryGetValue(rune.Value, out var id) ? id : -1 - rune.Value;

    protected override int SymbolLimit(int length) => length;

    protected override int Symbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        var count = 0;
        foreach (var rune in word.EnumerateRunes()) symbols[count++] = SymbolOf(characters, rune);
        return count;
    }

    protected override void Emit(int symbol, List<int> output)
    {
        if (symbol >= 0)
        {
            output.Add(symbol);
        }
        else if (bytes is not null)
        {
            Span<byte> utf8 = stackalloc byte[4];
            foreach (var b in utf8[..new Rune(-1 - symbol).EncodeToUtf8(utf8)]) output.Add(bytes[b]);
        }
        else if (unknown < 0)
        {
            throw new LandmarkException(
                $"The tokenizer has no piece for the character U+{-1 - symbol:X4} and no unknown token; "
                + "use a tokenizer with byte fallback or take the character out of the text.");
        }
        else
        {
            Append([unknown], output);
        }
    }

    protected override void Append(ReadOnlySpan<int> ids, List<int> output)
    {
        if (fuseUnknown && ids.Length > 0 && ids[0] == unknown && output.Count > 0 && output[^1] == unknown)
            ids = ids[1..];
        output.AddRange(ids);
    }
}
