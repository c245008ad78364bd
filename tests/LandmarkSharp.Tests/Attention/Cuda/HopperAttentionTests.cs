using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.Cuda.DenseComparison;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>The Hopper kernels against the reference. On a CPU tests/KernelEmulation checks the same kernels.</summary>
public sealed class HopperAttentionTests
{
    public HopperAttentionTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        SkipWithoutHopper();
        Gen.Select(Gen.Int[1, 700], Gen.Double[0, 1], Gen.Int[2, 128], Gen.Double[0, 1], Gen.Int[1, 2], Gen.Int[1, 3], Gen.Int[1, 8], Gen.Int[0, 1 << 30])
            .Sample(
                (keys, part, block, firstPart, groups, repeat, head, seed) => Compare<HopperAttention>(
                    keys, 1 + (int)(part * (keys - 1)), block, 1 + (int)(firstPart * (block - 1)), groups, repeat, 16 * head, seed),
                iter: 40);
    }

    [Theory]
    [InlineData(1, 1, 2, 1, 64)]            // a landmark alone sees nothing
    [InlineData(130, 130, 64, 1, 128)]      // starts on a landmark
    [InlineData(128, 128, 64, 64, 128)]     // ends on one
    [InlineData(129, 1, 64, 64, 128)]
    [InlineData(1000, 1000, 51, 51, 128)]
    [InlineData(513, 400, 128, 100, 128)]
    [InlineData(50, 50, 2, 2, 16)]
    public void CornersEqualTheReference(int keys, int queries, int block, int first, int head)
    {
        SkipWithoutHopper();
        Compare<HopperAttention>(keys, queries, block, first, groups: 2, repeat: 2, head, seed: keys);
    }

    [Theory]
    [InlineData(256, 64, 700)]
    [InlineData(128, 200, 700)]
    [InlineData(64, 256, 700)]
    public void ForwardTakesMoreThanBackward(int head, int block, int keys)
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(keys, keys, 1, 2, head, 5, ScalarType.BFloat16);
        using var layout = BlockLayout.Regular(keys, keys, block, block);
        var (output, _) = HopperAttention.Forward(q.to(Card), k.to(Card), v.to(Card), new(new(keys, keys, block, block), 0.1));
        var expected = LandmarkAttention.Attend(q.@double(), k.@double(), v.@double(), layout, 0.1);
        Assert.InRange(Error(output.cpu(), expected), 0, 5e-3);
    }

    [Fact]
    public void EqualInputsGiveEqualBits()
    {
        SkipWithoutHopper();
        CompareBits<HopperAttention>(2000, 128, 64);
    }

    [Theory]
    [InlineData(64, 32)]
    [InlineData(96, 51)]
    public void AttentionOnTheCardUsesThem(int head, int block)
    {
        SkipWithoutHopper();
        CompareAttention(AttentionBackend.Hopper, null, head, block);
    }

    [Theory]
    [InlineData(500, 32, 64)]
    [InlineData(700, 100, 128)]
    public void GatesCountInPartAsInTheReference(int keys, int block, int head)
    {
        SkipWithoutHopper();
        CompareGates(null, keys, block, head);
    }

    [Fact]
    public void WhatTheyDoNotTakeGoesElsewhere()
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(200, 200, 64, 64, Card);
        var x = randn([1, 2, 200, 64], device: Card);
        AttentionBackend For(Tensor x, double scale = 1) => AttentionBackends.For(x, x, x, layout, scale);
        Assert.Equal(AttentionBackend.Reference, For(x));
        using var longer = BlockLayout.Regular(20000, 20000, 64, 64);
        var y = randn([1, 2, 20000, 8], device: Card);
        Assert.Equal(AttentionBackend.CudaPlain, AttentionBackends.For(y, y, y, longer, 1));
        Assert.Equal(AttentionBackend.Reference, For(x.clone().requires_grad_()));
        Assert.Equal(AttentionBackend.Reference, For(x.half(), scale: -1));
        Assert.Equal(AttentionBackend.Hopper, For(x.half().requires_grad_()));
        var wide = randn([1, 2, 200, 256], ScalarType.BFloat16, Card);
        Assert.Equal(AttentionBackend.Hopper, For(wide));
        Assert.Equal(AttentionBackend.CudaMma, For(wide.requires_grad_()));
    }

    [Fact]
    public void PackedDocumentsSeeThemselvesAlone()
    {
        SkipWithoutHopper();
        ComparePacked<HopperAttention>(128, 128);
    }

    private static void SkipWithoutHopper() => Assert.SkipUnless(
        LibTorch.CudaAvailable && HopperAttention.Serves(zeros([1, 1, 1, 64], ScalarType.BFloat16, Card), 64, backward: true),
        "No Hopper GPU with our kernels.");
}
