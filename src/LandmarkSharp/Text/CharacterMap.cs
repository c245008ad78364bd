using System.Buffers.Binary;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// SentencePiece's compiled normalisation rules (nmt_nfkc and its like): a double-array trie over UTF-8 whose leaves
/// point at the replacement strings. The longest rule that fits wins.
/// </summary>
internal sealed class CharacterMap
{
    private readonly uint[] units;
    private readonly byte[] replacements;

    public CharacterMap(ReadOnlySpan<byte> compiled, string path)
    {
        var size = compiled.Length < 4 ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(compiled);
        if (size == 0 || size % 4 != 0 || size > compiled.Length - 4)
            throw new LandmarkException($"'{path}' has a damaged precompiled_charsmap; fetch the file again.");
        units = new uint[size / 4];
        for (var i = 0; i < units.Length; i++) units[i] = BinaryPrimitives.ReadUInt32LittleEndian(compiled[(4 + 4 * i)..]);
        replacements = compiled[(4 + (int)size)..].ToArray();
    }

    /// <summary>The longest rule at the start of the text: how many UTF-16 units it takes, and what it gives.</summary>
    public (int Length, string Replacement) Match(ReadOnlySpan<char> text)
    {
        var (length, value) = (0, 0);
        var node = Offset(units[0]);
        Span<byte> utf8 = stackalloc byte[4];
        var taken = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            taken += rune.Utf16SequenceLength;
            foreach (var b in utf8[..rune.EncodeToUtf8(utf8)])
            {
                node ^= b;
                if (node >= units.Length || Label(units[node]) != b) return (length, Replacement(length, value));
                var unit = units[node];
                node ^= Offset(unit);
                if ((unit >> 8 & 1) != 0 && node < units.Length) (length, value) = (taken, (int)(units[node] & 0x7FFF_FFFF));
            }
        }
        return (length, Replacement(length, value));
    }

    private static uint Offset(uint unit) => unit >> 10 << (int)((unit & 1u << 9) >> 6);

    private static uint Label(uint unit) => unit & (1u << 31 | 0xFF);

    private string Replacement(int length, int at)
    {
        if (length == 0 || at >= replacements.Length) return "";
        var text = replacements.AsSpan(at);
        var end = text.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? text : text[..end]);
    }
}
