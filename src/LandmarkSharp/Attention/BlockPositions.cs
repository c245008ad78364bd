using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Where the blocks before the window are placed, for scoring their landmarks and for reading them (landmark-attention.md 3.2).
/// Keys stay at block-local phase: a query is turned into one form for each slot instead. Angles depend on places alone, so
/// they are computed once for all layers.
/// </summary>
internal abstract class BlockPositions : IDisposable
{
    /// <summary>The rule for a memory of so many blocks.</summary>
    /// <param name="mode">The rule.</param>
    /// <param name="k">Blocks chosen, 1 to m.</param>
    /// <param name="blocks">Blocks in memory, m.</param>
    /// <param name="length">Positions of a block, L.</param>
    /// <param name="place">[T]: the queries' places in the window.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="type">Type of the queries.</param>
    public static BlockPositions Create(PositionMode mode, int k, int blocks, long length, Tensor place, Rotary rotary, ScalarType type) =>
        mode == PositionMode.True
            ? new TruePositions(blocks, length, place, rotary, type)
            : new StingyPositions(k, blocks, length, place, rotary, type);

    /// <summary>The forms of the queries that the other two methods take.</summary>
    /// <param name="q">[H, T, d], scaled, not rotated.</param>
    public abstract Tensor Turn(Tensor q);

    /// <summary>Scores of all landmarks for choosing.</summary>
    /// <param name="forms">From <see cref="Turn"/>.</param>
    /// <param name="keys">[G, m, d]: landmark keys at block-local phase.</param>
    /// <param name="tied">All keys are one key: what stands in one slot scores alike, to the last bit.</param>
    /// <returns>[H, T, m].</returns>
    public abstract Tensor Scan(Tensor forms, Tensor keys, bool tied);

    /// <summary>The queries turned to each chosen block's slot.</summary>
    /// <param name="forms">From <see cref="Turn"/>.</param>
    /// <param name="chosen">[H, T, k] int64, ascending; −1 after the last of fewer, whose forms are any.</param>
    /// <returns>[H, T, k, d].</returns>
    public abstract Tensor ForReading(Tensor forms, Tensor chosen);

    /// <inheritdoc/>
    public abstract void Dispose();
}

/// <summary>
/// k+1 slots before the window. For scoring, block b of m stands in slot k+1−(m−b) if it is one of the last k, else in slot 0.
/// For reading, the r-th of c ≤ k chosen blocks stands in slot r if old, in slot r+1+k−c if among the last k: order is kept, and with
/// m ≤ k, where all are chosen, every block stands exactly where it is in the text.
/// </summary>
internal sealed class StingyPositions : BlockPositions
{
    private readonly int k, old;
    private readonly RotaryTable table;

    public StingyPositions(int k, int blocks, long length, Tensor place, Rotary rotary, ScalarType type)
    {
        (this.k, old) = (k, blocks - k);
        var windowStart = (k + 1) * length;
        using var scope = NewDisposeScope();
        table = rotary.Table((place + windowStart).unsqueeze(1) - (arange(k + 1, device: place.device) * length), type).Keep(); // [T, k+1]
    }

    /// <summary>A form for each slot, [H, T, k+1, d].</summary>
    public override Tensor Turn(Tensor q) => table.Rotate(q.unsqueeze(2));

    public override Tensor Scan(Tensor forms, Tensor keys, bool tied)
    {
        using var scope = NewDisposeScope();
        var (h, t, g) = (forms.shape[0], forms.shape[1], keys.shape[0]);
        var recentKeys = keys.narrow(1, old, k).repeat_interleave(h / g, 0).unsqueeze(1);   // [H, 1, k, d]
        var recent = (forms.narrow(2, 1, k) * recentKeys).sum(-1);
        if (old == 0) return recent.MoveToOuterDisposeScope();
        var first = keys.narrow(1, 0, tied ? 1 : old).unsqueeze(0);                         // all old ones: one form, one product
        var far = LandmarkAttention.Scores(forms.select(2, 0).unsqueeze(0), first).squeeze(0).expand(h, t, old);
        return cat([far, recent], -1).MoveToOuterDisposeScope();
    }

    public override Tensor ForReading(Tensor forms, Tensor chosen)
    {
        using var scope = NewDisposeScope();
        var empty = chosen.lt(0).sum(-1, keepdim: true) + 1;                                // slots between old ones and recent ones
        var slot = arange(k, device: chosen.device) + (chosen.ge(old).to(ScalarType.Int64) * empty);  // [H, T, k]
        return forms.gather(2, slot.unsqueeze(3).expand(-1, -1, -1, forms.shape[3])).MoveToOuterDisposeScope();
    }

    public override void Dispose() => table.Dispose();
}

/// <summary>Every block where it stands in the text: block b starts at position b·L.</summary>
internal sealed class TruePositions : BlockPositions
{
    private readonly RotaryTable queries, starts, back;

    public TruePositions(int blocks, long length, Tensor place, Rotary rotary, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var start = arange(blocks, device: place.device) * length;
        queries = rotary.Table(place + (blocks * length), type).Keep();                     // [T]
        starts = rotary.Table(start, type).Keep();                                          // [m]
        back = rotary.Table(-start, type).Keep();
    }

    /// <summary>The queries at their own positions, [H, T, d].</summary>
    public override Tensor Turn(Tensor q) => queries.Rotate(q);

    public override Tensor Scan(Tensor forms, Tensor keys, bool tied)
    {
        using var placed = starts.Rotate(keys);                                             // [G, m, d] at true phase
        return LandmarkAttention.Scores(forms.unsqueeze(0), placed.unsqueeze(0)).squeeze(0);
    }

    public override Tensor ForReading(Tensor forms, Tensor chosen)
    {
        using var blocks = chosen.clamp_min(0);
        using var chosenBack = back.Select(blocks);                                         // R(−start)·R(p)·q
        return chosenBack.Rotate(forms.unsqueeze(2));
    }

    public override void Dispose()
    {
        queries.Dispose();
        starts.Dispose();
        back.Dispose();
    }
}
