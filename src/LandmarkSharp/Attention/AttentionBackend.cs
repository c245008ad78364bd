using LandmarkSharp.Attention.Cuda;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>What computes dense landmark attention.</summary>
public enum AttentionBackend
{
    /// <summary>Torch operators: any layout, type and device.</summary>
    Reference,

    /// <summary>The fused kernels of the CPU without vectors.</summary>
    CpuScalar,

    /// <summary>The fused kernels of the CPU with AVX2.</summary>
    Cpu256,

    /// <summary>The fused kernels of the CPU with AVX-512.</summary>
    Cpu512,

    /// <summary>The plain kernel of CUDA cards from compute capability 8.0 on, for what needs no gradient.</summary>
    CudaPlain,

    /// <summary>The fused kernels for the tensor cores of CUDA cards from compute capability 8.0 on.</summary>
    CudaMma,

    /// <summary>The fused kernels for Hopper's tensor cores.</summary>
    Hopper,
}

/// <summary>The one place where a back end is chosen.</summary>
internal static class AttentionBackends
{
    // The fastest first. Without vectors torch's operators are faster than the kernels.
    private static readonly AttentionBackend[] Order =
        [AttentionBackend.Hopper, AttentionBackend.CudaMma, AttentionBackend.CudaPlain, AttentionBackend.Cpu512, AttentionBackend.Cpu256];

    private static readonly AttentionBackend[] WithParts = [AttentionBackend.Hopper, AttentionBackend.CudaMma, AttentionBackend.Reference];

    [ThreadStatic]
    private static AttentionBackend? forced;

    /// <summary>The back end for some tensors, whose shapes fit: the fastest there is, unless one is forced.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="layout">Where the blocks lie.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <exception cref="LandmarkException">The forced back end cannot compute this.</exception>
    public static AttentionBackend For(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale)
    {
        if (forced is not { } asked)
            return Array.Find(Order, b => Serves(b, q, k, v, layout, scale) && (b != AttentionBackend.CudaPlain || IsLarge(q, k))); // none: Reference
        return Serves(asked, q, k, v, layout, scale) ? asked : throw new LandmarkException(
            $"{asked} computes attention {Served(asked)}, and got {q.dtype}, {k.dtype} and {v.dtype} tensors of widths {q.shape[3]} and "
            + $"{v.shape[3]} on {q.device} over blocks of {layout.Columns} positions at {(layout.Regularity is null ? "irregular" : "regular")} "
            + $"places{(layout.Documents is null ? "" : ", packed documents")}, scale {scale}{(NeedsGradient(q, k, v) ? ", with gradients" : "")}.");
    }

    /// <summary>The back end for attention in which not every gate counts: kernels for tensor cores, or the reference.</summary>
    /// <inheritdoc cref="For"/>
    public static AttentionBackend ForParts(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale)
    {
        if (forced is not null && !Array.Exists(WithParts, b => b == forced))
            throw new LandmarkException($"{forced} computes no attention in which gates are chosen or dropped; {string.Join(", ", WithParts)} do.");
        return forced is null ? Array.Find(WithParts, b => Serves(b, q, k, v, layout, scale)) : For(q, k, v, layout, scale);
    }

    /// <summary>Runs something for which this thread uses one back end, to compare it with another.</summary>
    /// <param name="backend">The back end; the fastest for what comes when null.</param>
    /// <param name="run">What to run; attention there that this back end cannot compute throws.</param>
    /// <exception cref="LandmarkException">This processor has no such vectors.</exception>
    public static T With<T>(AttentionBackend? backend, Func<T> run)
    {
        if (backend is AttentionBackend.Cpu256 or AttentionBackend.Cpu512 && backend > CpuDense.Widest)
            throw new LandmarkException($"This processor cannot run {backend}; it has {CpuDense.Widest}.");
        var before = forced;
        forced = backend;
        try
        {
            return run();
        }
        finally
        {
            forced = before;
        }
    }

    /// <summary>Whether a gradient of any of them may be asked for.</summary>
    public static bool NeedsGradient(Tensor q, Tensor k, Tensor v) =>
        is_grad_enabled() && (q.requires_grad || k.requires_grad || v.requires_grad);

    private static bool Serves(AttentionBackend backend, Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale) => backend switch
    {
        AttentionBackend.Hopper => DenseFunction<HopperAttention>.Serves(q, k, v, layout, scale),
        AttentionBackend.CudaMma => DenseFunction<MmaAttention>.Serves(q, k, v, layout, scale),
        AttentionBackend.CudaPlain => PlainForward.Serves(q, k, v, layout, scale),
        AttentionBackend.Reference => true,
        _ => backend <= CpuDense.Widest && CpuDense.Serves(q, k, v, layout),
    };

    // Torch's operators use tensor cores and are faster, as long as their matrix of all scores and its kin have room.
    private static bool IsLarge(Tensor q, Tensor k)
    {
        const long LargestMatrix = 1 << 29;
        return q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] > LargestMatrix;
    }

    private static string Served(AttentionBackend backend) => backend switch
    {
        AttentionBackend.Hopper =>
            "with a scale above 0 of bfloat16 or float16 tensors on a Hopper card whose heads are 16 to 128 wide, by multiples of 16, over blocks of at most "
            + "128 positions at regular places, and without gradients of heads and blocks of up to 256",
        AttentionBackend.CudaMma =>
            "with a scale above 0 of bfloat16 or float16 tensors on a CUDA card that can run our kernels, of heads 16 to 256 wide, by "
            + "multiples of 16, over blocks of at most 256 positions at regular places",
        AttentionBackend.CudaPlain =>
            "with a scale above 0 and without gradients on a CUDA card that can run our kernels, of heads up to 256 wide, over blocks at "
            + "regular places without packed documents",
        _ => "of float32 or bfloat16 tensors of one width on the CPU over blocks at regular places without packed documents",
    };
}
