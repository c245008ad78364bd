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

    /// <summary>
    /// The last k of a stable ascending sort are the highest, and among equals the latest; torch
    /// sorts NaN as the highest.
    /// </summary>
    internal static Tensor SortTopK(Tensor scores, int k) => scores.masked_fill(scores.isnan(), float.NegativeInfinity)
        .sort(-1, descending: false, stable: true).Indices.narrow(-1, scores.shape[^1] - k, k).sort(-1).Values;
}
