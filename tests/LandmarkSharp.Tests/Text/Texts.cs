using System.Text;
using CsCheck;

namespace LandmarkSharp.Tests.Text;

/// <summary>Texts of every sort of character, for properties that hold for any text.</summary>
internal static class Texts
{
    private static readonly (int First, int Last)[] Ranges =
    [
        (0x20, 0x7E), (0x20, 0x7E), (0x61, 0x7A), (0x20, 0x20), (0x09, 0x0D), (0x00, 0x1F), (0xA0, 0x17F), (0x300, 0x36F), (0x400, 0x44F),
        (0x5D0, 0x5EA), (0x900, 0x97F), (0x2000, 0x206F), (0x3041, 0x30FF), (0x4E00, 0x4E40), (0xAC00, 0xAC40), (0xFFF0, 0xFFFF),
        (0x1F600, 0x1F64F), (0x1F1E6, 0x1F1FF), (0x20000, 0x20010), (0x10FFF0, 0x10FFFF),
    ];

    /// <summary>Up to 30 characters, each a whole one.</summary>
    public static Gen<string> Whole { get; } =
        Gen.Int[0, Ranges.Length - 1].SelectMany(range => Gen.Int[Ranges[range].First, Ranges[range].Last])
            .Array[0, 30].Select(runes => string.Concat(runes.Select(r => new Rune(r).ToString())));

    /// <summary>Such texts with halves of surrogate pairs among them.</summary>
    public static Gen<string> Broken { get; } =
        Gen.Select(Whole, Whole, Gen.Char['\uD800', '\uDFFF']).Select((before, after, half) => before + half + after);

    /// <summary>A text as any UTF-8 file would have it: halves of pairs as U+FFFD.</summary>
    public static string Valid(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    /// <summary>A text in pieces of the given sizes, over and over.</summary>
    public static IEnumerable<T[]> Cut<T>(T[] all, int[] sizes)
    {
        for (int at = 0, i = 0; at < all.Length; i++)
        {
            var size = Math.Min(sizes[i % sizes.Length], all.Length - at);
            yield return all[at..(at + size)];
            at += size;
        }
    }
}
