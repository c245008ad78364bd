using LandmarkSharp.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmark attention over a sequence that is there as a whole: a fused kernel where there is one, and the reference in
/// ordinary torch operators, differentiable, of any type and on any device. Its softmax over blocks is <see cref="GroupedSoftmax"/>.
/// </summary>
public static class LandmarkAttention
{
    /// <summary>Attention of queries over their whole sequence.</summary>
    /// <param name="q">[B, H, T, d], rotated; query t stands at position S − T + t.</param>
    /// <param name="k">[B, G, S, d], rotated; G divides H: head h reads key-value head h / (H/G).</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="layout">Where the blocks lie; its S and T are the tensors'.</param>
    /// <param name="scale">What scores are multiplied by; 1/√d when null.</param>
    /// <param name="dropout">
    /// In training, which gates are dropped; none when null. Where no kernels for tensor cores serve, dropping takes memory that grows
    /// with the square of the sequence.
    /// </param>
    /// <returns>[B, H, T, d]; zeros for a query that sees nothing.</returns>
    /// <exception cref="LandmarkException">The tensors do not fit each other or the layout.</exception>
    public static Tensor Attend(Tensor q, Tensor k, Tensor v, BlockLayout layout, double? scale = null, SeededDropout? dropout = null)
    {
        Check(q, k, v, layout);
        var times = scale ?? 1 / Math.Sqrt(q.shape[3]);
        if (dropout is { Probability: not 0 } drop) return PartialAttention.Attend(q, k, v, layout, times, null, drop.Checked());
        var backend = AttentionBackends.For(q, k, v, layout, times);
        return backend switch
        {
            AttentionBackend.Reference => Reference(q, k, v, layout, times),
            AttentionBackend.Hopper => DenseFunction<HopperAttention>.Apply(q, k, v, DenseProblem.Of(layout, times)),
            AttentionBackend.CudaMma => DenseFunction<MmaAttention>.Apply(q, k, v, DenseProblem.Of(layout, times)),
            AttentionBackend.CudaPlain => PlainForward.Apply(q, k, v, layout.Regularity!.Value, times),
            _ => CpuDense.Apply(q, k, v, layout.Regularity!.Value, times, backend),
        };
    }

    /// <summary>The attention matrix after gating, 0 at landmarks and at what is not seen.</summary>
    /// <inheritdoc cref="Attend"/>
    /// <returns>[B, H, T, N, W], in blocks; <see cref="BlockLayout.Restore"/> gives the order of the keys.</returns>
    public static Tensor Weights(Tensor q, Tensor k, BlockLayout layout, double? scale = null)
    {
        Check(q, k, layout);
        using var scope = NewDisposeScope();
        var (n, w) = (layout.Blocks, layout.Columns);
        var keys = layout.Arrange(k);                                                   // [B, G, N·W, d]
        var queries = q * (scale ?? 1 / Math.Sqrt(q.shape[3]));
        var scores = Scores(queries, keys).unflatten(3, [n, w]);                        // [B, H, T, N, W]
        return GroupedSoftmax.Apply(scores, layout).MoveToOuterDisposeScope();
    }

    /// <summary>q·kᵀ with grouped heads: [B, H, T, d] and [B, G, S, d] give [B, H, T, S]; keys are not repeated.</summary>
    internal static Tensor Scores(Tensor q, Tensor k)
    {
        using var scope = NewDisposeScope();
        var (b, h, t, g) = (q.shape[0], q.shape[1], q.shape[2], k.shape[1]);
        var grouped = q.reshape(b, g, h / g * t, -1);                                   // heads of a group stand together
        return grouped.matmul(k.transpose(2, 3)).view(b, h, t, -1).MoveToOuterDisposeScope();
    }

    /// <summary>W·V with grouped heads: [B, H, T, S] and [B, G, S, d] give [B, H, T, d].</summary>
    internal static Tensor Values(Tensor weights, Tensor v)
    {
        using var scope = NewDisposeScope();
        var (b, h, t, g) = (weights.shape[0], weights.shape[1], weights.shape[2], v.shape[1]);
        var grouped = weights.reshape(b, g, h / g * t, -1);
        return grouped.matmul(v).view(b, h, t, -1).MoveToOuterDisposeScope();
    }

    private static Tensor Reference(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale)
    {
        using var scope = NewDisposeScope();
        var weights = Weights(q, k, layout, scale);
        return Values(weights.flatten(3, 4), layout.Arrange(v)).MoveToOuterDisposeScope();
    }

    /// <summary>Throws what does not fit.</summary>
    internal static void Check(Tensor q, Tensor k, Tensor v, BlockLayout layout)
    {
        Check(q, k, layout);
        if (v.dim() != 4 || !v.shape.AsSpan(0, 3).SequenceEqual(k.shape.AsSpan(0, 3)))
            throw new LandmarkException(
                $"Attention over values [{string.Join(", ", v.shape)}] with keys [{string.Join(", ", k.shape)}]: "
                + "expected a value for every key of every head.");
    }

    // A shape error inside matmul, or inside autograd's backward, would end the process; so shapes are checked first.
    private static void Check(Tensor q, Tensor k, BlockLayout layout)
    {
        if (q.dim() != 4 || k.dim() != 4 || q.shape[0] != k.shape[0] || q.shape[3] != k.shape[3] || k.shape[1] == 0
            || q.shape[1] % k.shape[1] != 0)
            throw new LandmarkException(
                $"Attention of queries [{string.Join(", ", q.shape)}] over keys [{string.Join(", ", k.shape)}]: "
                + "expected [B, H, T, d] and [B, G, S, d] with G dividing H.");
        if (q.shape[2] != layout.Queries || k.shape[2] != layout.Keys)
            throw new LandmarkException(
                $"The layout is for {layout.Queries} queries over {layout.Keys} keys, the tensors have {q.shape[2]} and {k.shape[2]}.");
        if (layout.Rows != 1 && layout.Rows != q.shape[0])
            throw new LandmarkException(
                $"The layout has {layout.Rows} rows and the batch {q.shape[0]}: give a layout of one row for all or of one for each.");
    }
}
