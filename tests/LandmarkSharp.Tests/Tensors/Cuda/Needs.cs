using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;

namespace LandmarkSharp.Tests.Tensors.Cuda;

/// <summary>Skips a test where the machine lacks what it is about.</summary>
internal static class Needs
{
    public static void Kernels() =>
        Assert.SkipUnless(CudaKernels.UnavailableReason() is null, $"No CUDA kernels: {CudaKernels.UnavailableReason()}.");

    public static void Hopper()
    {
        Kernels();
        Assert.SkipUnless(CudaDriver.Devices()[0].ComputeCapability == new Version(9, 0), "cuda:0 is no Hopper.");
    }
}
