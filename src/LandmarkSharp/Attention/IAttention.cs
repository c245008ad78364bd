using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// What a decoder layer asks for its attention: training gives the dense one, inference the one that owns a memory,
/// a model without landmarks the plain one. Nothing else differs between them.
/// </summary>
public interface IAttention
{
    /// <summary>Attention of one layer over everything this context holds, the new positions counted.</summary>
    /// <param name="layer">Index of the layer, from 0.</param>
    /// <param name="q">[B, H, T, d], not rotated.</param>
    /// <param name="k">[B, G, T, d], not rotated.</param>
    /// <param name="v">[B, G, T, d].</param>
    /// <returns>[B, H, T, d].</returns>
    Tensor Attend(int layer, Tensor q, Tensor k, Tensor v);
}
