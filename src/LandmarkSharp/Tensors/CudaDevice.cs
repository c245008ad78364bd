namespace LandmarkSharp.Tensors;

/// <summary>A CUDA device as NVIDIA's driver describes it.</summary>
/// <param name="Index">Its number: N of the device name <c>cuda:N</c>.</param>
/// <param name="Name">Its name, such as NVIDIA H100 80GB HBM3.</param>
/// <param name="MemoryBytes">Its whole memory in bytes.</param>
/// <param name="ComputeCapability">What its processors can do, such as 9.0.</param>
/// <param name="Multiprocessors">How many processors it has.</param>
public sealed record CudaDevice(
    int Index, string Name, long MemoryBytes, Version ComputeCapability, int Multiprocessors);
