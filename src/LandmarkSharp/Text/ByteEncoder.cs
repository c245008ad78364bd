using System.Text;

namespace LandmarkSharp.Text;

/// <summary>Merging that starts from the bytes of a word (GPT-2, Llama 3, Qwen).</summary>
internal sealed class ByteEncoder : WordEncoder
{
    private readonly int[] bytes;
    private readonly Dictionary<string, int>? whole;

    /// <summary>Prepares the encoder for a vocabulary.</summary>
    /// <param name="bytes">The token of each byte; −1 where the vocabulary has none.</param>
    /// <param name="merges">The merges, over token ids.</param>
    /// <param name="whole">Words that are one token whatever the merges say (<c>ignore_merges</c>), or null.</param>
    public ByteEncoder(int[] bytes, PairMerges merges, Dictionary<string, int>? whole)
        : base(merges)
    {
        this.bytes = bytes;
        this.whole = whole;
    }

    protected override int SymbolLimit(int length) => Encoding.UTF8.GetMaxByteCount(length);

    protected override int Symbols(ReadOnlySpan<char> word, Span<int> symbols)
    {
        Span<byte> utf8 = stackalloc byte[4];
        var count = 0;
        foreach (var rune in word.EnumerateRunes())
        {
            foreach (var b in utf8[..rune.EncodeToUtf8(utf8)])
            {
                symbols[count++] = bytes[b] >= 0 ? bytes[b] : throw new LandmarkException(
                    $"The tokenizer has no token for the byte 0x{b:X2}, which the text needs; "
                    + "use a byte-level tokenizer with all 256 bytes.");
            }
        }
        return count;
    }

    protected override int Whole(ReadOnlySpan<char> word) =>
        whole is not null && whole.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out var id) ? id : -1;

    protected override void Emit(int symbol, List<int> output) => output.Add(symbol);
}
