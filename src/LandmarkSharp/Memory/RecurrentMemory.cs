using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// The memory of a Transformer-XL: keys and values of the window at hand and of the cache before it, however long the text, rotated
/// to their true positions. Rows of a batch have one length.
/// </summary>
/// <param name="layers">Layers of the decoder.</param>
/// <param name="rotary">The model's rotary embedding.</param>
/// <param name="recurrence">Window and cache.</param>
public sealed class RecurrentMemory(int layers, Rotary rotary, Recurrence recurrence) : ContextMemory
{
    // Position p stands at place p mod (cache + window). What a window writes then takes the places of positions before its cache
    // alone, so a pass that failed has overwritten nothing that the next one reads.
    private readonly long ring = (long)recurrence.Cache + recurrence.Window;
    private readonly (Tensor Keys, Tensor Values)?[] held = new (Tensor, Tensor)?[layers];
    private RotaryTable? table;
    private Tensor? places, mask;

    /// <summary>What is left of the window: a pass lies in one.</summary>
    public override int Room => (int)(recurrence.Window - (Positions % recurrence.Window));

    /// <inheritdoc/>
    public override long Bytes => held.Sum(l => l is { } x ? 2 * x.Keys.numel() * x.Keys.element_size() : 0);

    /// <summary>Nothing: the memory does not grow with the text.</summary>
    public override void Reserve(long positions) { }

    /// <inheritdoc/>
    public override Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        var total = Positions + q.shape[2];
        if (mask is null) Setup(total, q);
        var (keys, values) = held[layer] ??= (Ring(k), Ring(v));
        keys.index_copy_(2, places!, table!.Rotate(k));
        values.index_copy_(2, places!, v);
        var filled = Math.Min(total, ring);
        return Aten.ScaledDotProductAttention(
            table.Rotate(q), keys.narrow(2, 0, filled), values.narrow(2, 0, filled), mask,
            scale: rotary.ScoreScale / Math.Sqrt(rotary.HeadDim), enableGqa: q.shape[1] != k.shape[1]).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Prepare(int count) { }

    /// <inheritdoc/>
    protected override void Finish()
    {
        table?.Dispose();
        places?.Dispose();
        mask?.Dispose();
        (table, places, mask) = (null, null, null);
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

    /// <summary>What depends on places alone, made in the first layer and used by all.</summary>
    private void Setup(long total, Tensor q)
    {
        var positions = arange(Positions, total, device: q.device);
        table = rotary.Table(positions, q.dtype).Keep();
        places = (positions % ring).DetachFromDisposeScope();
        // Each place has the newest position that belongs there.
        var last = total - 1;
        var stands = last - (last - arange(Math.Min(total, ring), device: q.device)).remainder(ring);
        var first = (Positions / recurrence.Window * recurrence.Window) - recurrence.Cache;
        mask = stands.ge(first).logical_and(stands.le(positions.unsqueeze(1))).DetachFromDisposeScope();    // [T, S]
    }

    private Tensor Ring(Tensor like) =>
        empty([like.shape[0], like.shape[1], ring, like.shape[3]], like.dtype, like.device).DetachFromDisposeScope();
}
