using System.Runtime.InteropServices;

namespace LandmarkSharp;

/// <summary>Tells want of memory from other failures: libtorch has words for it, and no type.</summary>
public static class OutOfMemory
{
    /// <summary>Of the CPU's allocator, CUDA's, and libraries that allocate for themselves.</summary>
    private static readonly string[] Words =
        ["not enough memory", "out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"];

    /// <summary>Whether an exception says that memory of the machine or of a device did not suffice.</summary>
    public static bool Is(Exception e) => e is OutOfMemoryException
        || (e is ExternalException && Words.Any(words => e.Message.Contains(words, StringComparison.OrdinalIgnoreCase)));
}
