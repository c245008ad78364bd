using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>Where retrieved blocks are placed, for scoring their landmarks and for reading them (landmark-attention.md 3.2).</summary>
internal abstract class BlockPositions
{
    /// <summary>Position of the window's first token.</summary>
    public abstract long WindowStart { get; }

    /// <summary>The rule for a memory of so many blocks.</summary>
    /// <param name="mode">The rule.</param>
    /// <param name="k">Blocks chosen, 1 to m.</param>
    /// <param name="blocks">Blocks in memory, m.</param>
    /// <param name="length">Positions of a block, L.</param>
    public static BlockPositions Create(PositionMode mode, int k, int blocks, long length) =>
        mode == PositionMode.True ? new TruePositions(blocks, length) : new StingyPositions(k, blocks, length);

    /// <summary>Scores of all landmarks for choosing.</summary>
    /// <param name="q">[H, T, d], scaled, not rotated.</param>
    /// <param name="position">[T]: the queries' positions.</param>
    /// <param name="keys">[G, m, d]: landmark keys at block-local phase.</param>
    /// <param name="rotary">The model's rotary embedding.</param>
    /// <param name="tied">All keys are one key: what stands in one slot scores alike, to the last bit.</param>
    /// <returns>[H, T, m].</returns>
    public abstract Tensor Scan(Tensor q, Tensor position, Tensor keys, Rotary rotary, bool tied);

    /// <summary>Positions at which the chosen blocks start.</summary>
    /// <param name="chosen">[H, T, k] int64, ascending.</param>
    /// <returns>[H, T, k], or broadcastable to it.</returns>
    public abstract Tensor Starts(Tensor chosen);
}

/// <summary>
/// k+1 slots before the window. For scoring, block b of m stands in slot k+1−(m−b) if it is one of the last k, else in slot 0.
/// For reading, the r-th chosen block stands in slot r if old, in slot r+1 if among the last k: order is kept, and with m ≤ k
/// every block stands exactly where it is in the text.
/// </summary>
internal sealed class StingyPositions(int k, int blocks, long length) : BlockPositions
{
    public override long WindowStart => (k + 1) * length;

    public override Tensor Scan(Tensor q, Tensor position, Tensor keys, Rotary rotary, bool tied)
    {
        using var scope = NewDisposeScope();
        var old = blocks - k;
        var slots = arange(1, k + 1, device: q.device) * length;
        var turned = rotary.Rotate(q.unsqueeze(2), position.unsqueeze(1) - slots);          // [H, T, k, d]: slots 1 … k
        var (h, g) = (q.shape[0], keys.shape[0]);
        var recentKeys = keys.narrow(1, old, k).repeat_interleave(h / g, 0).unsqueeze(1);   // [H, 1, k, d]
        var recent = (turned * recentKeys).sum(-1);
        if (old == 0) return recent.MoveToOuterDisposeScope();
        var zero = rotary.Rotate(q, position).unsqueeze(0);                                 // all old ones: one form, one product
        var first = keys.narrow(1, 0, tied ? 1 : old).unsqueeze(0);
        var far = LandmarkAttention.Scores(zero, first).squeeze(0).expand(h, q.shape[1], old);
        return cat([far, recent], -1).MoveToOuterDisposeScope();
    }

    public override Tensor Starts(Tensor chosen)
    {
        using var scope = NewDisposeScope();
        var rank = arange(k, device: chosen.device);
        return ((rank + chosen.ge(blocks - k).to(ScalarType.Int64)) * length).MoveToOuterDisposeScope();
    }
}

/// <summary>Every block where it stands in the text: block b starts at position b·L.</summary>
internal sealed class TruePositions(int blocks, long length) : BlockPositions
{
    public override long WindowStart => blocks * length;

    public override Tensor Scan(Tensor q, Tensor position, Tensor keys, Rotary rotary, bool tied)
    {
        using var scope = NewDisposeScope();
        var placed = rotary.Rotate(keys, arange(blocks, device: q.device) * length);        // [G, m, d] at true phase
        return LandmarkAttention.Scores(rotary.Rotate(q, position).unsqueeze(0), placed.unsqueeze(0)).squeeze(0).MoveToOuterDisposeScope();
    }

    public override Tensor Starts(Tensor chosen) => chosen * length;
}
