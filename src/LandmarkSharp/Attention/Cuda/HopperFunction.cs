using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary><see cref="HopperAttention"/> as libtorch's autograd sees it.</summary>
internal sealed class HopperFunction : autograd.SingleTensorFunction<HopperFunction>
{
    public override string Name => nameof(HopperFunction);

    /// <summary>Whether the kernels compute what is asked, gradients too if they may be asked for.</summary>
    public static bool Serves(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale) =>
        q.device_type == DeviceType.CUDA && layout.Regularity is { } blocks && scale > 0 && k.dtype == q.dtype && v.dtype == q.dtype
        && v.shape[3] == q.shape[3] && q.numel() > 0 && k.device_index == q.device_index && v.device_index == q.device_index
        && k.device_type == DeviceType.CUDA && v.device_type == DeviceType.CUDA
        && HopperAttention.Serves(q, blocks.Length, AttentionBackends.NeedsGradient(q, k, v));

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, RegularBlocks blocks, double scale)
    {
        if (AttentionBackends.NeedsGradient(q, k, v)) return apply(q, k, v, blocks, scale);
        var (output, logSum) = HopperAttention.Forward(q, k, v, blocks.Length, blocks.First, scale);
        logSum.Dispose();
        return output;
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (q, k, v, blocks, scale) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (RegularBlocks)vars[3], (double)vars[4]);
        // An error in backward would end the process, so what can fail of it fails here.
        HopperAttention.CompileBackward(q, blocks.Length);
        var (output, logSum) = HopperAttention.Forward(q, k, v, blocks.Length, blocks.First, scale);
        ctx.save_for_backward([q, k, v, output, logSum]);
        ctx.save_data("blocks", blocks);
        ctx.save_data("scale", scale);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (blocks, scale) = ((RegularBlocks)ctx.get_data("blocks"), (double)ctx.get_data("scale"));
        var (dq, dk, dv) = HopperAttention.Backward(
            saved[0], saved[1], saved[2], saved[3], saved[4], grad_output, blocks.Length, blocks.First, scale);
        grad_output.Dispose();
        return [.. ReturnedGradients.Keep([dq, dk, dv]), null!, null!];
    }
}
