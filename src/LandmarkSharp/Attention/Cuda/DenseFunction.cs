using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>Kernels of dense attention as libtorch's autograd sees them.</summary>
/// <typeparam name="TKernels">Which ones.</typeparam>
internal sealed class DenseFunction<TKernels> : autograd.SingleTensorFunction<DenseFunction<TKernels>>
    where TKernels : IDenseKernels
{
    public override string Name => $"Dense{typeof(TKernels).Name}";

    /// <summary>Whether the kernels compute what is asked, gradients too if they may be asked for.</summary>
    public static bool Serves(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale) =>
        q.device_type == DeviceType.CUDA && layout.Regularity is { } blocks && scale > 0 && k.dtype == q.dtype && v.dtype == q.dtype
        && v.shape[3] == q.shape[3] && q.numel() > 0 && k.device_index == q.device_index && v.device_index == q.device_index
        && k.device_type == DeviceType.CUDA && v.device_type == DeviceType.CUDA
        && (layout.Documents is not { } documents || (documents.device_type == DeviceType.CUDA && documents.device_index == q.device_index))
        && TKernels.Serves(q, blocks.Length, AttentionBackends.NeedsGradient(q, k, v));

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, DenseProblem problem)
    {
        if (AttentionBackends.NeedsGradient(q, k, v)) return apply(q, k, v, problem);
        var (output, logSum) = TKernels.Forward(q, k, v, problem);
        logSum.Dispose();
        return output;
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars) => Forward(ctx, vars).Output;

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(4, () => Backward(ctx, grad_output, null));

    /// <summary>The forward pass; all that backward needs is kept.</summary>
    internal static (Tensor Output, Tensor LogSum) Forward(autograd.AutogradContext ctx, object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (q, k, v, problem) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (DenseProblem)vars[3]);
        // What can fail of backward other than for want of memory fails here.
        TKernels.CompileBackward(q, problem);
        var (output, logSum) = TKernels.Forward(q, k, v, problem);
        // By the time of backward the layout may be gone, but not what is saved.
        ctx.save_for_backward([q, k, v, output, logSum, .. new[] { problem.Documents, problem.Choices }.OfType<Tensor>()]);
        ctx.save_data("problem", problem);
        return (output, logSum);
    }

    /// <summary>Gradients of what was given, in its order; the output's gradients are used up.</summary>
    internal static List<Tensor> Backward(autograd.AutogradContext ctx, Tensor gradient, Tensor? logSumGradient)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var problem = (DenseProblem)ctx.get_data("problem");
        problem = problem with
        {
            Documents = problem.Documents is null ? null : saved[5],
            Choices = problem.Choices is null ? null : saved[^1],
        };
        var (dq, dk, dv) = TKernels.Backward(saved[0], saved[1], saved[2], saved[3], saved[4], gradient, logSumGradient, problem);
        gradient.Dispose();
        logSumGradient?.Dispose();
        return [.. ReturnedGradients.Keep([dq, dk, dv]), null!];
    }
}
