using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmark attention over one window with every block seen: what training computes, and the oracle of retrieval.
/// Positions are 0 … T−1, landmarks counted (landmark-attention.md 2.3).
/// </summary>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="layout">Where the window's blocks lie; as many queries as keys.</param>
public sealed class DenseAttention(Rotary rotary, BlockLayout layout) : IAttention, IDisposable
{
    private RotaryTable? table;

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        table ??= rotary.Table(arange(layout.Keys, device: q.device), q.dtype).Keep();
        var scale = rotary.ScoreScale / Math.Sqrt(rotary.HeadDim);
        return LandmarkAttention.Attend(table.Rotate(q), table.Rotate(k), v, layout, scale).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the table of angles; the layout is the caller's.</summary>
    public void Dispose()
    {
        table?.Dispose();
        table = null;
    }
}
