using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// How the kernels for any card's tensor cores (<c>landmark_forward_mma.cu</c>, <c>landmark_backward_mma.cu</c>) cut a head into tiles.
/// </summary>
/// <param name="HeadDim">Width of a head, d: a multiple of 16.</param>
/// <param name="Block">Positions of a block, its landmark counted, L.</param>
/// <param name="Room">Bytes of shared memory that a thread block may have.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MmaShape(int HeadDim, int Block, int Room)
{
    /// <summary>Queries that the backward kernels' launches take are counted by so many.</summary>
    public const int RangeRows = 128;

    /// <summary>Lanes of a warp.</summary>
    public const int Lanes = 32;

    private const int WarpRows = 16;
    private const int FewWarps = 4;
    private const int ManyWarps = 8;
    private const int Narrow = 64;                  // columns of a tile that are worth a loop's round
    private const int MostBlocks = 4;               // of a tile: a row has numbers of each in registers

    // Registers of a lane, of 255, for the sums of 16 rows and a tile's scores; there are addresses and operands beside them.
    private const int Registers = 192;
    private const int OtherRegisters = 64;
    private const int AllRegisters = 65536;         // of a multiprocessor

    /// <summary>Whether there are such kernels.</summary>
    public bool Exists => HeadDim is >= 16 and <= 256 && HeadDim % 16 == 0 && Block is >= 2 and <= 256;

    /// <summary>Tiles of the forward kernel: of its registers a lane has d / 2 for sums and a half for each column of scores.</summary>
    public MmaTiles Forward => Tiles(1, 2 * (Registers - (HeadDim / 2)));

    /// <summary>Tiles of the kernel of queries' gradients: it has the values' products beside the scores.</summary>
    public MmaTiles Backward => Tiles(2, Registers - (HeadDim / 2));

    /// <summary>The second backward kernel's tiles: the first of some that fits, the fastest first.</summary>
    public MmaKeyTiles Keys
    {
        get
        {
            // Sums of d / split columns twice leave registers for so many scores and products of a warp's keys.
            var split = HeadDim > 128 ? 2 : 1;
            var rows = HeadDim is > 64 and <= 128 ? 32 : 64;
            ReadOnlySpan<MmaKeyTiles> candidates =
            [
                KeyTiles(FewWarps, split, rows, 2), KeyTiles(FewWarps, split, 32, 2), KeyTiles(FewWarps, split, 32, 1),
                KeyTiles(FewWarps / 2, split, 32, 2),
            ];
            foreach (var tiles in candidates)
            {
                if (tiles.Bytes <= Room) return tiles;
            }
            return KeyTiles(FewWarps / 2, split, 32, 1);
        }
    }

    // An odd number of 16 bytes: rows that are read together lie in different banks.
    private int RowBytes => (2 * HeadDim) + 16;

    /// <summary>Tiles of a kernel that takes queries through keys: as many warps on a multiprocessor as there can be.</summary>
    /// <param name="queryTiles">Tiles of rows of queries, beside two of keys or values.</param>
    /// <param name="mostColumns">What registers have room for.</param>
    private MmaTiles Tiles(int queryTiles, int mostColumns)
    {
        var fitting = ((Room / RowBytes) - (queryTiles * FewWarps * WarpRows)) / 2;
        var (columns, chunks, blocks) = Columns(Math.Min(Math.Min(mostColumns, fitting) / 16 * 16, 2 * Narrow));
        MmaTiles Of(int warps, int rowBytes) =>
            new(warps, columns, chunks, blocks, ((queryTiles * warps * WarpRows) + (2 * columns * blocks)) * rowBytes);
        var (few, many) = (Of(FewWarps, RowBytes), Of(ManyWarps, RowBytes));
        var registers = Math.Min(255, (HeadDim / 2) + (queryTiles * columns * blocks / 2) + OtherRegisters);
        var room = Room;
        int Resident(MmaTiles tiles) => tiles.Warps * Math.Min(room / tiles.Bytes, AllRegisters / (registers * tiles.Threads));
        return Resident(many) > Resident(few) ? many : few;
    }

    /// <summary>
    /// Columns of a block, or of a chunk of it, and blocks of a tile: whole blocks where they fit, as many as give the most regular
    /// columns for the width, but no narrow tile.
    /// </summary>
    private (int Columns, int Chunks, int Blocks) Columns(int most)
    {
        if (Up(Block, 16) > most)
        {
            var columns = Up(HopperShape.Over(Block, HopperShape.Over(Block, most)), 16);
            return (columns, HopperShape.Over(Block, columns), 1);
        }
        var (packed, best) = (Up(Block, 8), (Columns: Up(Block, 16), Blocks: 1));
        var share = Block >= Narrow / 2 ? Block / (double)best.Columns : 0;
        for (var blocks = Math.Clamp(Math.Min(Narrow, most) / packed, 1, MostBlocks); blocks <= MostBlocks && blocks * packed <= most; blocks++)
        {
            // A product over a tile's columns goes 16 at a time.
            if (blocks * packed % 16 != 0 || Block <= share * packed) continue;
            (best, share) = ((packed, blocks), Block / (double)packed);
        }
        return (best.Columns, 1, best.Blocks);
    }

    // Keys and values; of each stage queries, gradients and twice 8 bytes for each query and block; W and dS, where warps share keys.
    private MmaKeyTiles KeyTiles(int warps, int split, int queryRows, int stages)
    {
        var keys = warps * WarpRows;
        var blocks = ((keys + Block - 2) / Block) + 1;
        var stage = (2 * queryRows * RowBytes) + (blocks * 2 * queryRows * 8);
        var exchange = split > 1 ? 2 * keys * ((2 * queryRows) + 16) : 0;
        return new(warps, split, queryRows, stages, (2 * keys * RowBytes) + (stages * stage) + exchange);
    }

    private static int Up(int x, int to) => (x + to - 1) / to * to;
}

/// <summary>Tiles of the kernels that take queries through keys.</summary>
/// <param name="Warps">Warps of a thread block, with 16 queries each.</param>
/// <param name="Columns">Columns of a block, or of a chunk of it.</param>
/// <param name="Chunks">Chunks of a block.</param>
/// <param name="Blocks">Blocks of a tile.</param>
/// <param name="Bytes">Shared memory of a thread block.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MmaTiles(int Warps, int Columns, int Chunks, int Blocks, int Bytes)
{
    /// <summary>Queries of a thread block.</summary>
    public int Rows => 16 * Warps;

    /// <summary>Threads of a thread block.</summary>
    public int Threads => MmaShape.Lanes * Warps;

    /// <summary>The kernels' macros.</summary>
    public string[] Defines => [$"WARPS={Warps}", $"COLUMNS={Columns}", $"CHUNKS={Chunks}", $"TILE_BLOCKS={Blocks}"];
}

/// <summary>Tiles of the kernel that takes keys through queries.</summary>
/// <param name="KeyWarps">How often 16 keys a thread block has.</param>
/// <param name="Split">Warps that have the same keys.</param>
/// <param name="QueryRows">Queries of a tile.</param>
/// <param name="Stages">Tiles of queries in shared memory.</param>
/// <param name="Bytes">Shared memory of a thread block.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct MmaKeyTiles(int KeyWarps, int Split, int QueryRows, int Stages, int Bytes)
{
    /// <summary>Keys of a thread block.</summary>
    public int Keys => 16 * KeyWarps;

    /// <summary>Threads of a thread block.</summary>
    public int Threads => MmaShape.Lanes * KeyWarps * Split;

    /// <summary>The kernel's macros.</summary>
    public string[] Defines => [$"KEY_WARPS={KeyWarps}", $"SPLIT={Split}", $"QUERY_ROWS={QueryRows}", $"STAGES={Stages}"];
}
