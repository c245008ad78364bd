using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>A float32 tensor [B, H, T, d] as addresses, in whatever order its heads lie. It does not keep the tensor alive.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly unsafe struct HeadRows
{
    private readonly float* data;
    private readonly long batch, head;

    public HeadRows(Tensor x)
    {
        var strides = x.stride();
        data = (float*)Aten.DataPointer(x);
        (batch, head, Row) = (strides[0], strides[1], (nint)strides[2]);
    }

    /// <summary>From one row of a head to the next.</summary>
    public nint Row { get; }

    /// <summary>The row of position t.</summary>
    public float* At(int b, int h, int t) => data + (b * batch) + (h * head) + (t * Row);

    /// <summary>The rows from position t on, [·, d].</summary>
    public Matrix From(int b, int h, int t) => new(At(b, h, t), Row);
}

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
