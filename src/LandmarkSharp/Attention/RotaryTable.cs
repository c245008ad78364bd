using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>Cosines and sines of the angles of some positions: made once, used by every layer.</summary>
/// <param name="Cos">[..., d/2].</param>
/// <param name="Sin">[..., d/2].</param>
public sealed record RotaryTable(Tensor Cos, Tensor Sin) : IDisposable
{
    /// <summary>Turns heads: the pair (x_i, x_{i+d/2}) by angle i.</summary>
    /// <param name="x">[..., d], broadcastable with the table.</param>
    public Tensor Rotate(Tensor x)
    {
        using var scope = NewDisposeScope();
        var halves = x.chunk(2, -1);
        var (a, b) = (halves[0], halves[1]);
        return cat([(a * Cos) - (b * Sin), (b * Cos) + (a * Sin)], -1).MoveToOuterDisposeScope();
    }

    /// <summary>The table at some of its positions.</summary>
    /// <param name="index">Any shape, int64.</param>
    /// <returns>index's shape and [d/2]; the table's own first dimension is the one indexed.</returns>
    public RotaryTable Select(Tensor index)
    {
        using var flat = index.flatten();
        Tensor Pick(Tensor from)
        {
            using var rows = from.index_select(0, flat);
            return rows.view([.. index.shape, from.shape[^1]]);
        }
        return new RotaryTable(Pick(Cos), Pick(Sin));
    }

    /// <summary>This table, out of the dispose scope it was made in: the caller disposes it.</summary>
    public RotaryTable Keep()
    {
        Cos.DetachFromDisposeScope();
        Sin.DetachFromDisposeScope();
        return this;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Cos.Dispose();
        Sin.Dispose();
    }
}
