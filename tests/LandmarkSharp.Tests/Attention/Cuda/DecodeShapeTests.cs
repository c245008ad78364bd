using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>What the decode kernels take and how it is laid out: no device is needed.</summary>
public sealed class DecodeShapeTests
{
    public DecodeShapeTests() => LibTorch.Load();

    [Fact]
    public void WhatFitsIsServedAndNothingElse()
    {
        static bool Fits(RetrievalOptions? options = null, int keys = 100, int queries = 1, int length = 64, int headDim = 128,
            ScalarType type = ScalarType.BFloat16) => DecodeShape.Fits(options ?? new(), keys, queries, length, headDim, type);
        Assert.True(Fits());
        var most = new RetrievalOptions { TopK = 256, Selection = SelectionMode.PerHead };
        Assert.True(Fits(most, 256 * 257, 1, 257, 256, ScalarType.Float32));
        Assert.True(Fits(length: 2, headDim: 8, type: ScalarType.Float16));
        Assert.True(Fits(new RetrievalOptions { Mass = 0.5 }));
        Assert.True(Fits(new RetrievalOptions { MissCutoff = 0.5 }));
        Assert.False(Fits(queries: 2));
        Assert.False(Fits(length: 258));
        Assert.False(Fits(headDim: 264));
        Assert.False(Fits(headDim: 100));
        Assert.False(Fits(keys: (256 * 64) + 1));
        Assert.False(Fits(type: ScalarType.Float64));
        Assert.False(Fits(new RetrievalOptions { TopK = 257 }));
        Assert.False(Fits(new RetrievalOptions { Reference = true }));
        Assert.False(Fits(new RetrievalOptions { Positions = PositionMode.True }));
        Assert.False(CudaRetrieval.Serves(new(), 100, 1, 64, 128, ScalarType.BFloat16, CPU));
    }

    [Theory]
    [InlineData(32, 8, SelectionMode.PerTokenAndGroup, 4, 4, 4)]
    [InlineData(32, 8, SelectionMode.PerTokenAndHead, 1, 4, 1)]
    [InlineData(32, 8, SelectionMode.PerHead, 1, 4, 1)]
    [InlineData(32, 8, SelectionMode.PerToken, 32, 4, 4)]
    [InlineData(28, 4, SelectionMode.PerTokenAndGroup, 7, 7, 7)]
    [InlineData(32, 1, SelectionMode.PerTokenAndGroup, 32, 8, 8)]
    [InlineData(24, 2, SelectionMode.PerTokenAndGroup, 12, 6, 6)]
    [InlineData(11, 1, SelectionMode.PerTokenAndGroup, 11, 1, 1)]
    [InlineData(6, 6, SelectionMode.PerTokenAndGroup, 1, 1, 1)]
    public void UnitsShareKeysAndAChoice(int heads, int groups, SelectionMode mode, int sharing, int scan, int read)
    {
        var shape = new DecodeShape(heads, groups, mode, 16, 500, 3, 1);
        Assert.Equal((sharing, scan, read), (shape.ChosenHeads, shape.ScanHeads, shape.ReadHeads));
        Assert.Equal(heads, shape.Choices * sharing);
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(512, 1, 16)]
    [InlineData(16384, 1, 66)]      // 8 units of 66 are 4 thread blocks for each of 132
    [InlineData(16384, 16, 4)]
    public void TheScanFillsTheDeviceAndNoMore(int blocks, int sequences, int splits) =>
        Assert.Equal(splits, new DecodeShape(32, 8, SelectionMode.PerTokenAndGroup, 16, blocks, 3, sequences).Splits(132));

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using var scope = NewDisposeScope();
        var rotary = new RotaryScaling().Create(8);
        var on = new Device(DeviceType.CUDA, 0);
        Assert.Contains("no sequence", Assert.Throws<LandmarkException>(
            () => new CudaRetrieval([], 4, rotary, new(), ScalarType.Float32, on)).Message, StringComparison.Ordinal);
        using var attention = new CudaRetrieval([new(2, 5), new(9, 1)], 4, rotary, new(), ScalarType.Float32, on);
        var memory = new DecodeBlocks(zeros([4, 2, 2, 3, 8]), zeros(2, 4, 8));
        void Fails(string words, Tensor q, params DecodeBlocks[] memories) => Assert.Contains(
            words, Assert.Throws<LandmarkException>(() => attention.Attend(q, memories, tied: false)).Message, StringComparison.Ordinal);
        Fails("given 1 memories", zeros(2, 4, 8), memory);
        Fails("on cpu; expected Float32 [2, H, 8]", zeros(2, 4, 8), memory, memory);
        Fails("expected Float32 [2, H, 8]", zeros(8, 8), memory, memory);
    }
}
