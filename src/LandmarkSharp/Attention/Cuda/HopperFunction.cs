using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary><see cref="HopperAttention"/> as libtorch's autograd sees it.</summary>
internal sealed class HopperFunction : autograd.MultiTensorFunction<HopperFunction>
{
    public override string Name => nameof(HopperFunction);

    /// <summary>Whether the kernels compute what is asked, gradients too if they may be asked for.</summary>
    public static bool Serves(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale) =>
        q.device_type == DeviceType.CUDA && layout.Regularity is { } blocks && scale > 0 && k.dtype == q.dtype && v.dtype == q.dtype
        && v.shape[3] == q.shape[3] && q.numel() > 0 && k.device_index == q.device_index && v.device_index == q.device_index
        && k.device_type == DeviceType.CUDA && v.device_type == DeviceType.CUDA
        && (layout.Documents is not { } documents || (documents.device_type == DeviceType.CUDA && documents.device_index == q.device_index))
        && HopperAttention.Serves(q, blocks.Length, AttentionBackends.NeedsGradient(q, k, v));

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale)
    {
        var (output, logSum) = Run(q, k, v, new HopperProblem(layout.Regularity!.Value, scale) { Documents = layout.Documents });
        logSum.Dispose();
        return output;
    }

    /// <summary>As <see cref="PartialAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static (Tensor Output, Tensor LogSum) Partial(
        Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale, Tensor? choices, GateDropout? dropout)
    {
        using var scope = NewDisposeScope();
        var (output, logSum) = Run(q, k, v, new HopperProblem(layout.Regularity!.Value, scale)
        {
            Documents = layout.Documents,
            Choices = choices is null ? null : choices.contiguous(),
            Dropout = dropout,
        });
        // The kernels' is to the base 2, and +∞ where there is nothing.
        logSum = (logSum * Math.Log(2)).masked_fill(logSum.isposinf(), double.NegativeInfinity);
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (q, k, v, problem) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (HopperProblem)vars[3]);
        // An error in backward would end the process, so what can fail of it fails here.
        HopperAttention.CompileBackward(q, problem);
        var (output, logSum) = HopperAttention.Forward(q, k, v, problem);
        // By the time of backward the layout may be gone, but not what is saved.
        ctx.save_for_backward([q, k, v, output, logSum, .. new[] { problem.Documents, problem.Choices }.OfType<Tensor>()]);
        ctx.save_data("problem", problem);
        return [output, logSum];
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var problem = (HopperProblem)ctx.get_data("problem");
        problem = problem with
        {
            Documents = problem.Documents is null ? null : saved[5],
            Choices = problem.Choices is null ? null : saved[^1],
        };
        var logSumGradient = grad_outputs[1] is { IsInvalid: false } g ? g / Math.Log(2) : null;
        var (dq, dk, dv) = HopperAttention.Backward(saved[0], saved[1], saved[2], saved[3], saved[4], grad_outputs[0], logSumGradient, problem);
        foreach (var gradient in grad_outputs) gradient?.Dispose();
        return [.. ReturnedGradients.Keep([dq, dk, dv]), null!];
    }

    private static (Tensor Output, Tensor LogSum) Run(Tensor q, Tensor k, Tensor v, HopperProblem problem)
    {
        if (!AttentionBackends.NeedsGradient(q, k, v)) return HopperAttention.Forward(q, k, v, problem);
        var both = apply(q, k, v, problem);
        return (both[0], both[1]);
    }
}
