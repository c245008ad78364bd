using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>Ordinary causal attention over one window, by libtorch: what models without landmarks train with.</summary>
/// <param name="rotary">The model's rotary embedding.</param>
public sealed class CausalAttention(Rotary rotary) : IAttention, IDisposable
{
    private RotaryTable? table;

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        using var scope = NewDisposeScope();
        if (table is null || table.Cos.shape[0] != q.shape[2])
        {
            table?.Dispose();
            table = rotary.Table(arange(q.shape[2], device: q.device), q.dtype).Keep();
        }
        return Aten.ScaledDotProductAttention(
            RotaryFunction.Apply(q, table), RotaryFunction.Apply(k, table), v, causal: true, scale: rotary.ScoreScale / Math.Sqrt(rotary.HeadDim),
            enableGqa: q.shape[1] != k.shape[1]).MoveToOuterDisposeScope();
    }

    /// <summary>Frees the table of angles.</summary>
    public void Dispose()
    {
        table?.Dispose();
        table = null;
    }
}
