using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// How the Hopper kernels cut a head into tiles: blocks of L positions in columns that the tensor cores' instructions can take.
/// </summary>
/// <param name="HeadDim">Width of a head, d: a multiple of 16.</param>
/// <param name="Block">Positions of a block, its landmark counted, L.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct HopperShape(int HeadDim, int Block)
{
    /// <summary>Queries of a thread block, forward.</summary>
    public const int ForwardRows = 128;

    /// <summary>Queries of a tile, backward.</summary>
    public const int BackwardRows = 64;

    // Of the 227 KB of a multiprocessor, what the alignment to 1,024 bytes and the barriers take, and what the backward kernel's
    // warpgroups tell each other.
    private const int SharedBytes = 227 * 1024;
    private const int Rest = 1024 + 256;
    private const int ExchangeBytes = 2 * 128 * 16;
    private const int MostColumns = 256;
    private const int SpanColumns = 64;

    /// <summary>Whether the forward kernel takes the shape.</summary>
    public bool HasForward => HeadDim is >= 16 and <= 256 && HeadDim % 16 == 0 && Block is >= 2 and <= MostColumns && Stages > 0;

    /// <summary>Whether the backward kernel takes the shape: two halves of a block are the most that it combines.</summary>
    public bool HasBackward => HeadDim is >= 16 and <= 128 && HeadDim % 16 == 0 && Block is >= 2 and <= 2 * SpanColumns;

    /// <summary>Columns of a block: L rounded up to the 8 rows that the copy engine's swizzle repeats after.</summary>
    public int Columns => TileBlocks == 1 ? Up(Block, 16) : Up(Block, 8);

    /// <summary>Columns of a block in the backward kernel.</summary>
    public int BackwardColumns => Up(Block, 8);

    /// <summary>
    /// Blocks of a forward tile: of the tiles of up to 128 columns (80 for wide heads, whose sums take more registers) the one
    /// with the most regular columns for its width, the wider one if there are two.
    /// </summary>
    public int TileBlocks
    {
        get
        {
            var (columns, most) = (Up(Block, 8), HeadDim > 128 ? 80 : 128);
            var best = (Share: 0.0, Blocks: 1);
            for (var blocks = 1; blocks * columns <= most; blocks++)
            {
                // A product over a tile's columns goes 16 at a time.
                if (blocks > 1 && blocks * columns % 16 != 0) continue;
                var share = blocks * Block / (double)Up(blocks * columns, 16);
                if (share >= best.Share) best = (share, blocks);
            }
            return best.Blocks;
        }
    }

    /// <summary>Tiles of keys and of values that are loaded ahead, 2 where they fit; 0 when not even one does.</summary>
    public int Stages => Math.Min(2, (SharedBytes - Rest - QueryBytes(ForwardRows)) / (2 * TileBytes));

    /// <summary>Blocks of each of the two spans of 64 columns of a backward tile; 1 where a block lies across both.</summary>
    public int SpanBlocks => Block > SpanColumns ? 1 : SpanColumns / BackwardColumns;

    /// <summary>Blocks of a backward tile.</summary>
    public int BackwardTileBlocks => Block > SpanColumns ? 1 : 2 * SpanBlocks;

    /// <summary>Chunks of 64 elements of a head: the width of the swizzle.</summary>
    public int Chunks => (HeadDim + 63) / 64;

    /// <summary>Shared memory of the forward kernel in bytes.</summary>
    public int ForwardBytes => Rest + QueryBytes(ForwardRows) + (2 * Stages * TileBytes);

    /// <summary>Shared memory of the backward kernel in bytes: keys, values, two tiles of Q and dO, W, two of dS, dQ, exchange.</summary>
    public int BackwardBytes => Rest + ExchangeBytes + (2 * Chunks * 128 * 128) + (4 * QueryBytes(BackwardRows)) + (6 * 64 * 128) + (2 * 64 * 64 * 4);

    private int TileBytes => Chunks * TileBlocks * Columns * 128;

    private int QueryBytes(int rows) => Chunks * rows * 128;

    /// <summary>x divided by a size, rounded up.</summary>
    public static int Over(int x, int by) => (x + by - 1) / by;

    private static int Up(int x, int to) => (x + to - 1) / to * to;
}
