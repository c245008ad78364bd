using System.Collections.Concurrent;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Cuda;

/// <summary>Cross-entropy and its gradient in place of the logits (<c>landmark_cross_entropy.cu</c>): nothing of a vocabulary's width is made.</summary>
internal static class CudaCrossEntropy
{
    private const int Threads = 512;

    private static readonly ConcurrentDictionary<(int Device, ScalarType Type, int Pack), CudaKernel> Kernels = new();

    /// <summary>Whether the kernel takes such logits.</summary>
    public static bool Serves(Tensor logits) =>
        logits.device_type == DeviceType.CUDA && KernelTypes.Name(logits.dtype) is not null && logits.is_contiguous() && logits.numel() > 0
        && CudaKernels.UnavailableReason(logits.device_index) is null;

    /// <summary>Cross-entropy of each row; its logits become softmax − 1 at the target.</summary>
    /// <param name="logits">[S, V], whole rows one after the other.</param>
    /// <param name="targets">Int64 [S]; below 0 for none, whose cross-entropy is 0 and whose gradient means nothing.</param>
    /// <returns>Float32 [S].</returns>
    public static Tensor Differentiate(Tensor logits, Tensor targets)
    {
        using var scope = NewDisposeScope();
        var (rows, columns) = (logits.shape[0], logits.shape[1]);
        var pack = (int)(16 / logits.element_size());
        while (columns % pack != 0 || Aten.DataPointer(logits) % (pack * (int)logits.element_size()) != 0) pack /= 2;
        var cross = empty([rows], ScalarType.Float32, logits.device);
        var arguments = default(KernelArguments);
        foreach (var tensor in (ReadOnlySpan<Tensor>)[logits, targets.contiguous(), cross]) arguments.Add(tensor);
        arguments.Add(checked((int)columns));
        Kernels.GetOrAdd((logits.device_index, logits.dtype, pack), Load).Launch(
            new LaunchShape(new Dim3(checked((uint)rows)), new Dim3(Threads)), ref arguments);
        return cross.MoveToOuterDisposeScope();
    }

    private static CudaKernel Load((int Device, ScalarType Type, int Pack) key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_cross_entropy.cu", $"TYPE={KernelTypes.Name(key.Type)}", $"PACK={key.Pack}"), key.Device)
        .Kernel("landmark_cross_entropy");
}
