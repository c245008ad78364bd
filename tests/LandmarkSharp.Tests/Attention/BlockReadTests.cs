using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

public sealed class BlockReadTests
{
    public BlockReadTests() => LibTorch.Load();

    [Fact]
    public void KernelEqualsGatherAndBothTheSoftmaxOfEachBlock() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[1, 5], Gen.Int[1, 20], Gen.Int[0, 1 << 30]).Sample(
            (groups, repeat, tokens, k, l, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var d = 1 + (seed % 37); // also widths that no vector divides
                var (h, n) = (groups * repeat, k + 3);
                var blocks = randn([n, groups, 2, l, d], generator: random);
                // Also from a view, as a transposed query is.
                var q = randn([tokens, h, k, d], generator: random).transpose(0, 1);
                var chosen = randint(0, n, [h, tokens, k], dtype: ScalarType.Int64, generator: random);
                var got = BlockRead.Read(q, chosen, blocks);
                var gathered = BlockRead.Read(q, chosen, blocks, reference: true);
                Assert.Equal([h, tokens, k, d], got.shape);
                RowByRow.Close(gathered, got, 2e-5);

                var (a, t, i) = (h - 1, tokens - 1, k - 1);
                var block = blocks[chosen[a, t, i].item<long>(), a / repeat].to(ScalarType.Float64);
                var one = softmax(block[0].mv(q[a, t, i].to(ScalarType.Float64)), 0).unsqueeze(0).mm(block[1]);
                RowByRow.Close(one[0], got[a, t, i], 2e-5);
            }, iter: 200, threads: 1);

    [Fact]
    public void LongWorkIsSplitOverThreadsAndTheGatherOverTokens()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(3, CPU);
        var blocks = randn([40, 2, 2, 63, 64], generator: random);
        var q = randn([4, 1100, 4, 64], generator: random);     // more than the gather takes at once
        var chosen = randint(0, 40, [4, 1100, 4], dtype: ScalarType.Int64, generator: random);
        RowByRow.Close(BlockRead.Gather(q, chosen, blocks), BlockRead.Read(q, chosen, blocks), 5e-5);
    }

    [Fact]
    public void BlocksMayBeAView()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(4, CPU);
        var (blocks, q) = (randn([2, 5, 2, 7, 16], generator: random).transpose(0, 1), randn([4, 3, 2, 16], generator: random));
        var chosen = randint(0, 5, [4, 3, 2], dtype: ScalarType.Int64, generator: random);
        RowByRow.Close(BlockRead.Gather(q, chosen, blocks), BlockRead.Read(q, chosen, blocks), 1e-5);
    }

    [Theory]
    [InlineData(ScalarType.Float64, 1e-6)]
    [InlineData(ScalarType.BFloat16, 0.05)]
    public void OtherTypesGoThroughTheReference(ScalarType type, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(5, CPU);
        var blocks = randn([5, 2, 2, 7, 16], generator: random).to(type);
        var q = randn([4, 3, 2, 16], generator: random).to(type);
        var chosen = randint(0, 5, [4, 3, 2], dtype: ScalarType.Int64, generator: random);
        var got = BlockRead.Read(q, chosen, blocks);
        Assert.Equal(type, got.dtype);
        // Of the same rounded inputs, so that the tolerance is for the arithmetic alone.
        RowByRow.Close(BlockRead.Read(q.to(ScalarType.Float32), chosen, blocks.to(ScalarType.Float32)), got, tolerance);
    }

    [Fact]
    public void ExtremeScoresStayFinite()
    {
        using var scope = NewDisposeScope();
        var blocks = ones([1, 1, 2, 3, 4]);
        blocks[0, 0, 0] = tensor(new float[,] { { 1e4f, 0, 0, 0 }, { -1e4f, 0, 0, 0 }, { 1e4f, 0, 0, 0 } });
        blocks[0, 0, 1, 1] = 7f;
        var q = full([1, 1, 1, 4], 100f);
        RowByRow.Close(ones(1, 1, 1, 4), BlockRead.Read(q, zeros(1, 1, 1, dtype: ScalarType.Int64), blocks), 0);
    }
}
