using System.Collections.Concurrent;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// NF4, the 4-bit NormalFloat (Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, 2023, section 3 and appendix E):
/// 16 levels from −1 to 1, an exact 0 among them, that lie as the quantiles of a normal distribution, as trained weights nearly do.
/// </summary>
internal static class NormalFloat
{
    /// <summary>The levels, in order: a code is a place here.</summary>
    public static readonly float[] Levels =
    [
        -1f, -0.6961928f, -0.52507305f, -0.39491749f, -0.28444138f, -0.18477343f, -0.09105004f, 0f,
        0.0795803f, 0.1609302f, 0.2461123f, 0.33791524f, 0.44070983f, 0.562617f, 0.72295684f, 1f,
    ];

    // Both levels of each byte, side by side as one number: the table is read once for two weights, on a GPU and a CPU alike.
    private static readonly ConcurrentDictionary<(DeviceType, int, ScalarType), Tensor> Pairs = new();

    /// <summary>The nearest levels, two in a byte, the first in its lower half.</summary>
    /// <param name="x">[N, 2·M] float32, from −1 to 1.</param>
    /// <returns>[N, M] bytes.</returns>
    public static Tensor Codes(Tensor x)
    {
        using var scope = NewDisposeScope();
        var between = tensor([.. Levels.Zip(Levels.Skip(1), (a, b) => (a + b) / 2)], device: x.device);
        var codes = bucketize(x.contiguous(), between, outInt32: true).unflatten(1, [x.shape[1] / 2, 2]);     // [N, M, 2]
        return (codes[.., .., 0] + (codes[.., .., 1] * 16)).to(ScalarType.Byte).MoveToOuterDisposeScope();
    }

    /// <summary>The levels of codes.</summary>
    /// <param name="codes">[N, M] bytes.</param>
    /// <param name="type">float32, bfloat16, float16 or float64.</param>
    /// <returns>[N, 2·M] of that type.</returns>
    public static Tensor Values(Tensor codes, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var pairs = Pairs.GetOrAdd((codes.device_type, codes.device_index, type), static (_, given) => Table(given.type, given.device), (type, codes.device));
        return ByteView.As(pairs.index_select(0, codes.to(ScalarType.Int32).flatten()).view(codes.shape), type).MoveToOuterDisposeScope();
    }

    private static Tensor Table(ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        var pairs = tensor([.. Enumerable.Range(0, 256).SelectMany(b => new[] { Levels[b & 15], Levels[b >> 4] })]).view(256, 2).to(type);
        var both = type switch
        {
            ScalarType.Float64 => ScalarType.ComplexFloat64,
            ScalarType.Float32 => ScalarType.Int64,
            _ => ScalarType.Int32,
        };
        return ByteView.As(pairs, both).flatten().to(device).DetachFromDisposeScope();
    }
}
