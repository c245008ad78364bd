using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>
/// Group dropout (landmark-attention.md 1.7): in training a query's gates of earlier blocks are dropped at random, each for itself
/// and after the softmax over them.
/// </summary>
internal static class GateDropout
{
    /// <summary>What gates are multiplied by, 0 or 1 / (1 − p), as the kernels' gates.cuh has it.</summary>
    /// <param name="dropout">Which, and what for.</param>
    /// <param name="sizes">[B, H, T, N].</param>
    /// <param name="device">Where.</param>
    public static Tensor Mask(SeededDropout dropout, long[] sizes, Device device)
    {
        using var scope = NewDisposeScope();
        var row = arange(sizes[0] * sizes[1] * sizes[2], ScalarType.Int64, device);
        var random = Mixed(Low(Mixed(row.bitwise_and(Bits).bitwise_xor(dropout.Seed & Bits)) + row.bitwise_right_shift(32)));
        var block = Low(arange(sizes[3], ScalarType.Int64, device) * 0x9e3779b9);
        var numbers = Mixed(Low(random.unsqueeze(1) + block));
        return (numbers.ge((long)dropout.Threshold).to(ScalarType.Float32) * dropout.Kept).view(sizes).MoveToOuterDisposeScope();
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
