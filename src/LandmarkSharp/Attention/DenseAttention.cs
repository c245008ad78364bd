using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmark attention over one window with every block seen: what training computes, and the oracle of retrieval.
/// Positions are 0 … T−1, landmarks counted (landmark-attention.md 2.3), unless others are given.
/// </summary>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="layout">Where the window's blocks lie; as many queries as keys.</param>
/// <param name="positions">[B, T] int64: each row's positions; null for 0 … T−1.</param>
public sealed class DenseAttention(Rotary rotary, BlockLayout layout, Tensor? positions = null) : IAttention, IDisposable
{
    private RotaryTable? table;

    /// <summary>Group dropout, another in each layer; none when null.</summary>
    public GateDropout? Dropout { get; set; }

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        table ??= rotary.Table(positions?.unsqueeze(1) ?? arange(layout.Keys, device: q.device), q.dtype).Keep();    // [B, 1, T, d/2] or [T, d/2]
        var scale = rotary.ScoreScale / Math.Sqrt(rotary.HeadDim);
        return LandmarkAttention.Attend(RotaryFunction.Apply(q, table), RotaryFunction.Apply(k, table), v, layout, scale, Dropout?.OfLayer(layer)).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the table of angles; the layout is the caller's.</summary>
    public void Dispose()
    {
        table?.Dispose();
        table = null;
    }
}
