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
    private RotaryTable? table, before;

    /// <summary>Group dropout, another in each layer; none when null.</summary>
    public SeededDropout? Dropout { get; set; }

    /// <summary>
    /// [B, N] bool, for a model with a context-miss token: blocks whose gates are that token's. The first of the positions given is
    /// then the token itself, and the layout begins with the one after it. Null for none.
    /// </summary>
    public Tensor? Controlled { get; set; }

    /// <summary>Blocks of a window, N.</summary>
    internal long Blocks => layout.Blocks;

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        table ??= rotary.Table(positions?.unsqueeze(1) ?? arange(layout.Keys, device: q.device), q.dtype).Keep();    // [B, 1, T, d/2] or [T, d/2]
        var scale = rotary.ScoreScale / Math.Sqrt(rotary.HeadDim);
        if (Controlled is { } controlled) return WithMiss(layer, q, k, v, controlled, scale).MoveToOuterDisposeScope();
        return LandmarkAttention
            .Attend(RotaryFunction.Apply(q, table), RotaryFunction.Apply(k, table), v, layout, scale, Dropout?.At(layer))
            .MoveToOuterDisposeScope();
    }

    /// <summary>Frees the tables of angles; the layout is the caller's.</summary>
    public void Dispose()
    {
        table?.Dispose();
        before?.Dispose();
        (table, before) = (null, null);
    }

    // The token sees itself alone, with weight 0 as everybody sees it: its layers add what their feed-forwards do, and nothing else.
    private Tensor WithMiss(int layer, Tensor q, Tensor k, Tensor v, Tensor controlled, double scale)
    {
        before ??= rotary.Table(tensor(new[] { ContextMiss.Position }, device: q.device), q.dtype).Keep();
        Tensor Text(Tensor x) => x.narrow(2, 1, layout.Keys);
        var (output, mass) = ContextMiss.Attend(
            RotaryFunction.Apply(Text(q), table!), RotaryFunction.Apply(Text(k), table!), Text(v), RotaryFunction.Apply(k.narrow(2, 0, 1), before),
            controlled, layout, scale, dropout: Dropout?.At(layer));
        mass.Dispose();
        return cat([zeros_like(output.narrow(2, 0, 1)), output], 2);                        // [B, H, 1 + T, d]
    }
}
