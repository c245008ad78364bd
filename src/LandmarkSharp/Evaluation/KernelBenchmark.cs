using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>How long the first use of a model on a card waits for its kernels.</summary>
public static class KernelBenchmark
{
    private const int Blocks = 40;                          // enough for every part of the kernels to have work

    /// <summary>Trains, reads and decodes a few positions of one layer, and tells what was made ready for it.</summary>
    /// <param name="shape">The model's attention.</param>
    /// <param name="device">A card.</param>
    /// <exception cref="LandmarkException">The device has no kernels of our own, or there is no such attention.</exception>
    public static IReadOnlyList<KernelPreparation> Run(DecodeCase shape, Device device)
    {
        shape.Check();
        if (device.type != DeviceType.CUDA) throw new LandmarkException($"On {device.type} no kernels are compiled; choose a card with --device cuda.");
        var index = Math.Max(device.index, 0);
        if (CudaKernels.UnavailableReason(index) is { } reason) throw new LandmarkException($"Our own CUDA kernels cannot run on {device}: {reason}.");

        using var scope = NewDisposeScope();
        var (heads, groups, width, _, length, type, _) = shape;
        var positions = Blocks * length;
        Tensor Make(params long[] sizes) => randn(sizes, type, device, requires_grad: true);
        using (var layout = BlockLayout.Regular(positions, positions, length, length, device))
        {
            var (q, k, v) = (Make(1, heads, positions, width), Make(1, groups, positions, width), Make(1, groups, positions, width));
            LandmarkAttention.Attend(q, k, v, layout, 1 / Math.Sqrt(width)).sum().backward();
        }

        var rotary = new RotaryScaling().Create(width);
        var options = new RetrievalOptions { TopK = shape.TopK };
        using var quiet = no_grad();
        var (blocks, landmarks) = (Make(Blocks, groups, 2, length - 1, width), Make(groups, Blocks, width));
        foreach (var queries in (int[])[1, length])
        {
            using var attention = new RetrievedAttention(Blocks - 1, length, queries, length, rotary, options, type, device);
            attention.Attend(Make(heads, queries, width), blocks, landmarks, tied: false);
        }
        cuda.synchronize(device);
        return CudaKernels.Prepared(index);
    }
}
