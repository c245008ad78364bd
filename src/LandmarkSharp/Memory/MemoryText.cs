using System.Buffers;
using System.Text;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Memory;

/// <summary>What some tokens of a document stand for.</summary>
/// <param name="FirstToken">Tokens of the document before them.</param>
/// <param name="FirstByte">Bytes of the document before their text.</param>
/// <param name="Text">The text. A character whose bytes begin before it belongs to it; one that ends after it does not.</param>
/// <param name="Ends">Where the text of each token ends in it, in UTF-16 units; a character belongs to the token of its last byte.</param>
internal sealed record MemoryText(long FirstToken, long FirstByte, string Text, IReadOnlyList<int> Ends)
{
    /// <summary>Reads it.</summary>
    /// <param name="file">The file that the document lies in.</param>
    /// <param name="document">The document.</param>
    /// <param name="segment">The number of a segment.</param>
    /// <param name="first">The first token, within the segment.</param>
    /// <param name="count">How many, of this segment.</param>
    /// <exception cref="LandmarkException">It is damaged.</exception>
    public static MemoryText Read(MemoryFile file, MemoryEntry document, int segment, int first, int count)
    {
        var stored = file.ReadText(document.Segments[segment]);
        var (bytes, start, end) = (stored.Text, stored.Start(first), stored.Start(first + count));
        var before = document.Segments.Take(segment).Sum(s => (long)s.Bytes);
        if (segment > 0 && start < end && IsInside(bytes[0]))
        {
            // The character that the border cuts: at most three bytes of it lie before.
            byte[] last = [.. file.ReadText(document.Segments[segment - 1]).Text.TakeLast(3)];
            (bytes, start, end, before) = ([.. last, .. bytes], start + last.Length, end + last.Length, before - last.Length);
        }
        while (start > 0 && start < bytes.Length && IsInside(bytes[start])) start--;
        var span = bytes.AsSpan(start..Math.Max(start, end));
        if (Rune.DecodeLastFromUtf8(span, out _, out var cut) == OperationStatus.NeedMoreData) span = span[..^cut];
        var text = Encoding.UTF8.GetString(span);
        var (ends, shift) = (new int[count], bytes.Length - stored.Text.Length);
        for (var i = 0; i < count; i++) ends[i] = i == count - 1 ? text.Length : Whole(bytes.AsSpan(start..Math.Max(start, stored.Start(first + i + 1) + shift)));
        return new MemoryText(document.Segments.Take(segment).Sum(s => (long)s.Tokens) + first, before + start, text, ends);
    }

    /// <summary>UTF-16 units of what is whole of some bytes.</summary>
    private static int Whole(ReadOnlySpan<byte> bytes) =>
        Encoding.UTF8.GetCharCount(Rune.DecodeLastFromUtf8(bytes, out _, out var cut) == OperationStatus.NeedMoreData ? bytes[..^cut] : bytes);

    private static bool IsInside(byte of) => (of & 0xC0) == 0x80;
}
