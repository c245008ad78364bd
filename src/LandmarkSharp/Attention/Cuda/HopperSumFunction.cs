using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// <see cref="HopperFunction"/> with the logarithm of the gate's sum as a second result. Gradients of both must be asked for:
/// TorchSharp cannot pass on that one is not.
/// </summary>
internal sealed class HopperSumFunction : autograd.MultiTensorFunction<HopperSumFunction>
{
    public override string Name => nameof(HopperSumFunction);

    /// <summary>As <see cref="PartialAttention.AttendWithSum"/>, for what <see cref="HopperFunction.Serves"/> allows.</summary>
    public static (Tensor Output, Tensor LogSum) Apply(Tensor q, Tensor k, Tensor v, HopperProblem problem)
    {
        using var scope = NewDisposeScope();
        var (output, logSum) = AttentionBackends.NeedsGradient(q, k, v) ? Both(apply(q, k, v, problem)) : HopperAttention.Forward(q, k, v, problem);
        // The kernels' is to the base 2, and +∞ where there is nothing.
        logSum = (logSum * Math.Log(2)).masked_fill(logSum.isposinf(), double.NegativeInfinity);
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (output, logSum) = HopperFunction.Forward(ctx, vars);
        return [output, logSum];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        using var gradient = grad_outputs[1];
        return HopperFunction.Backward(ctx, grad_outputs[0], gradient / Math.Log(2));
    }

    private static (Tensor Output, Tensor LogSum) Both(List<Tensor> results) => (results[0], results[1]);
}
