using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// <see cref="RetrievedAttention"/> with stingy positions on CUDA, for all the windows of a text at once: each window has the text
/// before it as its memory, and one window alone does not fill a card. 16-bit elements, float32 sums. Blocks are chosen by scores
/// as exact as float32's. How it works stands in <c>landmark_prefill.cu</c>, <c>landmark_prefill_choose.cu</c> and
/// <c>landmark_prefill_miss.cu</c>. One instance serves the layers of one pass.
/// </summary>
internal sealed class CudaPrefill : IDisposable
{
    private const long ScoreBytes = 512L << 20;     // of scores that are kept at a time
    private const long PartBytes = 1L << 30;        // of what chosen blocks give, likewise, but a key-value head's at least
    private const int MostTopK = 256;
    private const int SumThreads = 1024;

    private readonly int windowBlocks, before, queries, length, topK, windows, blocksNeeded;
    private readonly SelectionMode selection;
    private readonly PrefillShape shape;
    private readonly ScalarType type;
    private readonly double scale, enough, cutoff;
    private readonly int inMemory;
    private readonly Tensor angles;                                                         // [(k+1+W)·L + 1, d]: cosines, sines

    /// <summary>Computes what depends on places alone.</summary>
    /// <param name="inMemory">Blocks before the first window.</param>
    /// <param name="windowBlocks">Blocks of a window, W; all blocks before a window are its memory.</param>
    /// <param name="before">Positions from the first window's start to the first query.</param>
    /// <param name="queries">Queries, T, at positions one after the other; those past the first window are in the next ones.</param>
    /// <param name="length">Positions of a block, its landmark counted, L.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="options">k and who shares a choice; a choice per head is shared by the queries of a window.</param>
    /// <param name="type">Type of the queries.</param>
    /// <param name="device">A CUDA device that <see cref="Serves"/> them.</param>
    /// <exception cref="LandmarkException">The sizes make no sense.</exception>
    public CudaPrefill(
        int inMemory, int windowBlocks, int before, int queries, int length, Rotary rotary, RetrievalOptions options, ScalarType type, Device device)
    {
        if (inMemory < 0 || windowBlocks < 1 || before < 0 || queries < 1 || length < 2)
            throw new LandmarkException(
                $"Prefill of {queries} queries, {before} positions after the start of a window of {windowBlocks} blocks of {length} after "
                + $"{inMemory} blocks, is not possible: windows have a block or more, and there are one query or more.");
        options.Checked();
        (this.inMemory, this.windowBlocks, this.before, this.queries, this.length) = (inMemory, windowBlocks, before, queries, length);
        (selection, this.type, shape) = (options.Selection, type, new PrefillShape(rotary.HeadDim, length));
        windows = ((before + queries - 1) / (windowBlocks * length)) + 1;
        blocksNeeded = inMemory + ((before + queries + length - 1) / length);
        topK = Math.Min(options.TopK, Memory(windows - 1));
        scale = rotary.ScoreScale / Math.Sqrt(rotary.HeadDim) / Math.Log(2);
        (enough, cutoff) = (options.Enough, options.Cutoff);
        using var scope = NewDisposeScope();
        // A context-miss token stands one position before all slots.
        using var table = rotary.Table(arange(((topK + 1 + windowBlocks) * (long)length) + 1, device: device), ScalarType.Float32);
        angles = cat([table.Cos, table.Sin], 1).DetachFromDisposeScope();
        Dropped = options.MissCutoff is null ? null : zeros([1], ScalarType.Int32, device).DetachFromDisposeScope();
    }

    /// <summary>[1] int32 there: queries and heads that retrieved nothing though there were blocks, so far; null without a context-miss token.</summary>
    public Tensor? Dropped { get; }

    /// <summary>Whether there are kernels for what is asked.</summary>
    public static bool Serves(RetrievalOptions options, int headDim, int length, ScalarType type, Device device) =>
        !options.Reference && options.Positions == PositionMode.Stingy && options.TopK <= MostTopK
        && device.type == DeviceType.CUDA && type is ScalarType.BFloat16 or ScalarType.Float16
        && CudaKernels.UnavailableReason(Math.Max(device.index, 0)) is null
        && CudaDriver.Devices().Any(d => d.Index == Math.Max(device.index, 0) && new PrefillShape(headDim, length).FitsOn(d.ComputeCapability));

    /// <summary>One layer's attention over the text.</summary>
    /// <param name="q">[H, T, d], not rotated, not scaled.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d]: all blocks, keys at block-local phase and values; the queries' own are in.</param>
    /// <param name="landmarks">[G, n, d]: landmark keys at block-local phase, offset ℓ.</param>
    /// <param name="tied">In the first layer every landmark has the same key: one stands for all, so that equal scores are equal.</param>
    /// <param name="account">Whether choices and gates are wanted.</param>
    /// <param name="miss">[G, d]: the context-miss token's keys, not rotated, where the options have a cut-off.</param>
    /// <returns>
    /// The result, in memory [T, H, d] as the next product reads it. Choices have the k' of the last window; a query that reads
    /// fewer blocks has −1 after them, and gates of 0.
    /// </returns>
    /// <exception cref="LandmarkException">The tensors are not those that the sizes given at the start call for.</exception>
    public Retrieved Attend(Tensor q, Tensor blocks, Tensor landmarks, bool tied, bool account = true, Tensor? miss = null)
    {
        Check(q, blocks, landmarks, miss);
        using var scope = NewDisposeScope();
        var layer = new Layer(RowsWhole(q, false), blocks.contiguous(), RowsWhole(landmarks, true));
        var sizes = Sizes(layer, tied);
        var missed = miss is null ? null : empty([sizes.Heads, queries], ScalarType.Float32, q.device);
        var reads = miss is null && (enough >= 1 || topK == 0) ? null : empty([sizes.Heads, queries], ScalarType.Int32, q.device);
        if (miss is not null) Ask(layer, sizes, miss.contiguous(), missed!, reads!);
        var chosen = topK == 0 ? null : Choose(layer, sizes, reads);
        var output = empty([queries, sizes.Heads, shape.HeadDim], type, q.device);
        var gates = account && topK > 0 ? empty([sizes.Heads, queries, topK], ScalarType.Float32, q.device) : null;

        var shared = sizes.Heads / sizes.Groups;
        var pairBytes = (long)shared * queries * Math.Max(topK, 1) * shape.HeadDim * 2;
        var together = (int)Math.Clamp(PartBytes / pairBytes, 1, sizes.Groups);
        const long MostPairs = 1L << 30;
        if ((long)shared * queries * topK > MostPairs)
            throw new LandmarkException(
                $"Prefill of {queries} queries of {shared} heads that share keys, {topK} blocks for each, is too much at once: "
                + $"give at most {MostPairs / shared / topK} queries.");
        for (var group = 0; group < sizes.Groups; group += together)
        {
            using var part = NewDisposeScope();
            var groups = Math.Min(together, sizes.Groups - group);
            Read(layer, sizes, chosen, reads, missed, output, gates, new PrefillArguments.Pairs
            {
                FirstHead = group * shared,
                Count = checked(groups * shared * queries * topK),
                Lists = groups * Memory(windows - 1),
                MostBlocks = Memory(windows - 1),
            }, groups * shared);
        }
        return new Retrieved(
            output.transpose(0, 1).MoveToOuterDisposeScope(),
            account && chosen is not null ? Everyones(chosen, reads, sizes).MoveToOuterDisposeScope() : null,
            gates?.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        angles.Dispose();
        Dropped?.Dispose();
    }

    /// <summary>Blocks before a window.</summary>
    private int Memory(int window) => inMemory + (window * windowBlocks);

    private int WindowOf(int query) => (before + query) / (windowBlocks * length);

    /// <summary>The context-miss token's scores and how many blocks queries may read, none where it has less than the cut-off: both [H, T].</summary>
    private void Ask(Layer layer, PrefillArguments.Sizes sizes, Tensor miss, Tensor missed, Tensor reads)
    {
        var arguments = default(KernelArguments);
        foreach (var tensor in (ReadOnlySpan<Tensor?>)[layer.Queries, layer.Blocks, layer.Landmarks, miss, angles, missed, reads, Dropped])
            arguments.Add(tensor);
        arguments.AddStruct(sizes);
        Module("landmark_prefill_miss.cu").Kernel("landmark_prefill_miss")
            .Launch(Shape(windows * TilesOfWindow, sizes.Heads, sharedBytes: shape.MissBytes), ref arguments);
    }

    /// <summary>Scans landmarks and chooses, so many queries at a time that their scores have room: [H / sharing, choices, k] int32.</summary>
    private Tensor Choose(Layer layer, PrefillArguments.Sizes sizes, Tensor? reads)
    {
        // Where choices end by mass it is they that tell.
        var who = enough < 1 ? null : reads;
        var device = layer.Queries.device;
        var sets = sizes.Heads / sizes.ChosenHeads;
        var chosen = empty([sets, sizes.Choices, topK], ScalarType.Int32, device);
        var module = Module("landmark_prefill_choose.cu", $"KEEP={(topK + 31) / 32}");
        for (int from = 0, to; from < queries; from = to)
        {
            using var part = NewDisposeScope();
            to = PartEnd(from, sizes);
            var (first, last) = (WindowOf(from), WindowOf(to - 1));
            var stride = HopperShape.Over(Memory(last), PrefillShape.Rows) * PrefillShape.Rows;
            var at = new PrefillArguments.Part { From = from, To = to, FirstWindow = first, Stride = stride };
            var scores = empty([sizes.Heads, to - from, at.Stride], ScalarType.Float32, device);
            var maxima = empty([sizes.Heads, to - from, at.Stride / PrefillShape.Eight], ScalarType.Float32, device);
            var totals = empty([sizes.Heads, to - from], ScalarType.Float32, device);
            var windowsHere = last - first + 1;
            void Launch(string kernel, LaunchShape launch, ReadOnlySpan<Tensor?> tensors, int? rows = null)
            {
                var arguments = default(KernelArguments);
                foreach (var tensor in tensors)
                    arguments.Add(tensor);
                if (rows is { } count) arguments.Add(count);
                arguments.AddStruct(sizes);
                arguments.AddStruct(at);
                module.Kernel(kernel).Launch(launch, ref arguments);
            }
            Launch(
                "landmark_prefill_scan", Shape(windowsHere * TilesOfWindow, sizes.Heads, sharedBytes: shape.ScanBytes),
                [layer.Queries, layer.Landmarks, angles, who, scores, maxima, totals]);
            var (common, choices) = (scores, to - from);
            if (sizes.PerWindow != 0)
            {
                choices = windowsHere;
                common = empty([sizes.Heads, choices, at.Stride], ScalarType.Float32, device);
                maxima = empty([sizes.Heads, choices, at.Stride / PrefillShape.Eight], ScalarType.Float32, device);
                Launch(
                    "landmark_prefill_share", Shape(HopperShape.Over(at.Stride, PrefillShape.Threads), choices, sizes.Heads),
                    [scores, totals, who, common, maxima]);
            }
            Launch(
                "landmark_prefill_choose", Shape(HopperShape.Over(choices, PrefillShape.Warps), sets),
                [common, maxima, scores, totals, reads, chosen], choices);
        }
        return chosen;
    }

    /// <summary>Where a part of the queries ends: at a window's border if it can, and always where a window chooses together.</summary>
    private int PartEnd(int from, PrefillArguments.Sizes sizes)
    {
        var room = ScoreBytes / ((long)sizes.Heads * Memory(windows - 1) * sizeof(float));
        if (room >= queries - from) return queries;
        var end = from + (int)Math.Max(1, room);
        var border = (WindowOf(end) * windowBlocks * length) - before;
        if (border > from) return border;
        return sizes.PerWindow != 0 ? Math.Min(queries, border + (windowBlocks * length)) : end;
    }

    /// <summary>Has blocks gather the queries of some heads that chose them, and reads windows.</summary>
    private void Read(
        Layer layer, PrefillArguments.Sizes sizes, Tensor? chosen, Tensor? reads, Tensor? missed, Tensor output, Tensor? gates,
        PrefillArguments.Pairs pairs, int heads)
    {
        var device = layer.Queries.device;
        var module = Module("landmark_prefill.cu");
        Tensor? parts = null, logits = null;
        if (chosen is not null)
        {
            Tensor Room(int count) => empty([count], ScalarType.Int32, device);
            var tiles = HopperShape.Over(pairs.Count, PrefillShape.TilePairs) + pairs.Lists;
            var (counts, starts, tileStarts) = (zeros([pairs.Lists], ScalarType.Int32, device), Room(pairs.Lists + 1), Room(pairs.Lists + 1));
            var (cursors, tileList, entries) = (Room(pairs.Lists), Room(3 * tiles), Room(pairs.Count));
            var lists = Module("landmark_prefill_lists.cu");
            void Launch(CudaKernel kernel, LaunchShape launch, ReadOnlySpan<Tensor?> tensors, PrefillArguments.Sizes? by, PrefillArguments.Pairs of)
            {
                var arguments = default(KernelArguments);
                foreach (var tensor in tensors)
                    arguments.Add(tensor);
                if (by is { } s) arguments.AddStruct(s);
                arguments.AddStruct(of);
                kernel.Launch(launch, ref arguments);
            }
            var eachPair = new LaunchShape(new Dim3((uint)HopperShape.Over(queries * topK, PrefillShape.SpanPairs), (uint)heads), new Dim3(SumThreads));
            Launch(lists.Kernel("landmark_prefill_count"), eachPair, [chosen, reads, counts], sizes, pairs);
            Launch(lists.Kernel("landmark_prefill_sum"), new LaunchShape(new Dim3(1), new Dim3(SumThreads)), [counts, starts, cursors, tileStarts], null, pairs);
            Launch(lists.Kernel("landmark_prefill_tiles"), Shape(HopperShape.Over(pairs.Lists, PrefillShape.Warps)), [starts, tileStarts, tileList], null, pairs);
            Launch(lists.Kernel("landmark_prefill_fill"), eachPair, [chosen, reads, cursors, entries], sizes, pairs);
            (parts, logits) = (empty([pairs.Count, shape.HeadDim], type, device), empty([pairs.Count], ScalarType.Float32, device));
            Launch(
                module.Kernel("landmark_prefill_read"), Shape(tiles, sharedBytes: shape.ReadBytes),
                [tileList, tileStarts, entries, reads, layer.Queries, layer.Blocks, layer.Landmarks, angles, parts, logits], sizes, pairs);
        }
        var window = default(KernelArguments);
        foreach (var tensor in (ReadOnlySpan<Tensor?>)[layer.Queries, layer.Blocks, layer.Landmarks, angles, reads, missed, parts, logits, output, gates])
            window.Add(tensor);
        window.AddStruct(sizes);
        window.AddStruct(pairs);
        module.Kernel("landmark_prefill_window").Launch(Shape(windows * TilesOfWindow, heads, sharedBytes: shape.ReadBytes), ref window);
    }

    /// <summary>What every head and query has read of the choices, [H, T, k] int64.</summary>
    private Tensor Everyones(Tensor chosen, Tensor? reads, PrefillArguments.Sizes sizes)
    {
        var wide = chosen.to(ScalarType.Int64);
        if (sizes.PerWindow != 0)
            wide = wide.index_select(1, (arange(queries, device: chosen.device) + before).floor_divide(windowBlocks * length));
        wide = wide.repeat_interleave(sizes.ChosenHeads, 0);
        return reads is null ? wide : wide.masked_fill(arange(topK, device: chosen.device) >= reads.unsqueeze(-1), -1);
    }

    private PrefillArguments.Sizes Sizes(Layer layer, bool tied)
    {
        ReadOnlySpan<long> q = Aten.Strides(layer.Queries), marks = Aten.Strides(layer.Landmarks);
        var (heads, groups) = ((int)layer.Queries.shape[0], (int)layer.Landmarks.shape[0]);
        var perWindow = selection == SelectionMode.PerHead;
        return new PrefillArguments.Sizes
        {
            Heads = heads,
            Groups = groups,
            Queries = queries,
            TopK = topK,
            ChosenHeads = selection switch
            {
                SelectionMode.PerTokenAndGroup => heads / groups,
                SelectionMode.PerToken => heads,
                _ => 1,
            },
            PerWindow = perWindow ? 1 : 0,
            Choices = perWindow ? windows : queries,
            Tied = tied ? 1 : 0,
            InMemory = inMemory,
            WindowBlocks = windowBlocks,
            Before = before,
            QueryHead = q[0],
            QueryPosition = q[1],
            LandmarkGroup = marks[0],
            Scale = (float)scale,
            Enough = (float)enough,
            Cutoff = (float)cutoff,
        };
    }

    private CudaModule Module(string source, params ReadOnlySpan<string> defines) => CudaKernels.Module(
        KernelSource.FromResource(source, [
            $"ELEMENT={KernelTypes.Name(type)}", $"HEAD_DIM={shape.HeadDim}", $"BLOCK={length}", .. defines]),
        angles.device_index);

    private int TilesOfWindow => HopperShape.Over(windowBlocks * length, PrefillShape.Rows);

    private static LaunchShape Shape(int x, int y = 1, int z = 1, int sharedBytes = 0) =>
        new(new Dim3((uint)x, (uint)y, (uint)z), new Dim3(PrefillShape.Threads), sharedBytes);

    /// <summary>The kernels take rows of elements side by side, at multiples of 16 bytes; of landmarks also one row after the other.</summary>
    private static Tensor RowsWhole(Tensor x, bool dense)
    {
        var strides = Aten.Strides(x);
        return strides[2] == 1 && strides[0] % 8 == 0 && (dense ? strides[1] == x.shape[2] : strides[1] % 8 == 0) && Aten.DataPointer(x) % 16 == 0
            ? x.alias()
            : x.contiguous();
    }

    // Kernels take addresses: what does not fit must not get that far.
    private void Check(Tensor q, Tensor blocks, Tensor landmarks, Tensor? miss)
    {
        foreach (var x in (ReadOnlySpan<Tensor?>)[q, blocks, landmarks, miss])
        {
            if (x is null) continue;
            if (x.dtype != type || x.device_type != DeviceType.CUDA || x.device_index != angles.device_index)
                throw new LandmarkException(
                    $"Prefill was made for {type} on {angles.device} and given {x.dtype} on {x.device}; give queries, blocks and landmarks of that type, there.");
        }
        var width = shape.HeadDim;
        if (miss is null != Dropped is null || (miss is not null && !miss.shape.SequenceEqual([blocks.shape[1], width])))
            throw new LandmarkException(
                $"Prefill was made {(Dropped is null ? "without" : "with")} a context-miss cut-off and given "
                + $"{(miss is null ? "no keys" : $"keys [{string.Join(", ", miss.shape)}]")} of such a token; a cut-off goes with keys [G, {width}].");
        if (q.dim() != 3 || q.shape[1] != queries || q.shape[2] != width || blocks.dim() != 5 || blocks.shape[0] < blocksNeeded
            || q.shape[0] % blocks.shape[1] != 0 || !blocks.shape.AsSpan(2).SequenceEqual([2, length - 1, width])
            || landmarks.dim() != 3 || landmarks.shape[0] != blocks.shape[1] || landmarks.shape[1] < blocksNeeded || landmarks.shape[2] != width)
            throw new LandmarkException(
                $"Prefill of {queries} queries of width {width} over {blocksNeeded} blocks of {length} positions: "
                + $"found queries [{string.Join(", ", q.shape)}], blocks [{string.Join(", ", blocks.shape)}] "
                + $"and landmarks [{string.Join(", ", landmarks.shape)}]; expected [H, {queries}, {width}], "
                + $"[{blocksNeeded} or more, G, 2, {length - 1}, {width}] and [G, {blocksNeeded} or more, {width}] with G dividing H.");
    }

    private sealed record Layer(Tensor Queries, Tensor Blocks, Tensor Landmarks);
}
