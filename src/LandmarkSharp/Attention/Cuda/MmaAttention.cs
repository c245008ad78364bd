using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// Landmark attention by our kernels for the tensor cores of any card from compute capability 8.0 on
/// (<c>landmark_forward_mma.cu</c> and <c>landmark_backward_mma.cu</c>), of heads and blocks of up to 256.
/// </summary>
internal sealed class MmaAttention : IDenseKernels
{
    // What the backward kernels tell each other of some queries at a time may take so much, or as much as gradients of keys and values
    // in float32.
    private const long SlopeBytes = 512L << 20;

    private static readonly ConcurrentDictionary<KernelKey, CudaKernel> Forwards = new();
    private static readonly ConcurrentDictionary<KernelKey, CudaModule> Backwards = new();

    /// <inheritdoc/>
    public static bool Serves(Tensor q, int block, bool backward) =>
        q.device_type == DeviceType.CUDA && q.dtype is ScalarType.BFloat16 or ScalarType.Float16
        && new MmaShape((int)Aten.Sizes(q)[3], block, 0).Exists && CudaKernels.UnavailableReason(q.device_index) is null;

    /// <inheritdoc/>
    public static (Tensor Output, Tensor LogSum) Forward(Tensor q, Tensor k, Tensor v, DenseProblem problem)
    {
        PlainForward.Check(q, k, v, problem.Blocks.Length, problem.Blocks.First);
        problem.Check(q);
        ReadOnlySpan<long> sizes = Aten.Sizes(q);
        var (batch, heads, queries, d) = ((int)sizes[0], (int)sizes[1], (int)sizes[2], sizes[3]);
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows) = (DenseLaunch.Copyable(q), DenseLaunch.Copyable(k), DenseLaunch.Copyable(v));
        var output = empty_strided([batch, heads, queries, d], [queries * heads * d, d, heads * d, 1], q.dtype, q.device);
        var logSum = empty([batch, heads, queries], ScalarType.Float32, q.device);
        if (logSum.numel() > 0)
        {
            var key = Key(q, problem);
            var shape = key.Shape.Forward;
            var sizesOfAll = Sizes.Of(qRows, kRows, vRows, output, problem) with { Tiles = HopperShape.Over(queries, shape.Rows) };
            var arguments = default(KernelArguments);
            foreach (var tensor in (ReadOnlySpan<Tensor?>)[qRows, kRows, vRows, output, logSum, problem.Documents, problem.Choices])
                arguments.Add(tensor);
            arguments.AddStruct(sizesOfAll);
            Forwards.GetOrAdd(key, LoadForward).Launch(
                new LaunchShape(Grid(batch * heads, sizesOfAll.Tiles), new Dim3((uint)shape.Threads), shape.Bytes), ref arguments);
        }
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public static void CompileBackward(Tensor q, DenseProblem problem) => Backwards.GetOrAdd(Key(q, problem), LoadBackward);

    /// <inheritdoc/>
    public static (Tensor Q, Tensor K, Tensor V) Backward(
        Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSum, Tensor gradient, Tensor? logSumGradient, DenseProblem problem)
    {
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows, gRows) =
            (DenseLaunch.Copyable(q), DenseLaunch.Copyable(k), DenseLaunch.Copyable(v), DenseLaunch.Copyable(gradient));
        var (dq, dk, dv) = (empty(q.shape, q.dtype, q.device), empty(k.shape, k.dtype, k.device), empty(v.shape, v.dtype, v.device));
        if (logSum.numel() > 0)
        {
            var key = Key(q, problem);
            var module = Backwards.GetOrAdd(key, LoadBackward);
            var delta = DenseLaunch.Delta(module, output, gRows, logSumGradient);
            var (batchHeads, batchGroups, queries) = ((int)(q.shape[0] * q.shape[1]), (int)(k.shape[0] * k.shape[1]), (int)q.shape[2]);
            var rows = Rows(q, k, problem.Count);
            var slopes = empty([(long)batchHeads * problem.Count * 2 * rows * 2], ScalarType.Float32, q.device);
            var sums = rows < queries ? empty([2 * dk.numel()], ScalarType.Float32, q.device) : null;
            var sizes = Sizes.Of(qRows, kRows, vRows, gRows, problem) with { Rows = rows };
            var (queryTiles, keyTiles) = (key.Shape.Backward, key.Shape.Keys);
            var lastRange = (queries - 1) / rows;
            for (var range = lastRange; range >= 0; range--)
            {
                var first = range * rows;
                var arguments = default(KernelArguments);
                foreach (var tensor in (ReadOnlySpan<Tensor?>)[qRows, kRows, vRows, gRows, logSum, delta, problem.Documents, problem.Choices, dq, slopes])
                    arguments.Add(tensor);
                var tiles = HopperShape.Over(Math.Min(rows, queries - first), queryTiles.Rows);
                arguments.AddStruct(sizes with { First = first, Tiles = tiles });
                module.Kernel("landmark_backward_queries").Launch(
                    new LaunchShape(Grid(batchHeads, tiles), new Dim3((uint)queryTiles.Threads), queryTiles.Bytes), ref arguments);

                arguments = default;
                foreach (var tensor in (ReadOnlySpan<Tensor?>)[qRows, kRows, vRows, gRows, slopes, problem.Documents, dk, dv, sums])
                    arguments.Add(tensor);
                arguments.Add(range < lastRange ? 1 : 0);
                arguments.Add(range > 0 ? 1 : 0);
                tiles = HopperShape.Over(problem.Blocks.Keys + problem.Pad, keyTiles.Keys);
                arguments.AddStruct(sizes with { First = first, Tiles = tiles });
                module.Kernel("landmark_backward_keys").Launch(
                    new LaunchShape(Grid(batchGroups, tiles), new Dim3((uint)keyTiles.Threads), keyTiles.Bytes), ref arguments);
            }
        }
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    /// <summary>What the compiler made of the kernels for some queries.</summary>
    public static (string Name, KernelUsage Usage)[] Usages(Tensor q, DenseProblem problem)
    {
        var (forward, backward) = (Forwards.GetOrAdd(Key(q, problem), LoadForward), Backwards.GetOrAdd(Key(q, problem), LoadBackward));
        return [.. new[] { forward, backward.Kernel("landmark_backward_queries"), backward.Kernel("landmark_backward_keys") }.Select(x => (x.Name, x.Usage()))];
    }

    /// <summary>Queries of the backward kernels' launches.</summary>
    private static int Rows(Tensor q, Tensor k, int blocks)
    {
        var perRow = q.shape[0] * q.shape[1] * blocks * 16L;                        // two numbers for tokens, two for the landmark
        var most = Math.Max(SlopeBytes, 2 * sizeof(float) * k.numel());
        var all = HopperShape.Over((int)q.shape[2], MmaShape.RangeRows);
        return (int)Math.Clamp(most / perRow / MmaShape.RangeRows, 1, all) * MmaShape.RangeRows;
    }

    private static Dim3 Grid(int heads, int tiles) => new(checked((uint)((long)heads * tiles)));

    private static CudaKernel LoadForward(KernelKey key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_forward_mma.cu", [.. key.Variant.Defines, .. key.Shape.Forward.Defines]), key.Device)
        .Kernel("landmark_forward_mma");

    private static CudaModule LoadBackward(KernelKey key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_backward_mma.cu", [.. key.Variant.Defines, .. key.Shape.Backward.Defines, .. key.Shape.Keys.Defines]),
        key.Device);

    private static KernelKey Key(Tensor q, DenseProblem problem)
    {
        var capability = CudaDriver.Devices().Single(x => x.Index == q.device_index).ComputeCapability;
        var variant = DenseLaunch.Variant(q, problem);
        return new(q.device_index, variant, new(variant.HeadDim, variant.Block, SharedMemory.Most(capability)));
    }

    /// <summary>What a kernel is compiled for.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct KernelKey(int Device, DenseVariant Variant, MmaShape Shape);

    // As the kernels' structures lie: in order, each field at a multiple of its size.
    [StructLayout(LayoutKind.Sequential)]
    private record struct Strides
    {
        public long Batch, Head;
        public int Position;

        public static Strides Of(Tensor x)
        {
            var strides = Aten.Strides(x);
            return new() { Batch = strides[0], Head = strides[1], Position = checked((int)strides[2]) };
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private record struct Sizes
    {
        public int Heads, Groups, Queries, Keys, Pad, Blocks, DocumentRow, First, Rows, Tiles;
        public float Scale, ScaleLog2;
        public Strides Query, Key, Value, Out;
        public DenseLaunch.DropoutNumbers Dropout;

        public static Sizes Of(Tensor q, Tensor k, Tensor v, Tensor output, DenseProblem problem) => new()
        {
            Heads = (int)q.shape[1],
            Groups = (int)k.shape[1],
            Queries = (int)q.shape[2],
            Keys = (int)k.shape[2],
            Pad = problem.Pad,
            Blocks = problem.Count,
            DocumentRow = problem.DocumentRow,
            Scale = (float)problem.Scale,
            ScaleLog2 = (float)(problem.Scale / Math.Log(2)),
            Query = Strides.Of(q),
            Key = Strides.Of(k),
            Value = Strides.Of(v),
            Out = Strides.Of(output),
            Dropout = DenseLaunch.Dropping(problem),
        };
    }
}
