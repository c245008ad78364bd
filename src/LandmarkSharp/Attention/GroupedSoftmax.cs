using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// The paper's grouped softmax (section 3.1, equations 1 to 4), forward and backward, in the form of landmark-attention.md 1.3:
/// <code>
/// A_b = softmax of s_i over the regular tokens of block b that i sees
/// P   = softmax over b of { s_i,λb for an earlier block; log Σ exp s_ij over i's own block }
/// W_bj = P_b · A_b[j]
/// </code>
/// which is equation 4, since P_own · A_own[j] = exp(s_ij) / Σ over the gate. With u_b = Σ_j W_bj·dW_bj and ū = Σ_b u_b:
/// <code>
/// ds_bj = W_bj · (dW_bj − u_b / P_b)     for an earlier block,   dλ_b = u_b − P_b · ū
/// ds_bj = W_bj · (dW_bj − ū)             for the own block, whose logit is made of its scores
/// </code>
/// Deriving it by hand reads the matrix three times where composed operators read it ten times.
/// </summary>
internal sealed class GroupedSoftmax : autograd.SingleTensorFunction<GroupedSoftmax>
{
    public override string Name => nameof(GroupedSoftmax);

    /// <summary>The attention matrix in blocks.</summary>
    /// <param name="scores">[B, H, T, N, W], scaled; used up: they are masked in place.</param>
    /// <param name="layout">Whose masks are read.</param>
    /// <returns>[B, H, T, N, W]: 0 at landmarks and at what is not seen.</returns>
    public static Tensor Apply(Tensor scores, BlockLayout layout) => apply(scores, layout);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (scores, layout) = ((Tensor)vars[0], (BlockLayout)vars[1]);
        using var scope = NewDisposeScope();
        var (inner, gate) = Halves(scores, layout);
        var p = softmax(gate, -1) * layout.GateVisible;                                 // [B, H, T, N]
        var weights = inner.mul_(p.to(inner.dtype).unsqueeze(-1)).MoveToOuterDisposeScope();
        ctx.save_for_backward([weights, p.MoveToOuterDisposeScope(), layout.IsOwn]);    // the layout may be gone by then
        ctx.save_data("columns", layout.Columns);
        return weights;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(2, () => Gradients(ctx, grad_output));

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (weights, p, isOwn) = (saved[0], saved[1], saved[2]);
        var columns = (long)ctx.get_data("columns");
        var scores = gradient * weights;                                                // becomes ds
        var u = scores.sum([-1L], type: p.dtype);                                       // [B, H, T, N]
        var all = u.sum([-1L], keepdim: true);
        var each = where(isOwn, all, u / p.clamp_min(1e-30));
        scores.addcmul_(weights, each.to(weights.dtype).unsqueeze(-1), -1);
        var landmarks = (u - (p * all)).masked_fill(isOwn, 0);
        scores.select(4, columns - 1).copy_(landmarks);                                 // a complete block's last column
        gradient.Dispose();
        return [.. ReturnedGradients.Keep([scores]), null!];
    }

    /// <summary>A of every block, and what each block brings to the gate.</summary>
    /// <param name="scores">[B, H, T, N, W]; masked in place.</param>
    /// <param name="layout">Whose masks are read.</param>
    /// <returns>Inner [B, H, T, N, W], and the gate's logits [B, H, T, N] in float32 or wider.</returns>
    private static (Tensor Inner, Tensor Gate) Halves(Tensor scores, BlockLayout layout)
    {
        using var scope = NewDisposeScope();
        var wide = scores.dtype == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;
        var landmarks = scores.select(4, layout.Columns - 1).to(wide, copy: true);
        scores.add_(layout.Bias(scores.dtype));
        var gate = Gate(scores, landmarks, layout);
        return (softmax(scores, -1).MoveToOuterDisposeScope(), gate.MoveToOuterDisposeScope());
    }

    /// <summary>What each block brings to the gate: its landmark's score, the own block the logarithm of its sum.</summary>
    /// <param name="scores">[B, H, T, N, W], masked.</param>
    /// <param name="landmarks">[B, H, T, N].</param>
    /// <param name="layout">Whose masks are read.</param>
    internal static Tensor Gate(Tensor scores, Tensor landmarks, BlockLayout layout)
    {
        using var scope = NewDisposeScope();
        var ownIndex = layout.OwnBlock.expand(scores.shape[0], scores.shape[1], -1, 1, scores.shape[4]);
        var own = scores.gather(3, ownIndex).to(landmarks.dtype).logsumexp(-1);         // [B, H, T, 1]
        return where(layout.IsOwn, own, landmarks).masked_fill(layout.GateVisible.logical_not(), BlockLayout.Masked)
            .MoveToOuterDisposeScope();
    }
}
