using System.Numerics.Tensors;
using static TorchSharp.torch;
using Tensor = TorchSharp.torch.Tensor;

namespace LandmarkSharp.Generation;

/// <summary>
/// Refuses numbers of a model that are not finite: one NaN spreads to every token after it, and a text sampled from that
/// looks like an answer.
/// </summary>
internal static class Finite
{
    /// <summary>These states, when all are finite.</summary>
    public static Tensor Checked(Tensor states)
    {
        using var scope = NewDisposeScope();
        return states.isfinite().all().item<bool>() ? states : throw Broken();
    }

    /// <summary>These logits or probabilities, when all are finite.</summary>
    public static float[] Checked(float[] values)
    {
        Check(values);
        return values;
    }

    /// <summary>Throws unless all values are finite.</summary>
    public static void Check(ReadOnlySpan<float> values)
    {
        if (!TensorPrimitives.IsFiniteAll(values)) throw Broken();
    }

    private static LandmarkException Broken() => new(
        "The model computes no numbers (NaN or infinity): its weights are damaged, or float16 is too narrow for them; "
        + "fetch them again, or try --dtype float32 or bfloat16.");
}
