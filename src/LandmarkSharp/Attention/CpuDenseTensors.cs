using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>What the kernels of dense landmark attention read.</summary>
/// <param name="q">[B, H, T, d].</param>
/// <param name="k">[B, G, S, d].</param>
/// <param name="v">[B, G, S, d].</param>
/// <param name="blocks">Where blocks lie.</param>
/// <param name="scale">What scores are multiplied by.</param>
internal sealed class CpuDenseTensors(Tensor q, Tensor k, Tensor v, RegularBlocks blocks, double scale)
{
    public int Batch { get; } = (int)q.shape[0];

    /// <summary>Query heads, H.</summary>
    public int Heads { get; } = (int)q.shape[1];

    /// <summary>Key-value heads, G.</summary>
    public int Groups { get; } = (int)k.shape[1];

    /// <summary>Width of a head, d.</summary>
    public int Width { get; } = (int)q.shape[3];

    public RegularBlocks Blocks => blocks;

    public float Scale { get; } = (float)scale;

    /// <summary>Position of the first query.</summary>
    public int First => blocks.Keys - blocks.Queries;

    /// <summary>Room for the scores of a block, its landmark's row counted.</summary>
    public int ScoreRoom => (blocks.Longest + 1) * CpuTile.Lanes;

    public HeadRows Q { get; } = new(q);

    public HeadRows K { get; } = new(k);

    public HeadRows V { get; } = new(v);

    /// <summary>The key-value head of a query head.</summary>
    public int Group(int head) => head / (Heads / Groups);
}
