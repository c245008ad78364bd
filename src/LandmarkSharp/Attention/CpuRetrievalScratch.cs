using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>What a thread works with while it reads a span of queries.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct CpuRetrievalScratch
{
    /// <summary>Queries of one block from which on a tile of 32 lanes is faster than the queries one by one.</summary>
    public const int WorthATile = 8;

    /// <summary>Divides up the memory.</summary>
    /// <param name="memory">As many floats as <see cref="Size"/> says.</param>
    /// <param name="queries">The most queries of a span.</param>
    /// <param name="view">What is read.</param>
    public CpuRetrievalScratch(float* memory, int queries, CpuRetrievalView view)
    {
        var (tile, picks) = (view.Width * CpuTile.Lanes, queries * view.Sizes.K);
        Rows = memory;
        Forms = Rows + tile;
        Result = Forms + tile;
        Scores = Result + tile;
        Highest = Scores + ((view.Tokens + 1) * CpuTile.Lanes);
        Sums = Highest + CpuTile.Lanes;
        Factors = Sums + CpuTile.Lanes;
        ChosenForms = Factors + (2 * CpuTile.Lanes);
        Places = (int*)(ChosenForms + ((long)picks * view.Width));
        Picks = Places + picks;
        Starts = Picks + picks;
        Widened = (float*)(Starts + view.Sizes.InMemory + 1);
    }

    /// <summary>[64, d].</summary>
    public float* Rows { get; }

    /// <summary>[d, 64].</summary>
    public float* Forms { get; }

    /// <summary>[d, 64].</summary>
    public float* Result { get; }

    /// <summary>[ℓ + 1, 64].</summary>
    public float* Scores { get; }

    /// <summary>[64]: the highest logit of each lane's gate.</summary>
    public float* Highest { get; }

    /// <summary>[64]: its sum, less the highest logit.</summary>
    public float* Sums { get; }

    /// <summary>[2, 64].</summary>
    public float* Factors { get; }

    /// <summary>[queries·k, d]: a query in the form of each block it chose, by blocks.</summary>
    public float* ChosenForms { get; }

    /// <summary>[queries·k]: where each pick stands among those forms.</summary>
    public int* Places { get; }

    /// <summary>[queries·k]: the pick that stands at each place.</summary>
    public int* Picks { get; }

    /// <summary>[m + 1]: the first place of each block.</summary>
    public int* Starts { get; }

    /// <summary>[ℓ, d]: keys or values of blocks that are not float32, as float32.</summary>
    public float* Widened { get; }

    /// <summary>Floats needed.</summary>
    public static int Size(int queries, CpuRetrievalView view) => checked(
        (((3 * view.Width) + view.Tokens + 1 + 4) * CpuTile.Lanes) + (queries * view.Sizes.K * (view.Width + 2)) + view.Sizes.InMemory + 1
        + (view.Rows.Size == sizeof(float) ? 0 : view.Tokens * view.Width));
}

/// <summary>The blocks that queries chose, turned about: for each block its queries. Sorted by counting.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct PicksByBlock
{
    private readonly int* starts, picks;

    /// <summary>Sorts.</summary>
    /// <param name="chosen">[count]: each pick's block; −1 for none.</param>
    /// <param name="count">Picks.</param>
    /// <param name="blocks">Blocks there are.</param>
    /// <param name="room">Where places, picks and starts are kept.</param>
    public PicksByBlock(long* chosen, int count, int blocks, in CpuRetrievalScratch room)
    {
        starts = room.Starts;
        picks = room.Picks;
        new Span<int>(starts, blocks + 1).Clear();
        for (var i = 0; i < count; i++)
            if (chosen[i] >= 0) starts[chosen[i]]++;
        var end = 0;
        for (var b = 0; b <= blocks; b++) starts[b] = end += starts[b];
        for (var i = count - 1; i >= 0; i--)                                                // from the back: picks stay in order
        {
            if (chosen[i] < 0) continue;
            var place = --starts[chosen[i]];
            (room.Places[i], picks[place]) = (place, i);
        }
    }

    /// <summary>The first place of a block, or of none that follow.</summary>
    public int Start(int block) => starts[block];

    /// <summary>The pick at a place: query of the span · k + number among its chosen.</summary>
    public int Pick(int place) => picks[place];
}
