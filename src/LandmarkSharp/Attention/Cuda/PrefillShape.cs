using System.Runtime.InteropServices;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>What the prefill kernels make of a head and a block: what they take of a multiprocessor.</summary>
/// <param name="HeadDim">Width of a head, d.</param>
/// <param name="Block">Positions of a block, its landmark counted, L.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct PrefillShape(int HeadDim, int Block)
{
    /// <summary>Queries of a tile.</summary>
    public const int Rows = 64;

    /// <summary>Scores whose greatest is kept.</summary>
    public const int Eight = 8;

    /// <summary>Pairs of a query and a block that are read with the block's keys and values at hand.</summary>
    public const int TilePairs = 4 * Rows;

    /// <summary>Pairs of a head that a thread block puts into lists.</summary>
    public const int SpanPairs = 16384;

    /// <summary>Threads of a block.</summary>
    public const int Threads = 128;

    /// <summary>Warps of a block.</summary>
    public const int Warps = 4;

    private const int Alignment = 1024;
    private const int StaticBytes = 2048;           // more than any of the kernels declares
    private const int WidestHead = 256;
    private const int LongestBlock = 256;

    /// <summary>Dynamic shared memory of the scan in bytes: two tiles of landmarks.</summary>
    public int ScanBytes => Alignment + (2 * Rows * RowBytes);

    /// <summary>Dynamic shared memory in bytes where a context-miss token is asked: two tiles of queries, a block's keys.</summary>
    public int MissBytes => Alignment + (((2 * Rows) + Columns) * RowBytes);

    /// <summary>Dynamic shared memory of the reading kernels in bytes: queries, a block's keys, its values.</summary>
    public int ReadBytes => Alignment + ((Rows + (2 * Columns)) * RowBytes);

    /// <summary>Whether the kernels take the shape on a card of such a capability.</summary>
    public bool FitsOn(Version capability) =>
        HeadDim is >= 16 and <= WidestHead && HeadDim % 16 == 0 && Block is >= 2 and <= LongestBlock
        && Math.Max(MissBytes, ReadBytes) + StaticBytes <= SharedMemory.Most(capability);

    private int Columns => (Block + 15) / 16 * 16;

    // An odd number of 16 bytes: rows that are read together lie in different banks.
    private int RowBytes => (2 * HeadDim) + 16;
}
