using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// The context-miss gate (the paper's appendix D, landmark-attention.md 1.7): some blocks are controlled. They share, by a softmax
/// over them alone, the mass that a query's gate gives to one more token, the context-miss token, of which nothing is read. Where
/// that mass is small, there is nothing to retrieve. Where no kernels for tensor cores serve, it takes memory that grows with the square
/// of the sequence.
/// <code>
/// P over { own block, free blocks b: s_λb, miss: s_miss },   Q over { controlled blocks c: s_λc }
/// out = Σ P_b · o_b + P_miss · Σ Q_c · o_c
/// </code>
/// </summary>
public static class ContextMiss
{
    /// <summary>Where the token stands: before the text.</summary>
    internal const long Position = -1;

    /// <summary>Attention of queries over their whole sequence.</summary>
    /// <param name="q">As <see cref="LandmarkAttention.Attend"/> has it; likewise the next two.</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="miss">[B, G, 1, d]: the key of the context-miss token, rotated to position −1.</param>
    /// <param name="controlled">[B, N] bool: blocks whose gate is the context-miss token's.</param>
    /// <param name="layout">Where the blocks lie.</param>
    /// <param name="scale">What scores are multiplied by; 1/√d when null.</param>
    /// <param name="cutoff">A mass of the context-miss token below this one counts as none; the rest is not raised for it.</param>
    /// <param name="dropout">Which gates are dropped; none when null.</param>
    /// <returns>The result [B, H, T, d], and the context-miss token's mass P_miss [B, H, T] before the cut-off, to be looked at: without gradient.</returns>
    /// <exception cref="LandmarkException">The tensors do not fit each other or the layout.</exception>
    public static (Tensor Output, Tensor Mass) Attend(
        Tensor q, Tensor k, Tensor v, Tensor miss, Tensor controlled, BlockLayout layout,
        double? scale = null, double cutoff = 0, SeededDropout? dropout = null)
    {
        LandmarkAttention.Check(q, k, v, layout);
        if (miss.dim() != 4 || miss.shape[2] != 1 || miss.shape[0] != k.shape[0] || miss.shape[1] != k.shape[1] || miss.shape[3] != k.shape[3]
            || controlled.dim() != 2 || controlled.shape[0] != k.shape[0] || controlled.shape[1] != layout.Blocks || controlled.dtype != ScalarType.Bool)
            throw new LandmarkException(
                $"A context-miss key [{string.Join(", ", miss.shape)}] and {controlled.dtype} marks [{string.Join(", ", controlled.shape)}] of the "
                + $"blocks that it controls: expected [{k.shape[0]}, {k.shape[1]}, 1, {k.shape[3]}] and Bool [{k.shape[0]}, {layout.Blocks}].");
        foreach (var x in (ReadOnlySpan<Tensor>)[miss, controlled])
        {
            if (x.device_type != q.device_type || x.device_index != q.device_index || (x.dtype != ScalarType.Bool && x.dtype != q.dtype))
                throw new LandmarkException(
                    $"The context-miss key and the marks of its blocks must be on {q.device} as the queries are, the key {q.dtype}; "
                    + $"found {x.dtype} on {x.device}.");
        }
        if (cutoff is not (>= 0 and <= 1)) throw new LandmarkException($"A mass is from 0 to 1, and so is its cut-off; {cutoff} was given.");
        using var scope = NewDisposeScope();
        var times = scale ?? 1 / Math.Sqrt(q.shape[3]);
        var own = ones([controlled.shape[0], 1], ScalarType.Bool, controlled.device);
        var (free, freeSum) = PartialAttention.AttendWithSum(q, k, v, layout, times, cat([controlled.logical_not(), own], 1), dropout?.Checked());
        var bound = PartialAttention.Attend(q, k, v, layout, times, cat([controlled, own.logical_not()], 1), dropout?.Checked());
        var score = (LandmarkAttention.Scores(q, miss) * times).squeeze(-1).to(freeSum.dtype);          // [B, H, T]
        var mass = (score - freeSum).sigmoid();
        var counted = cutoff > 0 ? mass.masked_fill(mass.lt(cutoff), 0) : mass;
        var output = (free * (1 - mass).unsqueeze(-1).to(free.dtype)) + (bound * counted.unsqueeze(-1).to(bound.dtype));
        return (output.MoveToOuterDisposeScope(), mass.detach().MoveToOuterDisposeScope());
    }
}
