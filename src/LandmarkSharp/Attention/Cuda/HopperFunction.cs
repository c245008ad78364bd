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
        && (layout.Documents is not { } documents || (documents.device_type == DeviceType.CUDA && documents.device_index == q.device_index))
        && HopperAttention.Serves(q, blocks.Length, AttentionBackends.NeedsGradient(q, k, v));

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale)
    {
        var blocks = layout.Regularity!.Value;
        if (AttentionBackends.NeedsGradient(q, k, v)) return apply(q, k, v, layout.Documents!, blocks, scale);
        var (output, logSum) = HopperAttention.Forward(q, k, v, blocks, layout.Documents, scale);
        logSum.Dispose();
        return output;
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (q, k, v, documents) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor?)vars[3]);
        var (blocks, scale) = ((RegularBlocks)vars[4], (double)vars[5]);
        // An error in backward would end the process, so what can fail of it fails here.
        HopperAttention.CompileBackward(q, blocks.Length);
        var (output, logSum) = HopperAttention.Forward(q, k, v, blocks, documents, scale);
        // The layout may be gone by the time of backward, not so what is saved.
        ctx.save_for_backward(documents is null ? [q, k, v, output, logSum] : [q, k, v, output, logSum, documents]);
        ctx.save_data("blocks", blocks);
        ctx.save_data("scale", scale);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (dq, dk, dv) = HopperAttention.Backward(
            saved[0], saved[1], saved[2], saved[3], saved[4], grad_output, (RegularBlocks)ctx.get_data("blocks"),
            saved.Count > 5 ? saved[5] : null, (double)ctx.get_data("scale"));
        grad_output.Dispose();
        return [.. ReturnedGradients.Keep([dq, dk, dv]), null!, null!, null!];
    }
}
