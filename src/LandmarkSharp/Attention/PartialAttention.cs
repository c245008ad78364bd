using LandmarkSharp.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Landmark attention in which not every block's gate counts: of some blocks, with or without the query's own, or with gates
/// dropped at random. The gate's sum puts parts together.
/// </summary>
internal static class PartialAttention
{
    /// <summary>Attention over some blocks.</summary>
    /// <param name="q">As <see cref="LandmarkAttention.Attend"/> has it; likewise the next three.</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="layout">Where the blocks lie.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <param name="choices">[B, N + 1] bool: whether a gate has the block, and last whether it has the query's own; all when null.</param>
    /// <param name="dropout">Which gates are dropped; none when null.</param>
    /// <returns>[B, H, T, d]; zeros where the gate has nothing.</returns>
    public static Tensor Attend(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale, Tensor? choices, SeededDropout? dropout)
    {
        switch (AttentionBackends.ForParts(q, k, v, layout, scale))
        {
            case AttentionBackend.Hopper: return DenseFunction<HopperAttention>.Apply(q, k, v, Problem(layout, scale, choices, dropout));
            case AttentionBackend.CudaMma: return DenseFunction<MmaAttention>.Apply(q, k, v, Problem(layout, scale, choices, dropout));
        }
        using var scope = NewDisposeScope();
        return Reference(q, k, v, layout, scale, choices, dropout).Output.MoveToOuterDisposeScope();
    }

    /// <summary>Attention over some blocks, and its gate's sum. Gradients of both must be asked for, or of none.</summary>
    /// <inheritdoc cref="Attend"/>
    /// <returns>[B, H, T, d], and the logarithm of the gate's sum, [B, H, T] in float32 or wider: −∞ where it has nothing.</returns>
    public static (Tensor Output, Tensor LogSum) AttendWithSum(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale, Tensor? choices, SeededDropout? dropout)
    {
        switch (AttentionBackends.ForParts(q, k, v, layout, scale))
        {
            case AttentionBackend.Hopper: return DenseSumFunction<HopperAttention>.Apply(q, k, v, Problem(layout, scale, choices, dropout));
            case AttentionBackend.CudaMma: return DenseSumFunction<MmaAttention>.Apply(q, k, v, Problem(layout, scale, choices, dropout));
        }
        using var scope = NewDisposeScope();
        var (output, logSum) = Reference(q, k, v, layout, scale, choices, dropout);
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    /// <summary>What kernels are asked.</summary>
    private static DenseProblem Problem(BlockLayout layout, double scale, Tensor? choices, SeededDropout? dropout) =>
        DenseProblem.Of(layout, scale) with { Choices = choices?.contiguous(), Dropout = dropout };

    /// <summary>The same in torch's operators.</summary>
    private static (Tensor Output, Tensor LogSum) Reference(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale, Tensor? choices, SeededDropout? dropout)
    {
        var wide = q.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        var (n, w) = (layout.Blocks, layout.Columns);
        var scores = LandmarkAttention.Scores(q * scale, layout.Arrange(k)).unflatten(3, [n, w]);    // [B, H, T, N, W]
        var landmarks = scores.select(4, w - 1).to(wide);
        scores = scores + layout.Bias(scores.dtype);
        var counts = layout.GateVisible;                                                             // [R, 1, T, N]
        if (choices is not null)
            counts = counts & where(layout.IsOwn, choices.narrow(1, n, 1).view(-1, 1, 1, 1), choices.narrow(1, 0, n).unsqueeze(1).unsqueeze(1));
        var gate = GroupedSoftmax.Gate(scores, landmarks, layout).masked_fill(counts.logical_not(), double.NegativeInfinity);
        var some = counts.any(-1).expand(gate.shape.AsSpan(0, 3).ToArray());                         // [B, H, T]
        // Where there is nothing, logarithms and their gradients are kept finite, and left out.
        var logSum = gate.masked_fill(some.logical_not().unsqueeze(-1), 0).logsumexp(-1);
        var p = (gate - logSum.unsqueeze(-1)).exp().masked_fill(counts.logical_not(), 0);            // [B, H, T, N]
        if (dropout is { } drop) p = where(layout.IsOwn, p, p * GateDropout.Mask(drop, p.shape, p.device).to(wide));
        var weights = softmax(scores, -1) * p.to(scores.dtype).unsqueeze(-1);
        return (LandmarkAttention.Values(weights.flatten(3, 4), layout.Arrange(v)), logSum.masked_fill(some.logical_not(), double.NegativeInfinity));
    }
}
