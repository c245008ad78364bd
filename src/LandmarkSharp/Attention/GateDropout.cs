using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Group dropout (landmark-attention.md 1.7): in training a query's gates of earlier blocks are dropped at random, each for itself
/// and after the softmax over them; those left are divided by 1 − p. What is dropped follows from the seed, whatever computes it.
/// </summary>
/// <param name="Probability">Of a gate to be dropped, p: 0 to less than 1.</param>
/// <param name="Seed">Another one drops other gates: take one for each layer and step.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct GateDropout(double Probability, int Seed)
{
    /// <summary>Random numbers below this one drop their gate.</summary>
    internal uint Threshold => (uint)(Probability * uint.MaxValue);

    /// <summary>What a gate that is left is multiplied by.</summary>
    internal float Kept => (float)(1 / (1 - Probability));

    /// <summary>The same, with a seed of its own for a layer.</summary>
    public GateDropout OfLayer(int layer) => this with { Seed = unchecked((Seed * 16777619) + layer) };

    /// <summary>This, when it makes sense.</summary>
    /// <exception cref="LandmarkException">The probability is no probability, or leaves nothing.</exception>
    internal GateDropout Checked() => Probability is >= 0 and < 1 ? this : throw new LandmarkException(
        $"Gates cannot be dropped with probability {Probability}: give 0 or more and less than 1.");

    /// <summary>What gates are multiplied by, 0 or 1 / (1 − p), as the kernels' gates.cuh has it.</summary>
    /// <param name="sizes">[B, H, T, N].</param>
    /// <param name="device">Where.</param>
    internal Tensor Mask(long[] sizes, Device device)
    {
        using var scope = NewDisposeScope();
        var row = arange(sizes[0] * sizes[1] * sizes[2], ScalarType.Int64, device);
        var random = Mixed(Low(Mixed(row.bitwise_and(Bits).bitwise_xor(Seed & Bits)) + row.bitwise_right_shift(32)));
        var block = Low(arange(sizes[3], ScalarType.Int64, device) * 0x9e3779b9);
        var numbers = Mixed(Low(random.unsqueeze(1) + block));
        return (numbers.ge((long)Threshold).to(ScalarType.Float32) * Kept).view(sizes).MoveToOuterDisposeScope();
    }

    private const long Bits = 0xffffffff;

    // 32 bits in numbers of 64: what overflows those does not reach the bits that count.
    private static Tensor Low(Tensor x) => x.bitwise_and(Bits);

    private static Tensor Mixed(Tensor x)
    {
        x = Low(x.bitwise_xor(x.bitwise_right_shift(16)) * 0x85ebca6b);
        x = Low(x.bitwise_xor(x.bitwise_right_shift(13)) * 0xc2b2ae35);
        return x.bitwise_xor(x.bitwise_right_shift(16));
    }
}
