using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models.Cuda;

/// <summary>Dropout by one pass over the elements (<c>landmark_dropout.cu</c>).</summary>
internal static class CudaDropout
{
    private const int Threads = 256;

    private static readonly ConcurrentDictionary<(int Device, ScalarType Type, int Pack), CudaKernel> Kernels = new();

    /// <summary>Whether the kernel takes such elements.</summary>
    public static bool Serves(Tensor x) =>
        x.device_type == DeviceType.CUDA && KernelTypes.Name(x.dtype) is not null && x.numel() is > 0 and < int.MaxValue
        && CudaKernels.UnavailableReason(x.device_index) is null;

    /// <summary>Drops elements.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="dropout">Which, and what for.</param>
    /// <returns>Of the same shape, contiguous.</returns>
    public static Tensor Drop(Tensor x, SeededDropout dropout)
    {
        using var scope = NewDisposeScope();
        var whole = x.contiguous();
        var (output, count) = (empty_like(whole), (int)x.numel());
        var pack = (int)(16 / x.element_size());
        while (count % pack != 0 || Aten.DataPointer(whole) % (pack * (int)x.element_size()) != 0) pack /= 2;
        var arguments = default(KernelArguments);
        arguments.Add(output);
        arguments.Add(whole);
        arguments.AddStruct(new Dropout(dropout.Seed, dropout.Threshold, dropout.Kept, count / pack));
        Kernels.GetOrAdd((x.device_index, x.dtype, pack), Load).Launch(
            new LaunchShape(new Dim3((uint)(((count / pack) + Threads - 1L) / Threads)), new Dim3(Threads)), ref arguments);
        return output.MoveToOuterDisposeScope();
    }

    private static CudaKernel Load((int Device, ScalarType Type, int Pack) key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_dropout.cu", $"TYPE={KernelTypes.Name(key.Type)}", $"PACK={key.Pack}"), key.Device).Kernel("landmark_dropout");

    // As the kernel's structure lies.
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Dropout(int Seed, uint Threshold, float Kept, int Packs);
}
