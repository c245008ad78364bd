using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// How one layer of a block lies in whole pages of its own, in this machine's memory and in a memory file alike, so that a file's can be
/// mapped to where memory's would be: keys and values [G, K|V, ℓ, d], with int8 their scales [G, K|V, ℓ] at the next multiple of 4
/// bytes, and nothing up to the end of the page.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct BlockPages
{
    /// <summary>Bytes of a page, x86-64's.</summary>
    public const int Page = 4096;

    /// <summary>Lays out a block.</summary>
    /// <param name="heads">Key-value heads, G.</param>
    /// <param name="tokens">Regular tokens, ℓ.</param>
    /// <param name="width">Width of a head, d.</param>
    /// <param name="type">Type of keys and values, as <see cref="Attention.BlockType"/> allows.</param>
    /// <exception cref="OverflowException">There is no such block.</exception>
    public BlockPages(long heads, long tokens, long width, ScalarType type)
    {
        checked
        {
            var rows = 2 * tokens;
            (HeadBytes, HeadScaleBytes) = (rows * width * type.ElementSize(), type == ScalarType.Int8 ? rows * sizeof(float) : 0);
            ScalesAt = ((heads * HeadBytes) + sizeof(float) - 1) / sizeof(float) * sizeof(float);
            Bytes = Padded(ScalesAt + (heads * HeadScaleBytes));
        }
    }

    /// <summary>Bytes of a head's keys and values, [K|V, ℓ, d]; the next head's follow.</summary>
    public long HeadBytes { get; }

    /// <summary>Bytes of a head's scales, [K|V, ℓ]; the next head's follow. 0 where there are none.</summary>
    public long HeadScaleBytes { get; }

    /// <summary>Bytes from a block's beginning to its scales.</summary>
    public long ScalesAt { get; }

    /// <summary>Bytes of all of it, in whole pages; the next block follows.</summary>
    public long Bytes { get; }

    /// <summary>So many bytes in whole pages.</summary>
    public static long Padded(long bytes) => checked(bytes + Page - 1) / Page * Page;
}
