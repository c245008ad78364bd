using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// Dense landmark attention over a context, window by window, which in every layer also asks what retrieval would read for the same
/// queries from the same blocks. What it returns is the dense result, so each layer is judged by itself.
/// </summary>
/// <param name="engine">A model with landmarks; its retrieval says all but k.</param>
/// <param name="readings">What is told of each k.</param>
/// <param name="positions">Positions of the context, landmarks counted.</param>
/// <param name="place">The bucketed position of a query, by its position in the context with landmarks.</param>
internal sealed class DenseReading(
    LandmarkEngine engine, IReadOnlyList<FidelityOfK> readings, long positions, Func<long, long> place) : IAttention, IDisposable
{
    private readonly RetrievalOptions options = engine.Retrieval!;
    private readonly int length = engine.Config.Landmark!.BlockLength;
    private readonly LayerBlocks?[] held = new LayerBlocks?[engine.Config.Layers];
    private readonly IReadOnlyList<Tensor>? miss = ContextMissKeys.Of(engine.Decoder);
    private long first;
    private RotaryTable? phases;
    private BlockPlaces? places;
    private RetrievedAttention? dense;
    private RetrievedAttention[] retrieving = [];

    /// <summary>The last hidden states of the next positions, which lie in one window: [T, D].</summary>
    /// <param name="ids">Their tokens, landmarks included.</param>
    public Tensor Read(int[] ids)
    {
        using var scope = NewDisposeScope();
        var decoder = engine.Decoder;
        var window = first / ((long)options.WindowBlocks * length) * options.WindowBlocks;  // the block that it begins with
        var keys = (int)(first - (window * length)) + ids.Length;
        RetrievedAttention Reading(RetrievalOptions read) => new(
            (int)window, keys, ids.Length, length, decoder.Rotary, read, decoder.ComputeType, decoder.Device);
        try
        {
            places = new BlockPlaces(first, ids.Length, length, decoder.Device);
            phases = decoder.Rotary.Table(arange(first, first + ids.Length, device: decoder.Device) % length, decoder.ComputeType).Keep();
            // All of the text: nothing is forgotten, no choice ends by mass, and nothing is dropped for the context-miss token.
            dense = Reading(options with
            {
                TopK = (int)Math.Max(1, window),
                Mass = null,
                KeepBlocks = null,
                MissCutoff = options.MissCutoff is null ? null : 0,
            });
            if (window > 0) retrieving = [.. readings.Select(r => Reading(options with { TopK = r.TopK }))];
            var tokens = tensor(ids, ScalarType.Int64, decoder.Device).unsqueeze(0);
            var hidden = decoder.Forward(tokens, this).squeeze(0);
            first += ids.Length;
            return hidden.MoveToOuterDisposeScope();
        }
        finally
        {
            Finish();
        }
    }

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        var (queries, keys, values) = (q.squeeze(0), k.squeeze(0), v.squeeze(0));           // [H, T, d], [G, T, d]
        var blocks = held[layer] ??= Blocks(keys);
        blocks.Write(phases!.Rotate(keys), values, places!);
        Retrieved Ask(RetrievedAttention reading) => reading.Attend(
            queries, blocks.Blocks, blocks.Landmarks, tied: layer == 0, blocks.Scales, account: true, miss?[layer]);
        var all = Ask(dense!);
        if (retrieving.Length > 0)
        {
            var gates = GatesOf(all, readings[^1].TopK);
            foreach (var (reading, to) in retrieving.Zip(readings))
                Compare(layer, gates, all.Output, Ask(reading), to);
        }
        return all.Output.unsqueeze(0).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Finish();
        foreach (var blocks in held) blocks?.Dispose();
        foreach (var key in miss ?? []) key.Dispose();
    }

    private void Finish()
    {
        foreach (var made in (IEnumerable<IDisposable?>)[phases, places, dense, .. retrieving]) made?.Dispose();
        (phases, places, dense, retrieving) = (null, null, null, []);
    }

    private LayerBlocks Blocks(Tensor keys)
    {
        var type = engine.Decoder.ComputeType;
        var blocks = new LayerBlocks(
            keys.shape[0], length - 1, keys.shape[2], type, BlockType.Of(options, type, engine.Decoder.Device), engine.Decoder.Device);
        var count = (positions + length - 1) / length;
        blocks.Grow(count, 0);
        blocks.Clear(0, count);
        return blocks;
    }

    /// <summary>Dense gates by block, and of each query the sums of its greatest.</summary>
    private static (Tensor ByBlock, Tensor Greatest) GatesOf(Retrieved all, int mostK)
    {
        // [H, T, 1 + m]: block b in column b + 1, and nothing in the first, whither −1, no block, leads.
        var (chosen, gates) = (all.Chosen! + 1, all.Gates!.to(ScalarType.Float64));
        var byBlock = zeros([gates.shape[0], gates.shape[1], gates.shape[2] + 1], ScalarType.Float64, gates.device).scatter_(2, chosen, gates);
        byBlock.select(2, 0).zero_();
        var greatest = gates.topk((int)Math.Min(mostK, gates.shape[2]), -1).values.cumsum(-1);
        return (byBlock, greatest);
    }

    private void Compare(int layer, (Tensor ByBlock, Tensor Greatest) gates, Tensor all, Retrieved read, FidelityOfK to)
    {
        using var scope = NewDisposeScope();
        var past = gates.ByBlock.sum([0L, 2L]);                                             // [T], heads together
        var caught = gates.ByBlock.gather(2, read.Chosen! + 1).sum([0L, 2L]);
        var best = gates.Greatest.select(2, Math.Min(to.TopK, gates.Greatest.shape[2]) - 1).sum([0L]);
        var wide = all.to(ScalarType.Float64);
        var error = (read.Output - wide).square().sum([0L, 2L]);
        var chose = read.Chosen!.ge(0).sum([0L, 2L], type: ScalarType.Float64);
        var sums = stack([chose, past, caught, best, error, wide.square().sum([0L, 2L])], 1).cpu().contiguous().data<double>().ToArray();
        for (var t = 0; t < sums.Length / 6; t++)
        {
            var at = sums.AsSpan(t * 6, 6);
            to.Add(layer, place(first + t), new AttentionFidelity(all.shape[0], at[0], at[1], at[2], at[3], at[4], at[5]));
        }
    }
}
