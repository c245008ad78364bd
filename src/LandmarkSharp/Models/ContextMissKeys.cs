using LandmarkSharp.Attention;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// The context-miss token's keys. It sees itself alone, with weight 0, so they follow from the weights, whatever is read
/// (landmark-attention.md 1.7).
/// </summary>
public static class ContextMissKeys
{
    /// <summary>Computes them by running the token through the layers.</summary>
    /// <param name="decoder">The model.</param>
    /// <returns>Each layer's [G, d], not rotated, the caller's; null for a model without such a token.</returns>
    public static IReadOnlyList<Tensor>? Of(Decoder decoder)
    {
        if (decoder.Config.Landmark?.MissId is not { } id) return null;
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        var alone = new Alone();
        decoder.Forward(full([1, 1], id, ScalarType.Int64, decoder.Device), alone);
        return alone.Keys;
    }

    private sealed class Alone : IAttention
    {
        public List<Tensor> Keys { get; } = [];

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            Keys.Add(k.squeeze(0).squeeze(1).clone().DetachFromDisposeScope());             // [G, d]
            return zeros_like(q);
        }
    }
}
