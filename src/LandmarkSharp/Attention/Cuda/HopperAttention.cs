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
internal static class HopperAttention
{
    private const int Threads = 384;
    private const int CacheBytes = 32 << 20;        // of the L2: what keys and values of heads that run together may take
    private const int QueryThreads = 256;

    private static readonly Version Hopper = new(9, 0);
    private static readonly ConcurrentDictionary<KernelKey, CudaKernel> Forwards = new();
    private static readonly ConcurrentDictionary<KernelKey, CudaModule> Backwards = new();
    private static readonly ConcurrentDictionary<(int Device, nint Stream), Tensor> Counters = new();

    /// <summary>Whether tensors of such a type and shape on a device are ours.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="block">Positions of a block, L.</param>
    /// <param name="backward">Whether gradients are wanted.</param>
    public static bool Serves(Tensor q, int block, bool backward)
    {
        var shape = new HopperShape((int)Aten.Sizes(q)[3], block);
        return q.device_type == DeviceType.CUDA && q.dtype is ScalarType.BFloat16 or ScalarType.Float16
            && shape.HasForward && (!backward || shape.HasBackward)
            && CudaKernels.UnavailableReason(q.device_index) is null
            && CudaDriver.Devices().Any(d => d.Index == q.device_index && d.ComputeCapability == Hopper);
    }

    /// <summary>Attention of queries over their whole sequence.</summary>
    /// <param name="q">[B, H, T, d] on a Hopper card, rotated; query t stands at position S − T + t.</param>
    /// <param name="k">[B, G, S, d], rotated; G divides H: head h reads key-value head h / (H/G).</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="problem">What of them is computed.</param>
    /// <exception cref="LandmarkException">The tensors do not fit each other, or the device cannot run the kernel.</exception>
    /// <returns>
    /// The result, [B, H, T, d], in memory [B, T, H, d] as the next product reads it, and the logarithm to the base 2 of the
    /// gate's sum of exponentials, [B, H, T] float32; zeros and +∞ for a query that sees nothing.
    /// </returns>
    public static (Tensor Output, Tensor LogSum) Forward(Tensor q, Tensor k, Tensor v, HopperProblem problem)
    {
        PlainForward.Check(q, k, v, problem.Blocks.Length, problem.Blocks.First);
        problem.Check(q);
        ReadOnlySpan<long> sizes = Aten.Sizes(q), keySizes = Aten.Sizes(k);
        var shape = new HopperShape((int)sizes[3], problem.Blocks.Length);
        var (batch, heads, queries) = ((int)sizes[0], (int)sizes[1], (int)sizes[2]);
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows) = (Copyable(q), Copyable(k), Copyable(v));
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
                Dropout = Dropping(problem),
            });
            var multiprocessors = CudaDriver.Devices().Single(x => x.Index == q.device_index).Multiprocessors;
            kernel.Launch(
                new LaunchShape(new Dim3((uint)Math.Min(multiprocessors, checked(batch * heads * tiles))), new Dim3(Threads), shape.ForwardBytes),
                ref arguments);
        }
        return (output.MoveToOuterDisposeScope(), logSum.MoveToOuterDisposeScope());
    }

    /// <summary>Compiles what <see cref="Backward"/> runs.</summary>
    /// <exception cref="LandmarkException">It does not compile for the device.</exception>
    public static void CompileBackward(Tensor q, HopperProblem problem) =>
        Backwards.GetOrAdd(Key(q, new HopperShape((int)Aten.Sizes(q)[3], problem.Blocks.Length), problem), LoadBackward);

    /// <summary>Gradients of <see cref="Forward"/>.</summary>
    /// <param name="q">As there; likewise the next two.</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="v">[B, G, S, d].</param>
    /// <param name="output">What it gave.</param>
    /// <param name="logSum">What it gave.</param>
    /// <param name="gradient">[B, H, T, d]: the output's.</param>
    /// <param name="logSumGradient">[B, H, T] float32: of the logarithm to the base e of the gate's sum; null for none.</param>
    /// <param name="problem">As there.</param>
    /// <returns>Gradients of q, k and v, contiguous.</returns>
    public static (Tensor Q, Tensor K, Tensor V) Backward(
        Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSum, Tensor gradient, Tensor? logSumGradient, HopperProblem problem)
    {
        var shape = new HopperShape((int)q.shape[3], problem.Blocks.Length);
        var (batch, heads, groups, queries, keys) = ((int)q.shape[0], (int)q.shape[1], (int)k.shape[1], (int)q.shape[2], (int)k.shape[2]);
        using var scope = NewDisposeScope();
        var (qRows, kRows, vRows, gRows) = (Copyable(q), Copyable(k), Copyable(v), Copyable(gradient));
        var (dq, dk, dv) = (empty(q.shape, q.dtype, q.device), empty(k.shape, k.dtype, k.device), empty(v.shape, v.dtype, v.device));
        var tiles = HopperShape.Over(queries, HopperShape.BackwardRows);
        var keyTiles = HopperShape.Over(problem.Count, shape.BackwardTileBlocks);
        if (batch * heads * tiles > 0)
        {
            var module = Backwards.GetOrAdd(Key(q, shape, problem), LoadBackward);
            var delta = empty_like(logSum);
            var rows = (long)batch * heads * queries;
            var deltaArguments = default(KernelArguments);
            deltaArguments.Add(output);
            deltaArguments.Add(gRows);
            deltaArguments.Add(logSumGradient?.contiguous());
            deltaArguments.Add(delta);
            ReadOnlySpan<long> o = Aten.Strides(output), g = Aten.Strides(gRows);
            deltaArguments.AddStruct(new RowSizes
            {
                Count = rows,
                OutBatch = o[0],
                OutHead = o[1],
                OutPosition = o[2],
                GradientBatch = g[0],
                GradientHead = g[1],
                GradientPosition = g[2],
                Heads = heads,
                Queries = queries,
            });
            module.Kernel("landmark_delta").Launch(new LaunchShape(new Dim3(checked((uint)((rows + 7) / 8))), new Dim3(256)), ref deltaArguments);

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
                Dropout = Dropping(problem),
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

    private static KernelKey Key(Tensor q, HopperShape shape, HopperProblem problem) =>
        new(q.device_index, q.dtype, shape, problem.Documents is not null, problem.Choices is not null, problem.Dropout is not null);

    private static string[] Defines(KernelKey key, int columns) =>
    [
        $"ELEMENT={(key.Type == ScalarType.BFloat16 ? "bf16" : "f16")}", $"HEAD_DIM={key.Shape.HeadDim}", $"BLOCK={key.Shape.Block}",
        $"COLUMNS={columns}",
        .. key.Packs ? (string[])["PACKED=1"] : [], .. key.Chooses ? (string[])["CHOICE=1"] : [], .. key.Drops ? (string[])["DROPOUT=1"] : [],
    ];

    private static Dropout Dropping(HopperProblem problem) => problem.Dropout is { } dropout
        ? new Dropout { Seed = (uint)dropout.Seed, Threshold = dropout.Threshold, Kept = dropout.Kept }
        : default;

    /// <summary>[B, H, T, d] to the copy engine, in boxes of 64 elements and so many rows.</summary>
    private static TensorMap Map(Tensor x, int rows)
    {
        ReadOnlySpan<long> sizes = Aten.Sizes(x), strides = Aten.Strides(x);
        return TensorMap.Create(
            Aten.DataPointer(x), x.dtype, [sizes[3], sizes[2], sizes[1], sizes[0]], [2 * strides[2], 2 * strides[1], 2 * strides[0]],
            [64, rows, 1, 1], Swizzle.Bytes128);
    }

    /// <summary>The copy engine wants a head's elements side by side, and rows apart, at multiples of 16 bytes.</summary>
    private static Tensor Copyable(Tensor x)
    {
        var strides = Aten.Strides(x);
        var fits = strides[3] == 1 && Aten.DataPointer(x) % 16 == 0;
        for (var i = 0; i < 3; i++) fits &= strides[i] > 0 && strides[i] % 8 == 0;
        return fits ? x.alias() : x.contiguous();
    }

    /// <summary>Heads whose keys and values lie in the L2 together.</summary>
    private static int Together(Tensor k, int heads) =>
        (int)Math.Clamp(CacheBytes / (4 * k.shape[2] * k.shape[3]), 1, heads);

    /// <summary>What a kernel is compiled for.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct KernelKey(int Device, ScalarType Type, HopperShape Shape, bool Packs, bool Chooses, bool Drops);

    // As the kernels' structures lie: in order, each field at a multiple of its size.
    [StructLayout(LayoutKind.Sequential)]
    private struct ForwardSizes
    {
        public int Heads, Groups, Queries, Keys, Pad, QueryTiles, HeadsTogether, BatchHeads, Blocks, DocumentRow;
        public long OutBatch, OutHead, OutPosition;
        public float Scale;
        public Dropout Dropout;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Dropout
    {
        public uint Seed, Threshold;
        public float Kept;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct RowSizes
    {
        public long Count, OutBatch, OutHead, OutPosition, GradientBatch, GradientHead, GradientPosition;
        public int Heads, Queries;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct BackwardSizes
    {
        public int Heads, Groups, Queries, Keys, Pad, QueryTiles, KeyTiles, HeadsTogether, BatchGroups, Blocks, DocumentRow;
        public float Scale, ScaleLog2;
        public Dropout Dropout;
    }
}
