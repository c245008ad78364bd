using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// Landmark attention by our kernels for Hopper (<c>landmark_forward_sm90.cu</c> and <c>landmark_backward_sm90.cu</c>): 16-bit
/// elements, float32 sums and statistics, memory O(T), equal bits for equal inputs.
/// </summary>
internal sealed class HopperAttention : IDenseKernels
{
    private const int Threads = 384;
    private const int CacheBytes = 32 << 20;        // of the L2: what keys and values of heads that run together may take
    private const int QueryThreads = 256;

    private static readonly Version Hopper = new(9, 0);
    private static readonly ConcurrentDictionary<KernelKey, CudaKernel> Forwards = new();
    private static readonly ConcurrentDictionary<KernelKey, CudaModule> Backwards = new();
    private static readonly ConcurrentDictionary<(int Device, nint Stream), Tensor> Counters = new();

    /// <inheritdoc/>
    public static bool Serves(Tensor q, int block, bool backward)
    {
        var shape = new HopperShape((int)Aten.Sizes(q)[3], block);
        return q.device_type == DeviceType.CUDA && q.dtype is ScalarType.BFloat16 or ScalarType.Float16
            && shape.HasForward && (!backward || shape.HasBackward)
            && CudaKernels.UnavailableReason(q.device_index) is null
            && CudaDriver.Devices().Any(d => d.Index == q.device_index && d.ComputeCapability == Hopper);
    }

    /// <inheritdoc/>
    public static (Tensor Output, Tensor LogSum) Forward(Tensor q, Tensor k, Tensor v, DenseProblem problem)
    {
        PlainForward.Check(q, k, v, problem.Blocks.Length, problem.Blocks.First);
        problem.Check(q);
        ReadOnlySpan<long> sizes = Aten.Sizes(q), keySizes = Aten.Sizes(k);
        var shape = new HopperShape((int)sizes[3], problem.Blocks.Length);
        var (batch, heads, queries) = ((int)sizes[0], (int)sizes[1], (int)sizes[2]);
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows) = (DenseLaunch.Copyable(q), DenseLaunch.Copyable(k), DenseLaunch.Copyable(v));
        long d = shape.HeadDim;
        var output = empty_strided([batch, heads, queries, d], [queries * heads * d, d, heads * d, 1], q.dtype, q.device);
        var logSum = empty([batch, heads, queries], ScalarType.Float32, q.device);
        var tiles = HopperShape.Over(queries, HopperShape.ForwardRows);
        if (batch * heads * tiles > 0)
        {
            var kernel = Forwards.GetOrAdd(Key(q, shape, problem), LoadForward);
            var keyBox = shape.Columns == shape.Block && shape.TileBlocks > 1 ? shape.Columns * shape.TileBlocks : shape.Columns;
            var arguments = default(KernelArguments);
            arguments.Add(Map(qRows, HopperShape.ForwardRows));
            arguments.Add(Map(kRows, keyBox));
            arguments.Add(Map(vRows, keyBox));
            arguments.Add(output);
            arguments.Add(logSum);
            arguments.Add(problem.Documents);
            arguments.Add(problem.Choices);
            arguments.Add(Tickets(q.device));
            var strides = Aten.Strides(output);
            arguments.AddStruct(new ForwardSizes
            {
                Heads = heads,
                Groups = (int)keySizes[1],
                Queries = queries,
                Keys = (int)keySizes[2],
                Pad = problem.Pad,
                QueryTiles = tiles,
                HeadsTogether = Together(k, batch * heads),
                BatchHeads = batch * heads,
                Blocks = problem.Count,
                DocumentRow = problem.DocumentRow,
                OutBatch = strides[0],
                OutHead = strides[1],
                OutPosition = strides[2],
                Scale = (float)(problem.Scale / Math.Log(2)),
                Dropout = DenseLaunch.Dropping(problem),
            });
            var multiprocessors = CudaDriver.Devices().Single(x => x.Index == q.device_index).Multiprocessors;
            kernel.Launch(
                new LaunchShape(new Dim3((uint)Math.Min(multiprocessors, checked(batch * heads * tiles))), new Dim3(Threads), shape.ForwardBytes),
                ref arguments);
        }
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public static void CompileBackward(Tensor q, DenseProblem problem) =>
        Backwards.GetOrAdd(Key(q, new HopperShape((int)Aten.Sizes(q)[3], problem.Blocks.Length), problem), LoadBackward);

    /// <inheritdoc/>
    public static (Tensor Q, Tensor K, Tensor V) Backward(
        Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSum, Tensor gradient, Tensor? logSumGradient, DenseProblem problem)
    {
        var shape = new HopperShape((int)q.shape[3], problem.Blocks.Length);
        var (batch, heads, groups, queries, keys) = ((int)q.shape[0], (int)q.shape[1], (int)k.shape[1], (int)q.shape[2], (int)k.shape[2]);
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows, gRows) = (DenseLaunch.Copyable(q), DenseLaunch.Copyable(k), DenseLaunch.Copyable(v), DenseLaunch.Copyable(gradient));
        var (dq, dk, dv) = (empty(q.shape, q.dtype, q.device), empty(k.shape, k.dtype, k.device), empty(v.shape, v.dtype, v.device));
        var tiles = HopperShape.Over(queries, HopperShape.BackwardRows);
        var keyTiles = HopperShape.Over(problem.Count, shape.BackwardTileBlocks);
        if (batch * heads * tiles > 0)
        {
            var module = Backwards.GetOrAdd(Key(q, shape, problem), LoadBackward);
            var delta = DenseLaunch.Delta(module, output, gRows, logSumGradient);

            // dQ is summed here in float32, in the order of the kernel's registers.
            var parts = empty([(long)batch * heads * tiles * shape.Chunks * 64 * 64], ScalarType.Float32, q.device);
            var turns = zeros([((long)batch * heads * tiles * shape.Chunks) + 1], ScalarType.Int32, q.device);
            var sizes = new BackwardSizes
            {
                Heads = heads,
                Groups = groups,
                Queries = queries,
                Keys = keys,
                Pad = problem.Pad,
                QueryTiles = tiles,
                KeyTiles = keyTiles,
                HeadsTogether = Together(k, batch * groups),
                BatchGroups = batch * groups,
                Blocks = problem.Count,
                DocumentRow = problem.DocumentRow,
                Scale = (float)problem.Scale,
                ScaleLog2 = (float)(problem.Scale / Math.Log(2)),
                Dropout = DenseLaunch.Dropping(problem),
            };
            var arguments = default(KernelArguments);
            arguments.Add(Map(qRows, HopperShape.BackwardRows));
            arguments.Add(Map(kRows, shape.BackwardColumns));
            arguments.Add(Map(vRows, shape.BackwardColumns));
            arguments.Add(Map(gRows, HopperShape.BackwardRows));
            foreach (var tensor in (ReadOnlySpan<Tensor?>)[logSum, delta, problem.Documents, problem.Choices, dk, dv, parts, turns.narrow(0, 1, turns.numel() - 1), turns])
                arguments.Add(tensor);
            arguments.AddStruct(sizes);
            module.Kernel("landmark_backward_sm90").Launch(
                new LaunchShape(new Dim3(checked((uint)(batch * groups * keyTiles))), new Dim3(Threads), shape.BackwardBytes), ref arguments);

            var gather = default(KernelArguments);
            gather.Add(parts);
            gather.Add(dq);
            gather.AddStruct(sizes);
            module.Kernel("landmark_query_gradient").Launch(
                new LaunchShape(new Dim3(checked((uint)(batch * heads * tiles))), new Dim3(QueryThreads)), ref gather);
        }
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    private static CudaKernel LoadForward(KernelKey key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_forward_sm90.cu", [
            .. Defines(key, key.Shape.Columns), $"TILE_BLOCKS={key.Shape.TileBlocks}", $"STAGES={key.Shape.Stages}"]),
        key.Device).Kernel("landmark_forward_sm90");

    private static CudaModule LoadBackward(KernelKey key) => CudaKernels.Module(
        KernelSource.FromResource("landmark_backward_sm90.cu", [
            .. Defines(key, key.Shape.BackwardColumns), $"SPAN_BLOCKS={key.Shape.SpanBlocks}"]),
        key.Device);

    /// <summary>Counters of a stream, where one kernel runs after the other: zero before and after each.</summary>
    private static Tensor Tickets(Device device) => Counters.GetOrAdd(
        (device.index, CudaContext.Of(device.index).CurrentStream), _ => zeros([2], ScalarType.Int32, device).DetachFromDisposeScope());

    private static KernelKey Key(Tensor q, HopperShape shape, DenseProblem problem) => new(q.device_index, DenseLaunch.Variant(q, problem), shape);

    private static string[] Defines(KernelKey key, int columns) => [.. key.Variant.Defines, $"COLUMNS={columns}"];

    /// <summary>[B, H, T, d] to the copy engine, in boxes of 64 elements and so many rows.</summary>
    private static TensorMap Map(Tensor x, int rows)
    {
        ReadOnlySpan<long> sizes = Aten.Sizes(x), strides = Aten.Strides(x);
        return TensorMap.Create(
            Aten.DataPointer(x), x.dtype, [sizes[3], sizes[2], sizes[1], sizes[0]], [2 * strides[2], 2 * strides[1], 2 * strides[0]],
            [64, rows, 1, 1], Swizzle.Bytes128);
    }

    /// <summary>Heads whose keys and values lie in the L2 together.</summary>
    private static int Together(Tensor k, int heads) =>
        (int)Math.Clamp(CacheBytes / (4 * k.shape[2] * k.shape[3]), 1, heads);

    /// <summary>What a kernel is compiled for.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct KernelKey(int Device, DenseVariant Variant, HopperShape Shape);

    // As the kernels' structures lie: in order, each field at a multiple of its size.
    [StructLayout(LayoutKind.Sequential)]
    private struct ForwardSizes
    {
        public int Heads, Groups, Queries, Keys, Pad, QueryTiles, HeadsTogether, BatchHeads, Blocks, DocumentRow;
        public long OutBatch, OutHead, OutPosition;
        public float Scale;
        public DenseLaunch.DropoutNumbers Dropout;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BackwardSizes
    {
        public int Heads, Groups, Queries, Keys, Pad, QueryTiles, KeyTiles, HeadsTogether, BatchGroups, Blocks, DocumentRow;
        public float Scale, ScaleLog2;
        public DenseLaunch.DropoutNumbers Dropout;
    }
}
