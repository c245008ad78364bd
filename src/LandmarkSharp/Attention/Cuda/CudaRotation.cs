using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>Rotation by one pass over the elements (<c>landmark_rotate.cu</c>).</summary>
internal static class CudaRotation
{
    private const int Threads = 256;

    private static readonly ConcurrentDictionary<(int Device, ScalarType Type, int Pack), CudaKernel> Kernels = new();

    /// <summary>Whether the kernel turns such heads by such a table.</summary>
    public static bool Serves(Tensor x, Tensor cos) =>
        x.device_type == DeviceType.CUDA && cos.dtype == x.dtype && KernelTypes.Name(x.dtype) is not null && x.numel() is > 0 and < int.MaxValue
        && cos.device_index == x.device_index && CudaKernels.UnavailableReason(x.device_index) is null;

    /// <summary>Turns heads, forth or back.</summary>
    /// <param name="x">[B, H, T, d], any strides but of the elements.</param>
    /// <param name="cos">[T, d/2] or [B, 1, T, d/2].</param>
    /// <param name="sin">As <paramref name="cos"/>.</param>
    /// <param name="sign">1 forth, −1 back.</param>
    /// <returns>[B, H, T, d], the heads of a position side by side in memory: as products before and after attention have them.</returns>
    public static Tensor Turn(Tensor x, Tensor cos, Tensor sin, int sign)
    {
        using var scope = NewDisposeScope();
        ReadOnlySpan<long> sizes = Aten.Sizes(x);
        var (batch, heads, positions, half) = (sizes[0], sizes[1], sizes[2], sizes[3] / 2);
        var (whole, cosines, sines) = (Aten.Strides(x)[3] == 1 ? x : x.contiguous(), cos.contiguous(), sin.contiguous());
        var output = empty([batch, positions, heads, 2 * half], x.dtype, x.device);
        ReadOnlySpan<long> strides = Aten.Strides(whole);
        var pack = Pack(whole, half);
        var rows = new Rows
        {
            Batch = strides[0],
            Head = strides[1],
            Position = strides[2],
            TableBatch = cosines.numel() == positions * half ? 0 : positions * half,
            Threads = (int)(x.numel() / 2 / pack),
            Heads = (int)heads,
            Positions = (int)positions,
            Half = (int)half,
            Sign = sign,
        };
        var arguments = default(KernelArguments);
        foreach (var tensor in (ReadOnlySpan<Tensor>)[output, whole, cosines, sines]) arguments.Add(tensor);
        arguments.AddStruct(rows);
        Kernels.GetOrAdd((x.device_index, x.dtype, pack), Load).Launch(
            new LaunchShape(new Dim3((uint)((rows.Threads + Threads - 1L) / Threads)), new Dim3(Threads)), ref arguments);
        return output.transpose(1, 2).MoveToOuterDisposeScope();
    }

    /// <summary>Pairs that a thread reads at once: as many as 16 bytes hold, if every row begins at a multiple of them.</summary>
    private static int Pack(Tensor x, long half)
    {
        var (pack, start) = ((int)(16 / x.element_size()), (long)Aten.DataPointer(x) / x.element_size());
        foreach (var place in (ReadOnlySpan<long>)[half, start, .. Aten.Strides(x)[..3]])
            while (place % pack != 0) pack /= 2;
        return pack;
    }

    private static CudaKernel Load((int Device, ScalarType Type, int Pack) key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_rotate.cu", $"TYPE={KernelTypes.Name(key.Type)}", $"PACK={key.Pack}"), key.Device).Kernel("landmark_rotate");

    // As the kernel's structure lies.
    [StructLayout(LayoutKind.Sequential)]
    private struct Rows
    {
        public long Batch, Head, Position, TableBatch;
        public int Threads, Heads, Positions, Half;
        public float Sign;
    }
}
