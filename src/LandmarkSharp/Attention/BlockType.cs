using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// What keys and values of past blocks are kept as: the model's type, or fewer bits for a float32 model on the CPU. A row is one
/// token's key or value of one head; as int8 it has a float32 scale, its largest magnitude over 127, so that a number is off by half
/// a scale at most. Landmark keys always have the model's type: which blocks are read does not depend on how blocks are kept.
/// </summary>
internal static class BlockType
{
    private const float LeastScale = 1.17549435e-38f;   // below, a scale would be subnormal: such rows are kept as zeros

    /// <summary>The type of the blocks of a model.</summary>
    /// <exception cref="LandmarkException">Such blocks cannot be kept.</exception>
    public static ScalarType Of(RetrievalOptions options, ScalarType model, Device device)
    {
        var type = options.BlockType ?? model;
        if (type == model) return type;
        if (type is not (ScalarType.BFloat16 or ScalarType.Int8) || model != ScalarType.Float32 || device.type != DeviceType.CPU)
            throw new LandmarkException(
                $"Blocks of {type} are not possible for a model of {model} on {device.type}: "
                + "beside the model's own type there are bfloat16 and int8, for a float32 model on the CPU.");
        return type;
    }

    /// <summary>Bytes of a row of d numbers.</summary>
    public static long RowBytes(ScalarType type, long d) => (d * type.ElementSize()) + (type == ScalarType.Int8 ? sizeof(float) : 0);

    /// <summary>A row's scale; NaN where a number is none or infinite, so that all of the row is read as NaN.</summary>
    /// <param name="greatest">The row's largest magnitude.</param>
    public static float Scale(float greatest) =>
        !float.IsFinite(greatest) ? float.NaN : greatest / 127 is var scale && scale < LeastScale ? 0 : scale;

    /// <summary>Rows as int8 in torch operators.</summary>
    /// <param name="x">[..., d].</param>
    /// <returns>The numbers, [..., d], and the scales, [...].</returns>
    public static (Tensor Numbers, Tensor Scales) Quantize(Tensor x)
    {
        using var scope = NewDisposeScope();
        var greatest = x.abs().amax([-1]);
        var scales = greatest / 127;
        scales = where(scales < LeastScale, zeros_like(scales), where(greatest.isfinite(), scales, full_like(scales, float.NaN)));
        var numbers = where(scales.gt(0).unsqueeze(-1), x / scales.unsqueeze(-1), zeros_like(x)).round().to(ScalarType.Int8);
        return (numbers.MoveToOuterDisposeScope(), scales.MoveToOuterDisposeScope());
    }

    /// <summary>Rows as they are computed with, in torch operators.</summary>
    /// <param name="rows">[..., d].</param>
    /// <param name="scales">[...] for int8.</param>
    /// <param name="type">The model's type.</param>
    public static Tensor Widen(Tensor rows, Tensor? scales, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var wide = rows.to(type);
        return (scales is null ? wide.alias() : wide * scales.unsqueeze(-1)).MoveToOuterDisposeScope();
    }
}
