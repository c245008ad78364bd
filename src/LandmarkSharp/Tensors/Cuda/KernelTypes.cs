using static TorchSharp.torch;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>The names that types of elements have in our kernels (<c>common.cuh</c>).</summary>
internal static class KernelTypes
{
    /// <summary>The name; null for a type that kernels do not take.</summary>
    public static string? Name(ScalarType type) => type switch
    {
        ScalarType.Float32 => "float",
        ScalarType.Float16 => "f16",
        ScalarType.BFloat16 => "bf16",
        _ => null,
    };
}
