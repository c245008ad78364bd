using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>The attention of one new token that <see cref="DecodeBenchmark"/> measures.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KeyValueHeads">Key-value heads, a divisor of those.</param>
/// <param name="HeadDim">Width of a head.</param>
/// <param name="TopK">Blocks that are read before the window.</param>
/// <param name="Block">Positions of a block, its landmark counted.</param>
/// <param name="Type">Type of the tensors.</param>
/// <param name="Blocks">What blocks are kept as, <see cref="RetrievalOptions.BlockType"/>.</param>
public sealed record DecodeCase(int Heads, int KeyValueHeads, int HeadDim, int TopK, int Block, ScalarType Type, ScalarType? Blocks = null)
{
    /// <summary>With a context-miss token, key-value heads for which it drops the retrieval; null without one.</summary>
    public int? Dropped { get; init; }

    /// <summary>
    /// The share of the landmarks' mass at which a choice ends, <see cref="RetrievalOptions.Mass"/>. Queries are then sharp: by those of
    /// normal numbers, which see all blocks nearly alike, none would end.
    /// </summary>
    public double? Mass { get; init; }

    /// <summary>Whether keys and values lie in this machine's memory, <see cref="RetrievalOptions.HostBlocks"/>.</summary>
    public bool HostBlocks { get; init; }

    /// <summary>Throws when there is no such attention.</summary>
    /// <exception cref="LandmarkException">The sizes do not fit each other.</exception>
    public void Check()
    {
        if (Block < 2) throw new LandmarkException($"Blocks of {Block} are not possible: a block needs 2 positions or more.");
        if (HeadDim < 2 || HeadDim % 2 != 0 || KeyValueHeads < 1 || Heads < 1 || Heads % KeyValueHeads != 0)
            throw new LandmarkException(
                $"Attention of {Heads} heads of width {HeadDim} over {KeyValueHeads} key-value heads is not possible: "
                + "give at least one of each, key-value heads that divide the heads, and an even width.");
        if (HostBlocks && (Blocks ?? Type) != Type)
            throw new LandmarkException("Keys and values in this machine's memory have the model's own type; leave out that of the blocks.");
        if (Dropped < 0 || Dropped > KeyValueHeads)
            throw new LandmarkException(
                $"The retrieval of {Dropped} of {KeyValueHeads} key-value heads cannot be dropped; give 0 to all.");
    }
}

/// <summary>One new token's attention in one layer at one length.</summary>
/// <param name="Tokens">Positions that are held, landmarks counted.</param>
/// <param name="Backend">What computed retrieved attention.</param>
/// <param name="Retrieved">Retrieved attention's time, and what it must read: landmarks, the blocks chosen, the window.</param>
/// <param name="BlocksRead">Blocks before the window that were read for a key-value head, on average.</param>
/// <param name="Dense">libtorch's attention over all positions, and what that must read; null when it was not measured.</param>
public sealed record DecodeTiming(int Tokens, string Backend, StepTime Retrieved, double BlocksRead, StepTime? Dense);

/// <summary>
/// Measures what a new token's attention costs in one layer, beside libtorch's attention over everything. Layers have landmarks
/// of their own, as many as no cache holds; the blocks stand once, for few of them are read. (At lengths whose blocks a cache holds,
/// these come from there.)
/// </summary>
/// <param name="device">Where.</param>
public sealed class DecodeBenchmark(Device device)
{
    private const long BeyondCaches = 512L << 20;       // bytes that a round over the layers reads
    private const int MostLayers = 64;
    private const float SharpQueries = 8;

    private readonly StepClock clock = new(device);

    /// <summary>Measures one length.</summary>
    /// <param name="shape">What is measured.</param>
    /// <param name="tokens">Positions that are held, the new one counted.</param>
    /// <param name="repeats">Steps that are measured, a layer each.</param>
    /// <param name="dense">Whether to measure attention over all positions too.</param>
    /// <param name="cancel">Stops between the two.</param>
    /// <exception cref="LandmarkException">There is no such attention.</exception>
    public DecodeTiming Run(DecodeCase shape, int tokens, int repeats, bool dense, CancellationToken cancel = default)
    {
        var (heads, groups, width, _, length, type, _) = shape;
        shape.Check();
        using var scope = NewDisposeScope();
        var inMemory = Math.Max(0, ((tokens - 1) / length) - 1);                            // the window: a whole block and the own one
        var window = tokens - (inMemory * length);
        var options = new RetrievalOptions
        {
            TopK = shape.TopK,
            BlockType = shape.Blocks,
            Mass = shape.Mass,
            MissCutoff = shape.Dropped is null ? null : 0.5,
        }.Checked();
        var rotary = new RotaryScaling().Create(width);
        using var attention = new RetrievedAttention(inMemory, window, 1, length, rotary, options, type, device);
        var all = inMemory + ((window + length - 1) / length);
        var size = type == ScalarType.Float32 ? 4L : 2;
        var kept = BlockType.Of(options, type, device);
        long Bytes(long positions) => 2 * positions * BlockType.RowBytes(kept, width);      // keys and values of a head
        var scanned = (groups - (shape.Dropped ?? 0L)) * inMemory * width * size;
        var most = (groups - (shape.Dropped ?? 0L)) * Bytes(Math.Min(shape.TopK, inMemory) * (length - 1L));
        var layers = (int)Math.Clamp(BeyondCaches / (scanned + most + (groups * Bytes(window))), 1, Math.Min(MostLayers, repeats));
        Tensor Make(params long[] sizes) => randn(sizes, type, device);
        Tensor[] queries = [.. Enumerable.Range(0, layers).Select(_ => Make(heads, 1, width) * (shape.Mass is null ? 1 : SharpQueries))];
        var toMiss = window + ((long)Math.Min(inMemory, Math.Min(shape.TopK, inMemory) + 1) * length);
        Tensor[]? miss = shape.Dropped is { } dropped
            ? [.. queries.Select(q => MissKeys(rotary.Rotate(q, tensor(toMiss, device: device)), groups, dropped))] : null;
        Tensor[] landmarks = [.. Enumerable.Range(0, layers).Select(_ => Make(groups, all, width))];
        StepTime time;
        double blocksRead;
        var own = all - inMemory;
        long[] places = [all + (own * layers), groups, 2, length - 1, width];
        using (var scales = kept == ScalarType.Int8 ? rand(places[..4], ScalarType.Float32, device) : null)
        using (var storage = shape.HostBlocks ? BlockStorage.On(device, new BlockShape(groups, length - 1, width, type, kept), onHost: true) : null)
        using (var blocks = storage is not null ? Filled(storage, places) : scales is null ? randn(places, kept, device) : randint(-127, 128, places, kept, device))
        {
            // Another place for each layer: its window is another.
            Tensor[] Of(Tensor x) => [.. Enumerable.Range(0, layers).Select(i => x.narrow(0, own * i, all))];
            var (held, factors) = (Of(blocks), scales is null ? null : Of(scales));
            Retrieved Layer(int i) =>
                attention.Attend(queries[i], held[i], landmarks[i], tied: false, factors?[i], account: false, miss: miss?[i]);
            blocksRead = Enumerable.Range(0, layers).Average(i => BlocksRead(Layer(i), groups));
            var read = scanned + (long)(groups * blocksRead * Bytes(length - 1)) + (groups * Bytes(window));
            time = clock.Measure(repeats, read, i =>
            {
                using var step = NewDisposeScope();
                Layer(i % layers);
            }, blocks);
        }
        cancel.ThrowIfCancellationRequested();
        var everything = 2L * tokens * groups * width * size;
        return new DecodeTiming(tokens, attention.Backend, time, blocksRead, dense ? Dense(shape, tokens, repeats, everything) : null);
    }

    /// <summary>Blocks that a layer's token read for a key-value head, on average: heads that share one choose together.</summary>
    private static double BlocksRead(Retrieved read, int groups)
    {
        if (read.Chosen is not { } chosen) return 0;
        using var scope = NewDisposeScope();
        return chosen.view(groups, -1, chosen.shape[2]).ge(0).any(1).sum().item<long>() / (double)groups;
    }

    /// <summary>Random blocks where the storage keeps them.</summary>
    private static Tensor Filled(BlockStorage storage, long[] held)
    {
        storage.Grow(held[0], 0);
        return storage.Blocks.normal_().narrow(0, 0, held[0]);
    }

    /// <summary>Keys that a layer's queries see as the best or the worst there is, the latter for those key-value heads that are dropped.</summary>
    /// <param name="turned">[H, 1, d]: queries as the token's key sees them.</param>
    /// <param name="groups">Key-value heads.</param>
    /// <param name="dropped">Those whose retrieval is dropped.</param>
    private static Tensor MissKeys(Tensor turned, int groups, int dropped)
    {
        const float Sharp = 8;
        float[] signs = [.. Enumerable.Range(0, groups).Select(g => g < dropped ? -Sharp : Sharp)];
        return turned.view(groups, -1, turned.shape[2]).sum([1L]) * tensor(signs, turned.dtype, turned.device).unsqueeze(1);
    }

    private StepTime Dense(DecodeCase shape, int tokens, int repeats, long read)
    {
        using var scope = NewDisposeScope();
        Tensor Make(int heads, int count) => randn([1, heads, count, shape.HeadDim], shape.Type, device);
        var (q, k, v) = (Make(shape.Heads, 1), Make(shape.KeyValueHeads, tokens), Make(shape.KeyValueHeads, tokens));
        return clock.Measure(Math.Max(1, repeats / 4), read, _ =>
        {
            using var step = NewDisposeScope();
            Aten.ScaledDotProductAttention(q, k, v, enableGqa: shape.Heads != shape.KeyValueHeads);
        });
    }
}
