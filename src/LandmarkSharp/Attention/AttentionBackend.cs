using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>What computes dense landmark attention.</summary>
internal enum AttentionBackend
{
    /// <summary>Torch operators: any layout, type and device.</summary>
    Reference,

    /// <summary><see cref="CpuDense"/> without vectors.</summary>
    CpuScalar,

    /// <summary><see cref="CpuDense"/> with AVX2.</summary>
    Cpu256,

    /// <summary><see cref="CpuDense"/> with AVX-512.</summary>
    Cpu512,
}

/// <summary>The one place where a back end is chosen.</summary>
internal static class AttentionBackends
{
    /// <summary>What this thread is to use where it can: tests compare one with another. The fastest when null.</summary>
    [field: ThreadStatic]
    public static AttentionBackend? Forced { get; set; }

    /// <summary>The back end for some tensors, whose shapes fit.</summary>
    public static AttentionBackend For(Tensor q, Tensor k, Tensor v, BlockLayout layout)
    {
        if (Forced == AttentionBackend.Reference) return AttentionBackend.Reference;
        return CpuDense.Serves(q, k, v, layout) ? Forced ?? CpuDense.Widest : AttentionBackend.Reference;
    }
}
