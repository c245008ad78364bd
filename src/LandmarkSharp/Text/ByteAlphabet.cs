using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// GPT-2's way to spell bytes with printable characters: printable bytes of Latin-1 stand for themselves, the others
/// are numbered from U+0100 on.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = Build();
    private static readonly Dictionary<char, byte> Bytes = Characters.Select((c, b) => (c, b)).ToDictionary(e => e.c, e => (byte)e.b);

    /// <summary>The character that spells a byte.</summary>
    public static char Spell(int value) => Characters[value];

    /// <summary>The bytes that a piece spells, or null when a character of it spells none.</summary>
    public static byte[]? Read(string piece)
    {
        var bytes = new byte[piece.Length];
        for (var i = 0; i < piece.Length; i++)
        {
            if (!Bytes.TryGetValue(piece[i], out bytes[i])) return null;
        }
        return bytes;
    }

    private static char[] Build()
    {
        var (characters, next) = (new char[256], 0x100);
        for (var b = 0; b < 256; b++)
            characters[b] = (char)(b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? b : next++);
        return characters;
    }
}
