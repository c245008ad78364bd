using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>Told what a layer read, when someone asks.</summary>
/// <param name="layer">Index of the layer.</param>
/// <param name="read">Chosen blocks and gates; valid during the call.</param>
public delegate void ReadObserver(int layer, Retrieved read);

/// <summary>
/// The memory of a landmark model: every block of the text in every layer, and the attention that reads the window and the
/// few blocks before it whose landmarks score highest. Landmarks stand after every ℓ regular tokens of the sequence.
/// </summary>
/// <param name="layers">Layers of the decoder.</param>
/// <param name="blockLength">Positions of a block, its landmark counted, L.</param>
/// <param name="callPositions">With <see cref="RetrievalOptions.WindowIsCall"/>, the most positions of a pass.</param>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="options">What is read.</param>
/// <param name="type">Type of keys and values.</param>
/// <param name="device">Where they live.</param>
/// <param name="missKeys">Each layer's keys of the context-miss token, [G, d] and this object's from here on; null for a model without.</param>
/// <exception cref="LandmarkException">The options make no sense.</exception>
public sealed class BlockMemory(
    int layers, int blockLength, int callPositions, Rotary rotary, RetrievalOptions options,
    ScalarType type, Device device, IReadOnlyList<Tensor>? missKeys = null) : ContextMemory
{
    // A pass may span windows, which are read one by one: everything else of a pass is cheaper by the hundred rows. Where they are
    // read at once, on a card, it takes thousands to be busy.
    private const int PassPositions = 384;
    private const int SpanningPassPositions = 4096;

    private readonly RetrievalOptions options = options.Checked();
    private readonly bool spans = !options.WindowIsCall && RetrievedAttention.SpansWindows(options, rotary.HeadDim, blockLength, type, device);
    private readonly LayerBlocks?[] held = new LayerBlocks?[layers];
    private OpenedBlocks? shared;
    private long dropped;
    private Tensor? droppedOnCard;                      // the card's own count, so that nobody waits for it
    private readonly ILandmarkIndex?[] indexes = new ILandmarkIndex?[layers];
    private long reserved;
    private int count;
    private RotaryTable? phases;
    private BlockPlaces? places;
    private readonly List<Piece> pieces = [];

    /// <summary>Told what each layer reads, window by window, or at once where a pass's windows are read at once; costs nothing when null.</summary>
    public ReadObserver? Observer { get; set; }

    /// <summary>Whether it is told besides how what was read is divided among the blocks' tokens, which takes reading their keys once more.</summary>
    public bool ObservesTokens { get; set; }

    /// <summary>
    /// Retrievals that there could have been with a context-miss token: one for each token, head and layer that has blocks before its
    /// window. 0 for a model without.
    /// </summary>
    public long Retrievals { get; private set; }

    /// <summary>Those that were dropped, since the context-miss token had less than the cut-off. On a card, waits for what is queued.</summary>
    public long Dropped => dropped + (droppedOnCard?.item<long>() ?? 0);

    /// <summary>Positions of a block, its landmark counted, L.</summary>
    internal int BlockLength => blockLength;

    /// <summary>Each layer's blocks; null before its first pass.</summary>
    internal IReadOnlyList<LayerBlocks?> Layers => held;

    /// <summary>Told after each window in each layer, or at once where a pass's windows are read at once.</summary>
    internal Action? WindowRead { get; set; }

    /// <summary>Blocks before the window of the next pass; the last <see cref="RetrievalOptions.KeepBlocks"/> of them are retrieved from.</summary>
    public long InMemory => options.WindowIsCall ? Positions / blockLength : Positions / WindowPositions * options.WindowBlocks;

    /// <inheritdoc/>
    public override int Room => options.WindowIsCall
        ? callPositions
        : (int)Math.Min(
            int.MaxValue,
            (Math.Max(1, (spans ? SpanningPassPositions : PassPositions) / WindowPositions) * WindowPositions) - (Positions % WindowPositions));

    /// <inheritdoc/>
    public override long Bytes => held.Sum(l => l?.Bytes ?? 0) + indexes.Sum(i => i?.Bytes ?? 0);

    private long WindowPositions => (long)options.WindowBlocks * blockLength;

    /// <inheritdoc/>
    public override void Reserve(long positions) => reserved = Math.Max(reserved, Blocks(positions));

    /// <summary>Begins after blocks that others have computed, instead of a first pass.</summary>
    /// <param name="count">How many.</param>
    /// <param name="groups">Key-value heads, G.</param>
    /// <param name="fill">Puts a layer's landmark keys, keys and values in their places; there is room for them.</param>
    /// <param name="room">Blocks that there shall be room for besides.</param>
    internal void StartAfter(long count, long groups, Action<int, LayerBlocks> fill, long room = 0)
    {
        for (var layer = 0; layer < layers; layer++)
        {
            var blocks = held[layer] = Layer(groups, rotary.HeadDim);
            blocks.Grow(count + room, 0);
            fill(layer, blocks);
        }
        StartAt(count * blockLength);
    }

    /// <summary>Begins after the blocks of an open memory, where they lie, instead of a first pass.</summary>
    /// <param name="opened">The memory.</param>
    /// <param name="more">Blocks of a session that had begun so.</param>
    /// <param name="fill">Puts a layer's blocks of that session in their places, if there are any.</param>
    internal void StartAfter(OpenMemory opened, long more, Action<int, LayerBlocks> fill)
    {
        shared = new OpenedBlocks(opened);
        StartAfter(opened.Blocks + more, opened.Model.Heads, (layer, blocks) =>
        {
            shared.Begin(layer, blocks);
            if (more > 0) fill(layer, blocks);
        });
    }

    /// <inheritdoc/>
    public override Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        Setup(q);
        var (keys, values) = (k.squeeze(0), v.squeeze(0));                                  // [G, T, d]
        var blocks = held[layer] ??= Layer(keys.shape[0], keys.shape[2]);
        Check(blocks, k, v);
        var index = indexes[layer] ??= LandmarkIndexes.Create(options, (int)blocks.Groups, rotary.HeadDim, shared?.Nodes(layer));
        var (used, needed) = (Blocks(Positions), Blocks(Positions + count));
        blocks.Grow(Math.Max(needed, blocks.Capacity < needed ? reserved : 0), used);
        if (needed > used) blocks.Clear(used, needed - used);
        if (blocks.IsDirect && !options.Reference) blocks.WriteRotated(keys, values, Positions, rotary);
        else Write(blocks, keys, values);

        var outputs = pieces.ConvertAll(piece =>
        {
            using var part = NewDisposeScope();
            shared?.ReadFrom(layer, piece.InMemory);                                        // the window is always read
            // In the first layer a key is a token's own: all landmarks have the same.
            var read = piece.Reading.AttendBy(
                index, q.squeeze(0).narrow(1, piece.From, piece.Count), blocks.Blocks, blocks.Landmarks, tied: layer == 0, blocks.Scales,
                account: Observer is not null, missKeys?[layer], shared?.Reader(layer));
            if (Observer is not null && ObservesTokens)
                read = read with { TokenShares = piece.Reading.TokenShares(q.squeeze(0).narrow(1, piece.From, piece.Count), read, blocks.Blocks, blocks.Scales) };
            shared?.End();
            Retrievals += read.Retrievals;
            if (piece.Reading.DroppedOnCard is null && read.Retrievals > 0) dropped += read.Dropped!.Value;
            Observer?.Invoke(layer, read);
            WindowRead?.Invoke();
            return read.Output.transpose(0, 1).MoveToOuterDisposeScope();                   // [T', H, d]: as the next product reads it
        });
        var output = outputs.Count == 1 ? outputs[0] : cat(outputs, 0);
        return output.transpose(0, 1).unsqueeze(0).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Prepare(int count) => this.count = count;

    /// <inheritdoc/>
    protected override void Finish()
    {
        foreach (var piece in pieces)
            if (piece.Reading.DroppedOnCard is { } count)
                (droppedOnCard ??= zeros([1], ScalarType.Int64, count.device).DetachFromDisposeScope()).add_(count);
        foreach (var d in (IEnumerable<IDisposable?>)[phases, places, .. pieces.Select(p => p.Reading)]) d?.Dispose();
        (phases, places) = (null, null);
        pieces.Clear();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        Finish();
        shared?.Dispose();
        foreach (var layer in held) layer?.Dispose();
        foreach (var index in indexes) index?.Dispose();
        foreach (var key in missKeys ?? []) key.Dispose();
        droppedOnCard?.Dispose();
        droppedOnCard = null;
    }

    /// <summary>What depends on places alone, made in the first layer and used by all.</summary>
    private void Setup(Tensor q)
    {
        if (pieces.Count > 0) return;
        if (q.shape[0] != 1)
            throw new LandmarkException($"A memory holds one sequence, and {q.shape[0]} were given at once; use a memory for each.");
        using var scope = NewDisposeScope();
        for (int from = 0, length; from < count; from += length)
        {
            var at = Positions + from;
            length = options.WindowIsCall || spans ? count : (int)Math.Min(count - from, WindowPositions - (at % WindowPositions));
            var inMemory = options.WindowIsCall ? InMemory : at / WindowPositions * options.WindowBlocks;
            var keys = (int)(at - (inMemory * blockLength)) + length;
            pieces.Add(new Piece(
                from, length, inMemory, new RetrievedAttention(
                    (int)inMemory, keys, length, blockLength, rotary, options, type, device, spans ? options.WindowBlocks : null)));
        }
    }

    private LayerBlocks Layer(long groups, long width) =>
        new(groups, blockLength - 1, width, type, BlockType.Of(options, type, device), device, options.HostBlocks);

    // Keys and values are written to their places by address: what does not fit must not get that far.
    private void Check(LayerBlocks blocks, Tensor k, Tensor v)
    {
        foreach (var x in (ReadOnlySpan<Tensor>)[k, v])
        {
            if (!Aten.Sizes(x).SequenceEqual([1, blocks.Groups, count, rotary.HeadDim]) || x.dtype != blocks.Type)
                throw new LandmarkException(
                    $"A pass over {count} positions was begun, and its keys or values are {x.dtype} [{string.Join(", ", x.shape)}]; "
                    + $"expected {blocks.Type} [1, {blocks.Groups}, {count}, {rotary.HeadDim}].");
        }
    }

    private void Write(LayerBlocks blocks, Tensor keys, Tensor values)
    {
        places ??= new BlockPlaces(Positions, count, blockLength, keys.device);
        phases ??= rotary.Table(arange(Positions, Positions + count, device: keys.device) % blockLength, keys.dtype).Keep();
        blocks.Write(phases.Rotate(keys), values, places);
    }

    private long Blocks(long positions) => (positions + blockLength - 1) / blockLength;

    /// <summary>Positions of a pass that lie in one window, and what they read.</summary>
    private sealed record Piece(int From, int Count, long InMemory, RetrievedAttention Reading);
}
