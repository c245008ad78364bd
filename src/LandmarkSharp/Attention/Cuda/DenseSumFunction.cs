using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// <see cref="DenseFunction{TKernels}"/> with the logarithm of the gate's sum as a second result. Gradients of both must be asked for:
/// TorchSharp cannot pass on that one is not.
/// </summary>
/// <typeparam name="TKernels">Which kernels.</typeparam>
internal sealed class DenseSumFunction<TKernels> : autograd.MultiTensorFunction<DenseSumFunction<TKernels>>
    where TKernels : IDenseKernels
{
    public override string Name => $"DenseSum{typeof(TKernels).Name}";

    /// <summary>As <see cref="PartialAttention.AttendWithSum"/>, for what <see cref="DenseFunction{TKernels}.Serves"/> allows.</summary>
    public static (Tensor Output, Tensor LogSum) Apply(Tensor q, Tensor k, Tensor v, DenseProblem problem)
    {
        using var scope = NewDisposeScope();
        var (output, logSum) = AttentionBackends.NeedsGradient(q, k, v) ? Both(apply(q, k, v, problem)) : TKernels.Forward(q, k, v, problem);
        // The kernels' is to the base 2, and +∞ where there is nothing.
        logSum = (logSum * Math.Log(2)).masked_fill(logSum.isposinf(), double.NegativeInfinity);
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (output, logSum) = DenseFunction<TKernels>.Forward(ctx, vars);
        return [output, logSum];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs) => BackwardFailure.Kept(4, () =>
    {
        using var gradient = grad_outputs[1];
        return DenseFunction<TKernels>.Backward(ctx, grad_outputs[0], gradient / Math.Log(2));
    });

    private static (Tensor Output, Tensor LogSum) Both(List<Tensor> results) => (results[0], results[1]);
}
