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

    /// <summary>The back end for some tensors, whose shapes fit: the fastest there is, unless one is forced.</summary>
    public static AttentionBackend For(Tensor q, Tensor k, Tensor v, BlockLayout layout)
    {
        if (forced == AttentionBackend.Reference) return AttentionBackend.Reference;
        return CpuDense.Serves(q, k, v, layout) ? forced ?? CpuDense.Widest : AttentionBackend.Reference;
    }

    /// <summary>Runs something for which this thread uses one back end where it can, to compare it with another.</summary>
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
