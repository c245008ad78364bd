using System.Collections.Concurrent;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// Landmark attention by the plainest of our CUDA kernels (<c>landmark_forward_plain.cu</c>): a warp for each query, memory of
/// the outputs alone. Takes every shape; not differentiable.
/// </summary>
internal static class PlainForward
{
    private const int Lanes = 32;
    private const int WarpsPerBlock = 4;
    private const int WidestHead = 256;

    private static readonly ConcurrentDictionary<(int Device, ScalarType Type, int PerLane), CudaKernel> Kernels = new();

    /// <summary>Whether the kernel computes what is asked, and nobody asks for gradients.</summary>
    public static bool Serves(Tensor q, Tensor k, Tensor v, BlockLayout layout, double scale) =>
        q.device_type == DeviceType.CUDA && layout is { Regularity: not null, Documents: null } && scale > 0 && !AttentionBackends.NeedsGradient(q, k, v)
        && q.dtype is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 && k.dtype == q.dtype && v.dtype == q.dtype
        && q.shape[3] <= WidestHead && v.shape[3] == q.shape[3] && q.numel() > 0
        && k.device_type == DeviceType.CUDA && v.device_type == DeviceType.CUDA
        && k.device_index == q.device_index && v.device_index == q.device_index
        && CudaKernels.UnavailableReason(q.device_index) is null;

    /// <summary>As <see cref="LandmarkAttention.Attend"/>, for what <see cref="Serves"/> allows.</summary>
    public static Tensor Apply(Tensor q, Tensor k, Tensor v, RegularBlocks blocks, double scale)
    {
        var (output, logSumExp) = Run(q, k, v, blocks.Length, blocks.First, scale);
        logSumExp.Dispose();
        return output;
    }

    /// <summary>Attention of queries over their whole sequence.</summary>
    /// <param name="q">[B, H, T, d] on a CUDA device, rotated; query t stands at position S − T + t.</param>
    /// <param name="k">[B, G, S, d], rotated; G divides H: head h reads key-value head h / (H/G).</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="block">Positions in a block, its landmark counted, L: 2 or more.</param>
    /// <param name="firstBlock">Positions of the first block, its landmark counted, 1 to L.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <returns>
    /// The result, [B, H, T, d] of the type of <paramref name="q"/>, and the logarithm of the gate's sum of exponentials,
    /// [B, H, T] float32; zeros and −∞ for a query that sees nothing.
    /// </returns>
    /// <exception cref="LandmarkException">The tensors do not fit each other, or the device cannot run the kernel.</exception>
    public static (Tensor Output, Tensor LogSumExp) Run(Tensor q, Tensor k, Tensor v, int block, int firstBlock, double scale)
    {
        Check(q, k, v, block, firstBlock);
        var (batch, heads, queries, head) = (q.shape[0], q.shape[1], q.shape[2], q.shape[3]);
        var rows = batch * heads * queries;
        var kernel = Kernels.GetOrAdd((q.device_index, q.dtype, (int)(head + Lanes - 1) / Lanes), Load);

        using var scope = NewDisposeScope();
        var (queriesByRow, keysByRow, valuesByRow) = (RowsWhole(q), RowsWhole(k), RowsWhole(v));
        var output = empty([batch, heads, queries, head], q.dtype, q.device);
        var logSumExp = empty([batch, heads, queries], ScalarType.Float32, q.device);
        if (rows > 0)
        {
            var arguments = default(KernelArguments);
            arguments.Add(output);
            arguments.Add(logSumExp);
            arguments.Add(queriesByRow);
            arguments.Add(keysByRow);
            arguments.Add(valuesByRow);
            foreach (var tensor in (ReadOnlySpan<Tensor>)[queriesByRow, keysByRow, valuesByRow])
            {
                foreach (var stride in Aten.Strides(tensor)[..3])
                    arguments.Add(stride);
            }

            arguments.Add(rows);
            foreach (var size in (ReadOnlySpan<long>)[heads, k.shape[1], queries, k.shape[2], head, block, firstBlock])
                arguments.Add(checked((int)size));
            arguments.Add((float)scale);
            var grid = checked((uint)((rows + WarpsPerBlock - 1) / WarpsPerBlock));
            kernel.Launch(new LaunchShape(new Dim3(grid), new Dim3(WarpsPerBlock * Lanes)), ref arguments);
        }

        return (output.MoveToOuterDisposeScope(), logSumExp.MoveToOuterDisposeScope());
    }

    /// <summary>Throws what is wrong with the arguments.</summary>
    public static void Check(Tensor q, Tensor k, Tensor v, int block, int firstBlock)
    {
        ReadOnlySpan<long> a = Aten.Sizes(q), b = Aten.Sizes(k);
        if (a.Length != 4 || b.Length != 4 || !b.SequenceEqual(Aten.Sizes(v)) || a[0] != b[0] || a[3] != b[3] || b[1] == 0
            || a[1] % b[1] != 0 || a[2] > b[2])
            throw new LandmarkException(
                $"Attention of queries [{string.Join(", ", q.shape)}] over keys [{string.Join(", ", k.shape)}] and values "
                + $"[{string.Join(", ", v.shape)}]: expected [B, H, T, d] and twice [B, G, S, d] with G dividing H and T at most S.");
        if (a[3] is < 1 or > WidestHead)
            throw new LandmarkException($"Heads of {a[3]} elements are not possible on CUDA: they have 1 to {WidestHead}.");
        if (k.dtype != q.dtype || v.dtype != q.dtype || Suffix(q.dtype) is null)
            throw new LandmarkException(
                $"Attention on CUDA takes queries, keys and values of one type, float32, float16 or bfloat16, and found {q.dtype}, "
                + $"{k.dtype} and {v.dtype}.");
        if (q.device_type != DeviceType.CUDA || k.device_index != q.device_index || v.device_index != q.device_index)
            throw new LandmarkException(
                $"Attention on CUDA needs its tensors on one CUDA device, and found {q.device}, {k.device} and {v.device}.");
        if (block < 2 || firstBlock < 1 || firstBlock > block)
            throw new LandmarkException(
                $"Blocks of {block} positions beginning with one of {firstBlock} are not possible: "
                + "a block needs 2 positions or more, and the first one at most a block's.");
    }

    private static CudaKernel Load((int Device, ScalarType Type, int PerLane) key) => CudaKernels
        .Module(KernelSource.FromResource("landmark_forward_plain.cu", $"PER_LANE={key.PerLane}"), key.Device)
        .Kernel($"landmark_forward_plain_{Suffix(key.Type)}");

    // The kernel takes any strides but of the head's elements.
    private static Tensor RowsWhole(Tensor x) => Aten.Strides(x)[3] == 1 ? x : x.contiguous();

    private static string? Suffix(ScalarType type) => type switch
    {
        ScalarType.Float32 => "f32",
        ScalarType.Float16 => "f16",
        ScalarType.BFloat16 => "bf16",
        _ => null,
    };
}
