using System.Runtime.InteropServices;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>What one layer read for a piece of text.</summary>
/// <param name="Output">[H, T, d].</param>
/// <param name="Chosen">
/// [H, T, k'] int64: blocks read, in order; null where the memory was empty or nobody asked. A query with fewer blocks before its
/// window than others here has −1 after them, and one that retrieved nothing −1 alone.
/// </param>
/// <param name="Gates">[H, T, k']: their gates P, 0 where there is no block; null as <paramref name="Chosen"/> is.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct Retrieved(Tensor Output, Tensor? Chosen, Tensor? Gates)
{
    /// <summary>How long the landmarks were scanned and blocks chosen; known of the CPU's kernel alone, zero elsewhere.</summary>
    public TimeSpan ScanTime { get; init; }

    /// <summary>
    /// Queries, heads counted, that retrieved nothing though there were blocks: the context-miss token had less than the cut-off. Null for
    /// a model without one, and where a card reads and nobody asks for blocks and gates.
    /// </summary>
    public long? Dropped { get; init; }

    /// <summary>With a context-miss token, queries, heads counted, that have blocks before their window, whether they retrieve or not.</summary>
    internal long Retrievals { get; init; }

    /// <summary>
    /// [H, T, k', ℓ]: how the gates are divided among the blocks' tokens; null where nobody asked or nothing was chosen, and where a card
    /// reads several windows at once.
    /// </summary>
    public Tensor? TokenShares { get; init; }
}

/// <summary>Told which blocks are read next, −1 standing for none; by several threads at once, and before they are read.</summary>
/// <param name="head">The key-value head of which they are read.</param>
/// <param name="blocks">Numbers of blocks, some more than once; valid during the call.</param>
/// <param name="now">Whether they are read after this call; it comes without first, of all heads that are computed together, so that they can be fetched.</param>
public delegate void BlocksChosen(int head, ReadOnlySpan<long> blocks, bool now);

/// <summary>
/// Attention past the window (the paper's section 3.2; landmark-attention.md 3.1): a query sees the blocks of its window and
/// itself as in training, and of the blocks before the window the k whose landmarks score highest. All of them compete in one
/// gate. With k ≥ the blocks there are it equals dense landmark attention. One instance serves the layers of one pass.
/// </summary>
public sealed class RetrievedAttention : IDisposable
{
    private readonly int inMemory, forgotten, keys, queries, length, window;
    private readonly Rotary rotary;
    private readonly ScalarType type, blockType;
    private readonly Device device;
    private readonly CpuRetrieval? kernel;
    private readonly CudaRetrieval? decode;
    private readonly CudaPrefill? prefill;
    private readonly ReferenceRetrieval? reference;
    private readonly double? cutoff;
    private readonly RetrievalOptions options;
    private readonly bool several;

    /// <summary>Computes what depends on places alone.</summary>
    /// <param name="inMemory">Blocks before the window, m: those that are retrieved from.</param>
    /// <param name="keys">Positions of the window from the start of block m on, S.</param>
    /// <param name="queries">Queries, 1 to S: the last T positions of the window.</param>
    /// <param name="length">Positions of a block, its landmark counted, L.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="options">k, who shares a choice, where retrieved blocks are placed, and how many are kept.</param>
    /// <param name="type">Type of the queries.</param>
    /// <param name="device">Where they live; the CPU when null.</param>
    /// <param name="windowBlocks">
    /// Blocks of a window, where <see cref="SpansWindows"/>: what follows the first window lies in the next ones, each with all
    /// before it as its memory. Null for one window.
    /// </param>
    /// <exception cref="LandmarkException">The sizes do not fit together, or an option makes no sense.</exception>
    public RetrievedAttention(
        int inMemory, int keys, int queries, int length, Rotary rotary, RetrievalOptions options, ScalarType type, Device? device = null,
        int? windowBlocks = null)
    {
        if (inMemory < 0 || length < 2 || queries < 1 || queries > keys)
            throw new LandmarkException(
                $"Retrieval by {queries} queries of a window of {keys} positions after {inMemory} blocks of {length} is not possible: "
                + "queries are the window's last positions, at least one and at most all, and a block needs 2 positions or more.");
        (this.inMemory, this.keys, this.queries, this.length, this.rotary) = (inMemory, keys, queries, length, rotary);
        (this.type, this.device) = (type, device ?? CPU);
        (this.options, cutoff) = (options, options.Checked().MissCutoff);
        // Slots are counted from the window, so what is kept is read as if nothing had been before it.
        var kept = Math.Min(inMemory, options.KeepBlocks ?? inMemory);
        forgotten = inMemory - kept;
        var whole = (keys + length - 1) / length;
        window = Math.Min(windowBlocks ?? whole, whole);
        several = keys > (long)window * length;
        if (several && !SpansWindows(options, rotary.HeadDim, length, type, this.device))
            throw new LandmarkException(
                $"Retrieval of {type} on {this.device.type} by queries of several windows of {window} blocks is not possible; ask window by window.");
        blockType = BlockType.Of(options, type, this.device);
        LandmarkIndexes.Check(options, type, this.device);
        if (CpuRetrieval.Serves(options, type, this.device)) kernel = new CpuRetrieval(kept, keys, queries, length, rotary, options);
        else if (!several && CudaRetrieval.Serves(options, keys, queries, length, rotary.HeadDim, type, this.device))
            decode = new CudaRetrieval([new DecodePlace(kept, keys)], length, rotary, options, type, this.device);
        else if (CudaPrefill.Serves(options, rotary.HeadDim, length, type, this.device))
            prefill = new CudaPrefill(kept, window, keys - queries, queries, length, rotary, options, type, this.device);
        else reference = Reference(kept, options);
    }

    /// <summary>What computes: the CPU's kernel, the CUDA kernels or the reference.</summary>
    internal string Backend => kernel is not null ? "CPU" : reference is null ? "CUDA" : "Reference";

    /// <summary>[1] int32: on a card, <see cref="Retrieved.Dropped"/> of all layers so far; null elsewhere and where nothing is dropped.</summary>
    internal Tensor? DroppedOnCard => decode is not null ? decode.Dropped : prefill?.Dropped;

    /// <summary>Whether one instance takes queries of several windows at once. Where blocks are forgotten, each window forgets others.</summary>
    public static bool SpansWindows(RetrievalOptions options, int headDim, int length, ScalarType type, Device device) =>
        options.KeepBlocks is null && CudaPrefill.Serves(options, headDim, length, type, device);

    /// <summary>One layer's attention over a piece of text.</summary>
    /// <param name="q">[H, T, d], not rotated, not scaled.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d]: all blocks, keys at block-local phase and values; the piece's own are in.</param>
    /// <param name="landmarks">[G, n, d]: landmark keys at block-local phase, offset ℓ.</param>
    /// <param name="tied">In the first layer every landmark has the same key: one stands for all, so that equal scores are equal.</param>
    /// <param name="scales">[n, G, 2, ℓ] float32: what each row of int8 blocks is multiplied by; null for other types.</param>
    /// <param name="account">Whether the blocks read and their gates are wanted; without, they may be missing.</param>
    /// <param name="miss">[G, d]: the context-miss token's keys, not rotated, where the options have a cut-off.</param>
    /// <param name="choosing">On the CPU, told what is read of the memory, which it must not throw at; null for nobody.</param>
    /// <exception cref="LandmarkException">The tensors are not those that the sizes given at the start call for.</exception>
    public Retrieved Attend(
        Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales = null, bool account = true, Tensor? miss = null,
        BlocksChosen? choosing = null) =>
        AttendBy(null, q, blocks, landmarks, tied, scales, account, miss, choosing);

    /// <summary>The same, where an index of the layer finds blocks among many.</summary>
    internal Retrieved AttendBy(
        ILandmarkIndex? index, Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales, bool account, Tensor? miss,
        BlocksChosen? choosing = null)
    {
        Check(q, blocks, landmarks, scales);
        Check(miss, blocks);
        var read = AttendKept(index, q, blocks, landmarks, tied, scales, account, miss, choosing);
        if (cutoff is null) return read;
        // Those in the first window of a text have nothing before them.
        var remembering = inMemory > 0 ? queries : Math.Clamp(keys - (window * length), 0, queries);
        read = read with { Retrievals = Aten.Sizes(q)[0] * remembering };
        return DroppedOnCard is null || !account ? read : read with { Dropped = DroppedOf(read) };
    }

    /// <summary>Attention where the blocks that are forgotten are not there.</summary>
    private Retrieved AttendKept(
        ILandmarkIndex? index, Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales, bool account, Tensor? miss,
        BlocksChosen? choosing)
    {
        if (forgotten == 0) return Read(q, blocks, landmarks, tied, scales, account, miss, index, choosing);
        using var scope = NewDisposeScope();
        var held = Needed - forgotten;
        var read = Read(
            q, blocks.narrow(0, forgotten, held), landmarks.narrow(1, forgotten, held), tied, scales?.narrow(0, forgotten, held), account, miss,
            index: null,
            choosing is null ? null : (head, kept, now) => choosing(head, Array.ConvertAll(kept.ToArray(), block => block < 0 ? block : block + forgotten), now));
        return read with
        {
            Output = read.Output.MoveToOuterDisposeScope(),
            Chosen = read.Chosen is { } chosen ? where(chosen < 0, chosen, chosen + forgotten).MoveToOuterDisposeScope() : null,
            Gates = read.Gates?.MoveToOuterDisposeScope(),
        };
    }

    /// <summary>How the attention that blocks had is divided among their tokens.</summary>
    /// <param name="q">[H, T, d], as it was read with.</param>
    /// <param name="read">What was read: blocks and gates.</param>
    /// <param name="blocks">[n, G, 2, ℓ, d].</param>
    /// <param name="scales">[n, G, 2, ℓ] float32 of int8 blocks.</param>
    /// <returns>[H, T, k', ℓ]: shares that add up to the gates; null where nothing was chosen, and where several windows are read at once.</returns>
    internal Tensor? TokenShares(Tensor q, Retrieved read, Tensor blocks, Tensor? scales)
    {
        if (several || read.Chosen is not { } chosen) return null;
        using var scope = NewDisposeScope();
        var kept = inMemory - forgotten;
        var place = arange(keys - queries, keys, device: device);                           // [T]: the queries' places in the window
        var k = Math.Min(options.TopK, kept);
        using var positions = BlockPositions.Create(options.Positions, k, kept, length, place, rotary, type);
        // Slots go by k, though fewer may have been chosen.
        var none = full([chosen.shape[0], chosen.shape[1], k - chosen.shape[2]], -1, chosen.dtype, chosen.device);
        var picks = cat([where(chosen < 0, chosen, chosen - forgotten), none], -1);
        var gates = cat([read.Gates!, none.to(read.Gates!.dtype) * 0], -1);
        return BlockTokenShares.Of(
            q * (rotary.ScoreScale / Math.Sqrt(rotary.HeadDim)), picks, gates, positions, blocks.narrow(0, forgotten, kept),
            scales?.narrow(0, forgotten, kept)).narrow(2, 0, chosen.shape[2]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        decode?.Dispose();
        prefill?.Dispose();
        reference?.Dispose();
    }

    /// <summary>Blocks before the window and in it.</summary>
    private int Needed => inMemory + ((keys + length - 1) / length);

    private Retrieved Read(
        Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales, bool account, Tensor? miss, ILandmarkIndex? index,
        BlocksChosen? choosing) =>
        kernel?.Attend(q, blocks, landmarks, tied, scales, miss, index, choosing) ?? decode?.Attend(q, blocks, landmarks, tied, miss)
            ?? prefill?.Attend(q, blocks, landmarks, tied, account, miss)
            ?? reference!.Attend(q, blocks, landmarks, tied, scales, miss, choosing);

    private static long DroppedOf(Retrieved read)
    {
        if (read.Chosen is not { } chosen) return 0;
        using var scope = NewDisposeScope();
        return read.Retrievals - chosen.select(2, 0).ge(0).sum().item<long>();
    }

    private ReferenceRetrieval Reference(int kept, RetrievalOptions options) =>
        new(kept, BlockLayout.Regular(keys, queries, length, length, device), rotary, options, type);

    private void Check(Tensor? miss, Tensor blocks)
    {
        if (miss is null != cutoff is null
            || (miss is not null && (miss.dtype != type || miss.device_type != device.type
                || !Aten.Sizes(miss).SequenceEqual([Aten.Sizes(blocks)[1], rotary.HeadDim]))))
            throw new LandmarkException(
                $"Retrieval was made {(cutoff is null ? "without" : "with")} a context-miss cut-off and given "
                + $"{(miss is null ? "no context-miss keys" : $"context-miss keys {miss.dtype} [{string.Join(", ", miss.shape)}] on {miss.device}")}; "
                + $"a cut-off goes with {type} keys [G, {rotary.HeadDim}] on {device}, and without there are none.");
    }

    // Kernels take addresses: what does not fit must not get that far.
    private void Check(Tensor q, Tensor blocks, Tensor landmarks, Tensor? scales)
    {
        foreach (var (x, expected) in (ReadOnlySpan<(Tensor, ScalarType)>)[(q, type), (blocks, blockType), (landmarks, type)])
        {
            if (x.dtype != expected || x.device_type != device.type)
                throw new LandmarkException(
                    $"Retrieval was made for {expected} on {device.type} and given {x.dtype} on {x.device_type}; "
                    + "give queries, blocks and landmarks of that type, there.");
        }
        if (blockType == ScalarType.Int8
            ? scales is not { dtype: ScalarType.Float32 } || !Aten.Sizes(scales).SequenceEqual(Aten.Sizes(blocks)[..4])
            : scales is not null)
            throw new LandmarkException(
                $"Blocks of {blockType} come with {(scales is null ? "no scales" : $"scales {scales.dtype} [{string.Join(", ", scales.shape)}]")}; "
                + "int8 needs float32 for each row of [n, G, 2, l, d], and other types need none.");
        var (needed, width) = (Needed, rotary.HeadDim);
        if (Aten.Sizes(q) is not [var heads, var count, var queryWidth] || count != queries || queryWidth != width
            || Aten.Sizes(blocks) is not [var held, var groups, 2, var tokens, var blockWidth] || held < needed || heads % groups != 0
            || tokens != length - 1 || blockWidth != width
            || Aten.Sizes(landmarks) is not [var landmarkGroups, var marks, var landmarkWidth] || landmarkGroups != groups
            || marks < needed || landmarkWidth != width)
            throw new LandmarkException(
                $"Retrieval of {queries} queries of width {width} over {needed} blocks of {length} positions: "
                + $"found queries [{string.Join(", ", q.shape)}], blocks [{string.Join(", ", blocks.shape)}] "
                + $"and landmarks [{string.Join(", ", landmarks.shape)}]; "
                + $"expected [H, {queries}, {width}], [{needed} or more, G, 2, {length - 1}, {width}] "
                + $"and [G, {needed} or more, {width}] with G dividing H.");
    }
}
