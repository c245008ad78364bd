using System.Runtime.CompilerServices;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;

namespace LandmarkSharp.Tests.Tensors.Cuda;

/// <summary>What the copy engine cannot do is said before the driver is asked; copies themselves are tested with kernels.</summary>
public sealed class TensorMapTests
{
    [Fact]
    public void AMapHasTheDriversSize() => Assert.Equal(TensorMap.Bytes, Unsafe.SizeOf<TensorMap>());

    [Fact]
    public void WhatIsPossiblePasses()
    {
        Check([128, 4096], [256], [64, 64], Swizzle.Bytes128);
        Check([128, 4096, 8, 2], [256, 1 << 20, 1 << 23], [32, 256, 1, 1], Swizzle.Bytes64);
        Check([128, 4096, 8, 2, 1], [256, 0, 16, 16], [16, 1, 1, 1, 1], Swizzle.Bytes32);
        Check([128, 4096], [512], [64, 64], Swizzle.None, torch.ScalarType.Float32);
    }

    [Fact]
    public void WhatIsNotIsNamed()
    {
        Fails("elements of type Int64", () => Check([128, 8], [256], [64, 8], type: torch.ScalarType.Int64));
        Fails("1 sizes, 0 strides and a box of 1", () => Check([128], [], [64]));
        Fails("6 sizes", () => Check([8, 1, 1, 1, 1, 1], [16, 16, 16, 16, 16], [8, 1, 1, 1, 1, 1]));
        Fails("a box of 3", () => Check([128, 8], [256], [64, 8, 1]));
        Fails("a tensor at address 1032", () => Check([128, 8], [256], [64, 8], address: 1032));
        Fails("a tensor at address 0", () => Check([128, 8], [256], [64, 8], address: 0));
        Fails("a size of 0", () => Check([0, 8], [256], [64, 8]));
        Fails("a stride of 250 bytes", () => Check([125, 8], [250], [64, 8]));
        Fails("a stride of -256 bytes", () => Check([128, 8], [-256], [64, 8]));
        Fails("a box with a side of 257", () => Check([128, 999], [256], [64, 257]));
        Fails("rows of 256 bytes: a row must be a multiple of 16 bytes, and at most 128", () => Check([128, 8], [256], [128, 8]));
        Fails("rows of 128 bytes: a row must be a multiple of 16 bytes, and at most 32",
            () => Check([128, 8], [256], [64, 8], Swizzle.Bytes32));
        Fails("rows of 10 bytes", () => Check([128, 8], [256], [5, 8], Swizzle.None));
    }

    private static void Check(
        long[] sizes,
        long[] strides,
        int[] box,
        Swizzle swizzle = Swizzle.Bytes128,
        torch.ScalarType type = torch.ScalarType.BFloat16,
        nint address = 1024) =>
        TensorMap.Check(address, type, sizes, strides, box, swizzle);

    private static void Fails(string words, Action action)
    {
        var message = Assert.Throws<LandmarkException>(action).Message;
        Assert.StartsWith("The copy engine cannot take ", message, StringComparison.Ordinal);
        Assert.Contains(words, message, StringComparison.Ordinal);
    }
}
