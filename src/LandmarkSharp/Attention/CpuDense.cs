using System.Runtime.Intrinsics;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Attention;

/// <summary>
/// Dense landmark attention on the CPU, fused: forward over a sequence and backward, with memory that grows with T alone.
/// Numbers of 16 bits are widened on the way in, and all sums kept in float32.
/// </summary>
internal sealed unsafe class CpuDense : autograd.SingleTensorFunction<CpuDense>
{
    public override string Name => nameof(CpuDense);

    /// <summary>The widest vectors that this processor has.</summary>
    public static AttentionBackend Widest { get; } =
        Lanes512.IsSupported ? AttentionBackend.Cpu512 : Lanes256.IsSupported ? AttentionBackend.Cpu256 : AttentionBackend.CpuScalar;

    /// <summary>Whether these kernels compute what is asked.</summary>
    public static bool Serves(Tensor q, Tensor k, Tensor v, BlockLayout layout) =>
        layout is { Regularity: not null, Documents: null } && q.device_type == DeviceType.CPU && k.device_type == DeviceType.CPU
        && q.dtype is ScalarType.Float32 or ScalarType.BFloat16 && k.dtype == q.dtype && v.dtype == q.dtype
        && v.device_type == DeviceType.CPU && v.shape[3] == q.shape[3] && q.numel() > 0;

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, RegularBlocks blocks, double scale, AttentionBackend backend) =>
        apply(q, k, v, blocks, scale, backend);

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ReturnedGradients.Keep([]);
        var (q, k, v) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        var (blocks, scale, backend) = ((RegularBlocks)vars[3], (double)vars[4], (AttentionBackend)vars[5]);
        using var scope = NewDisposeScope();
        var (wideQ, wideK, wideV) = (Wide(q), Wide(k).contiguous(), Wide(v).contiguous());
        var (b, h, t, d) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        // [B, T, H, d] in memory, as projections read it.
        var output = empty_strided([b, h, t, d], [h * t * d, d, h * d, 1], ScalarType.Float32);
        var logSums = empty([b, h, t], ScalarType.Float32);
        var tensors = new CpuDenseTensors(wideQ, wideK, wideV, blocks, scale);
        Forward(tensors, new HeadRows(output), (float*)Aten.DataPointer(logSums), backend);
        foreach (var x in (ReadOnlySpan<Tensor>)[wideQ, wideK, wideV]) GC.KeepAlive(x);
        output = output.to(q.dtype).MoveToOuterDisposeScope();
        ctx.save_for_backward([q, k, v, output, logSums.MoveToOuterDisposeScope()]);
        ctx.save_data("blocks", blocks);
        ctx.save_data("scale", scale);
        ctx.save_data("backend", backend);
        return output;
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output) =>
        BackwardFailure.Kept(6, () => Gradients(ctx, grad_output));

    private static List<Tensor> Gradients(autograd.AutogradContext ctx, Tensor outer)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (q, k, v, output, logSums) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
        var (blocks, scale) = ((RegularBlocks)ctx.get_data("blocks"), (double)ctx.get_data("scale"));
        var (wideQ, wideK, wideV, gradient) = (Wide(q), Wide(k).contiguous(), Wide(v).contiguous(), Wide(outer));
        var deltas = (gradient * output).sum(-1).contiguous();                              // [B, H, T]
        var (dq, room) = (zeros(q.shape, ScalarType.Float32), CpuTile.Padded((int)q.shape[3]));
        var (dk, dv) = (zeros([.. k.shape[..3], room], ScalarType.Float32), zeros([.. k.shape[..3], room], ScalarType.Float32));
        Backward(
            new CpuDenseTensors(wideQ, wideK, wideV, blocks, scale), (float*)Aten.DataPointer(logSums), (float*)Aten.DataPointer(deltas),
            new HeadRows(gradient), new HeadRows(dq), new HeadRows(dk), new HeadRows(dv), (AttentionBackend)ctx.get_data("backend"));
        foreach (var x in (ReadOnlySpan<Tensor>)[wideQ, wideK, wideV, gradient, deltas, logSums]) GC.KeepAlive(x);
        outer.Dispose();
        Tensor[] gradients = [.. new[] { dq, dk, dv }.Select(x => x.narrow(3, 0, q.shape[3]).to(q.dtype))];
        return [.. ReturnedGradients.Keep(gradients), null!, null!, null!];
    }

    /// <summary>In float32, a head's numbers one after another.</summary>
    private static Tensor Wide(Tensor x)
    {
        var wide = x.to(ScalarType.Float32);
        return wide.stride()[3] == 1 ? wide : wide.contiguous();
    }

    private static void Forward(CpuDenseTensors x, HeadRows output, float* logSums, AttentionBackend backend)
    {
        if (backend == AttentionBackend.Cpu512) new CpuDenseForward<Lanes512, Vector512<float>>(x, output, logSums).Run();
        else if (backend == AttentionBackend.Cpu256) new CpuDenseForward<Lanes256, Vector256<float>>(x, output, logSums).Run();
        else new CpuDenseForward<Lanes1, float>(x, output, logSums).Run();
    }

    private static void Backward(
        CpuDenseTensors x, float* logSums, float* deltas, HeadRows gradient, HeadRows dq, HeadRows dk, HeadRows dv,
        AttentionBackend backend)
    {
        if (backend == AttentionBackend.Cpu512)
            new CpuDenseBackward<Lanes512, Vector512<float>>(x, logSums, deltas, gradient, dq, dk, dv).Run();
        else if (backend == AttentionBackend.Cpu256)
            new CpuDenseBackward<Lanes256, Vector256<float>>(x, logSums, deltas, gradient, dq, dk, dv).Run();
        else new CpuDenseBackward<Lanes1, float>(x, logSums, deltas, gradient, dq, dk, dv).Run();
    }
}
