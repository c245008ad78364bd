using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Keys and values of a model without landmarks, rotated to their true positions: causal attention over all of them, or over
/// a sliding window. Rows of a batch have one length.
/// </summary>
/// <param name="layers">Layers of the decoder.</param>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="slidingWindow">Keys a query sees, itself counted; null for all.</param>
public sealed class PlainMemory(int layers, Rotary rotary, int? slidingWindow = null) : ContextMemory
{
    private const int Chunk = 512;
    private const int Grain = 256;

    private readonly (Tensor Keys, Tensor Values)?[] held = new (Tensor, Tensor)?[layers];
    private long reserved;
    private RotaryTable? table;
    private Tensor? mask;

    /// <inheritdoc/>
    public override int Room => Chunk;

    /// <inheritdoc/>
    public override long Bytes => held.Sum(l => l is { } x ? 2 * x.Keys.numel() * x.Keys.element_size() : 0);

    /// <inheritdoc/>
    public override void Reserve(long positions) => reserved = Math.Max(reserved, positions);

    /// <inheritdoc/>
    public override Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        var count = q.shape[2];
        var total = Positions + count;
        table ??= rotary.Table(arange(Positions, total, device: q.device), q.dtype).Keep();
        var (keys, values) = Grown(layer, k, total);
        keys.narrow(2, Positions, count).copy_(table.Rotate(k));
        values.narrow(2, Positions, count).copy_(v);

        // Keys that every query of the pass has left behind are not read.
        var from = slidingWindow is { } w ? Math.Max(0, Positions - w + 1) : 0;
        mask ??= Mask(count, total, from, q.device).DetachFromDisposeScope();
        return Aten.ScaledDotProductAttention(
            table.Rotate(q), keys.narrow(2, from, total - from), values.narrow(2, from, total - from),
            mask, scale: rotary.ScoreScale / Math.Sqrt(rotary.HeadDim), enableGqa: q.shape[1] != k.shape[1]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Prepare(int count) { }

    /// <inheritdoc/>
    protected override void Finish()
    {
        table?.Dispose();
        mask?.Dispose();
        (table, mask) = (null, null);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        Finish();
        foreach (var layer in held)
        {
            layer?.Keys.Dispose();
            layer?.Values.Dispose();
        }
    }

    /// <summary>Which keys each query sees: [T, S'].</summary>
    private Tensor Mask(long count, long total, long from, Device device)
    {
        using var scope = NewDisposeScope();
        var query = arange(Positions, total, device: device).unsqueeze(1);
        var key = arange(from, total, device: device);
        var seen = key.le(query);
        if (slidingWindow is { } w) seen = seen.logical_and(key.gt(query - w));
        return seen.MoveToOuterDisposeScope();
    }

    private (Tensor Keys, Tensor Values) Grown(int layer, Tensor like, long total)
    {
        if (held[layer] is { } now && now.Keys.shape[2] >= total) return now;
        var capacity = Math.Max(Math.Max(total, reserved), held[layer] is { } old ? old.Keys.shape[2] * 3 / 2 : 0);
        capacity = (capacity + Grain - 1) / Grain * Grain;
        Tensor Grow(Tensor? from)
        {
            var to = empty([like.shape[0], like.shape[1], capacity, like.shape[3]], like.dtype, like.device).DetachFromDisposeScope();
            if (from is not null)
            {
                to.narrow(2, 0, Positions).copy_(from.narrow(2, 0, Positions));
                from.Dispose();
            }
            return to;
        }
        var grown = (Grow(held[layer]?.Keys), Grow(held[layer]?.Values));
        held[layer] = grown;
        return grown;
    }
}
