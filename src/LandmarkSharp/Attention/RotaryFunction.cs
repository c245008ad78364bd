using LandmarkSharp.Attention.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Rotation for training. Its gradient is turned back by the same angles, x' = R·x and dx = Rᵀ·dx', so both directions are three passes,
/// and one on a card that runs our kernels, where autograd would take a pass for each product, sum and half.
/// </summary>
internal sealed class RotaryFunction : autograd.SingleTensorFunction<RotaryFunction>
{
    public override string Name => nameof(RotaryFunction);

    /// <summary>As <see cref="RotaryTable.Rotate"/>, of heads that are not broadcast.</summary>
    /// <param name="x">[B, H, T, d].</param>
    /// <param name="table">[T, d/2] or [B, 1, T, d/2].</param>
    public static Tensor Apply(Tensor x, RotaryTable table) =>
        is_grad_enabled() && x.requires_grad ? apply(x, table.Cos, table.Sin) : Turn(x, table.Cos, table.Sin, 1);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (x, cos, sin) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([cos, sin]);
        return Turn(x, cos, sin, 1);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(3, () => Gradients(ctx, grad_output));

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var back = Turn(gradient, saved[0], saved[1], -1);
        gradient.Dispose();
        return [.. ReturnedGradients.Keep([back]), null!, null!];
    }

    /// <summary>(a, b) → (a·cos − s·b·sin, b·cos + s·a·sin) for the halves of the last dimension; s is 1 forth and −1 back.</summary>
    private static Tensor Turn(Tensor x, Tensor cos, Tensor sin, int sign)
    {
        using var quiet = no_grad();
        if (CudaRotation.Serves(x, cos)) return CudaRotation.Turn(x, cos, sin, sign);
        using var scope = NewDisposeScope();
        var halves = x.unflatten(3, [2, -1]);                                           // [B, H, T, 2, d/2]
        var turned = halves * cos.unsqueeze(-2);
        turned.select(3, 0).addcmul_(halves.select(3, 1), sin, -sign);
        turned.select(3, 1).addcmul_(halves.select(3, 0), sin, sign);
        return turned.flatten(3, 4).MoveToOuterDisposeScope();
    }
}
