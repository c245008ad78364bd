using System.Runtime.InteropServices;
using TorchSharp;

namespace LandmarkSharp.Tensors;

/// <summary>The libtorch in this process: its folder, its version, the handles of its libraries.</summary>
/// <param name="Directory">The folder it was loaded from.</param>
/// <param name="Version">What the library says its version is.</param>
/// <param name="Cpu">The handle of <c>libtorch_cpu.so</c>.</param>
/// <param name="Cuda">The handle of <c>libtorch_cuda.so</c>; 0 when it is not loaded.</param>
/// <param name="Binding">The handle of TorchSharp's native part.</param>
/// <param name="CudaError">Why <c>libtorch_cuda.so</c>, though there, could not be loaded.</param>
internal sealed record LoadedLibTorch(
    string Directory, Version Version, nint Cpu, nint Cuda, nint Binding, string? CudaError)
{
    private readonly Lazy<string?> cudaUnavailable = new(() => WhyNoCuda(Directory, Version, Cuda, CudaError));

    /// <summary>Why there is no CUDA device; asked of the driver once, when first wanted.</summary>
    public string? CudaUnavailableReason => cudaUnavailable.Value;

    /// <summary>The handle behind a name that this library's own imports use; 0 for .NET's usual search.</summary>
    public nint Resolve(string name) => name switch
    {
        "torch_cpu" => Cpu,
        "torch_cuda" => Cuda,
        "LibTorchSharp" => Binding,
        _ => 0,
    };

    private static string? WhyNoCuda(string directory, Version version, nint cuda, string? cudaError)
    {
        if (cudaError is not null)
            return $"the CUDA part of libtorch {version} did not load: {cudaError}";
        if (cuda == 0)
            return $"libtorch {version} in {directory} is the CPU build (no libtorch_cuda.so there); set "
                + $"{LibTorch.DirectoryVariable} to the lib folder of a PyTorch 2.10 to 2.12 built for CUDA";
        if (CudaDriver.Problem() is { } problem)
            return problem;
        return torch.TryInitializeDeviceType(DeviceType.CUDA) && torch.cuda.device_count() > 0
            ? null
            : $"the driver sees a CUDA device but libtorch {version} of {directory} does not; its CUDA version may be "
                + "newer than the driver's (see nvidia-smi) or CUDA_VISIBLE_DEVICES may hide the device";
    }
}
