using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Which blocks are read (landmark-attention.md 3.3): the k that score highest; among equal scores the later block. NaN is
/// lower than any score.
/// </summary>
internal static class BlockSelection
{
    /// <summary>Chooses blocks by landmark scores.</summary>
    /// <param name="scores">[H, T, m]: each query's score of each block's landmark.</param>
    /// <param name="groups">Key-value heads, G; divides H.</param>
    /// <param name="k">Blocks to choose, 1 to m.</param>
    /// <param name="mode">Who shares a choice.</param>
    /// <param name="reference">Use sorting in torch where a kernel exists.</param>
    /// <param name="counts">[H, T] bool: queries that have a part in a choice that is shared; all when null.</param>
    /// <returns>[H, T, k] int64, ascending, so in the order of the text.</returns>
    /// <exception cref="LandmarkException">The mode is none of those there are.</exception>
    public static Tensor Choose(Tensor scores, long groups, int k, SelectionMode mode, bool reference = false, Tensor? counts = null)
    {
        using var scope = NewDisposeScope();
        var (h, t, m) = (scores.shape[0], scores.shape[1], scores.shape[2]);
        if (k >= m)
            return arange(m, device: scores.device).expand(h, t, m).MoveToOuterDisposeScope();
        Tensor Softmax() => counts is null ? softmax(scores, -1) : softmax(scores, -1).masked_fill(counts.logical_not().unsqueeze(-1), 0);
        var shared = mode switch
        {
            SelectionMode.PerTokenAndHead => scores,                                        // softmax keeps the order
            SelectionMode.PerTokenAndGroup when groups == h => scores,
            SelectionMode.PerTokenAndGroup => Softmax().view(groups, h / groups, t, m).amax([1]),
            SelectionMode.PerToken => Softmax().amax([0], keepdim: true),
            SelectionMode.PerHead => Softmax().amax([1], keepdim: true),
            _ => throw new LandmarkException($"Selection mode {mode} is not known."),
        };
        var top = !reference && shared.device_type == DeviceType.CPU ? CpuTopK.Choose(shared, k) : SortTopK(shared, k);
        if (mode == SelectionMode.PerTokenAndGroup)
            top = top.repeat_interleave(h / groups, 0);
        return top.expand(h, t, k).MoveToOuterDisposeScope();
    }

    /// <summary>Ends choices where they have enough of the landmarks' softmax.</summary>
    /// <param name="scores">As <see cref="Choose"/> has it; likewise groups and mode.</param>
    /// <param name="chosen">[H, T, k]: what it chose.</param>
    /// <param name="groups">Key-value heads, G.</param>
    /// <param name="mode">Who shares a choice.</param>
    /// <param name="mass">The share, below 1.</param>
    /// <returns>[H, T, k]: the highest of them until they have it, ascending, and −1 after them.</returns>
    public static Tensor EndByMass(Tensor scores, Tensor chosen, long groups, SelectionMode mode, double mass)
    {
        using var scope = NewDisposeScope();
        var (h, t, k) = (chosen.shape[0], chosen.shape[1], chosen.shape[2]);
        var p = softmax(scores, -1).gather(2, chosen).to(ScalarType.Float64).view(groups, h / groups, t, k);
        long[] shared = mode switch                                                         // dimensions of those who choose together
        {
            SelectionMode.PerTokenAndGroup => [1],
            SelectionMode.PerToken => [0, 1],
            SelectionMode.PerHead => [2],
            _ => [],
        };
        Tensor Greatest(Tensor x) => shared.Length == 0 ? x : x.amax(shared, keepdim: true);
        // A lone row's softmax has the order of its scores, but more of them equal.
        var rank = shared.Aggregate(1L, (rows, i) => rows * p.shape[i]) == 1 ? scores.gather(2, chosen).view(p.shape) : Greatest(p).expand(p.shape);
        var order = rank.flip(3).sort(-1, descending: true, stable: true).Indices.neg() + (k - 1);      // of equals the later
        var needed = p.gather(3, order).cumsum(3).ge(EnoughOf(mass)).logical_not().sum(3, keepdim: true) + 1;
        var kept = zeros_like(order).scatter(3, order, arange(k, device: chosen.device).lt(Greatest(needed)).to(ScalarType.Int64).expand(p.shape));
        var none = scores.shape[2];                                                         // after all blocks
        var ended = where(kept.view(h, t, k).eq(1), chosen, none).sort(-1).Values;
        return where(ended.eq(none), -1, ended).MoveToOuterDisposeScope();
    }

    /// <summary>How many heads that follow each other, and how many queries, share a choice.</summary>
    public static (int Heads, int Queries) Together(SelectionMode mode, int heads, int groups, int queries) => mode switch
    {
        SelectionMode.PerTokenAndGroup => (heads / groups, 1),
        SelectionMode.PerToken => (heads, 1),
        SelectionMode.PerHead => (1, queries),
        _ => (1, 1),
    };

    /// <summary>A sum that is the mass, but for rounding, is enough.</summary>
    internal static double EnoughOf(double mass) => mass - 1e-6;

    /// <summary>
    /// The last k of a stable ascending sort are the highest, and among equals the latest; torch
    /// sorts NaN as the highest.
    /// </summary>
    internal static Tensor SortTopK(Tensor scores, int k) => scores.masked_fill(scores.isnan(), float.NegativeInfinity)
        .sort(-1, descending: false, stable: true).Indices.narrow(-1, scores.shape[^1] - k, k).sort(-1).Values;
}
