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
}

/// <summary>The one place where a back end is chosen.</summary>
internal static class AttentionBackends
{
    [ThreadStatic]
    private static AttentionBackend? forced;

    // Without vectors torch's operators are faster than the kernels.
    private static AttentionBackend Fastest =>
        CpuDense.Widest == AttentionBackend.CpuScalar ? AttentionBackend.Reference : CpuDense.Widest;

    /// <summary>The back end for some tensors, whose shapes fit: the fastest there is, unless one is forced.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="layout">Where the blocks lie.</param>
    /// <exception cref="LandmarkException">The forced back end cannot compute this.</exception>
    public static AttentionBackend For(Tensor q, Tensor k, Tensor v, BlockLayout layout)
    {
        if (forced == AttentionBackend.Reference) return AttentionBackend.Reference;
        if (CpuDense.Serves(q, k, v, layout)) return forced ?? Fastest;
        return forced is null ? AttentionBackend.Reference : throw new LandmarkException(
            $"{forced} computes attention of float32 or bfloat16 tensors of one width on the CPU over blocks at regular places, "
            + $"and got {q.dtype}, {k.dtype} and {v.dtype} tensors of widths {q.shape[3]} and {v.shape[3]} on {q.device} over blocks "
            + $"at {(layout.Regularity is null ? "irregular" : "regular")} places.");
    }

    /// <summary>Runs something for which this thread uses one back end, to compare it with another.</summary>
    /// <param name="backend">The back end; the fastest for what comes when null.</param>
    /// <param name="run">What to run; attention there that this back end cannot compute throws.</param>
    /// <exception cref="LandmarkException">This processor has no such vectors.</exception>
    public static T With<T>(AttentionBackend? backend, Func<T> run)
    {
        if (backend > CpuDense.Widest)
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
}
