using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Several documents in one window attend as each does alone.</summary>
public sealed class PackedDocumentsTests
{
    public PackedDocumentsTests() => LibTorch.Load();

    [Fact]
    public void EachDocumentIsAsIfAlone() =>
        Gen.Select(Gen.Int[1, 60], Gen.Int[2, 9], Gen.Int[0, 4], Gen.Int[0, 1 << 30]).Sample((keys, block, more, seed) =>
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator((ulong)seed, CPU);
            var random = new Random(seed);
            int[][] documents =
            [
                .. Enumerable.Range(0, 2).Select(_ => Enumerable.Range(0, more).Select(_ => random.Next((keys + block - 1) / block) * block)
                    .Append(0).Distinct().Order().ToArray()),
            ];
            using var packed = BlockLayout.Packed(keys, keys, block, documents);
            var (q, k, v) = (Make(4), Make(2), Make(2));
            var output = LandmarkAttention.Attend(q, k, v, packed);
            for (var row = 0; row < 2; row++)
            {
                foreach (var (from, to) in documents[row].Zip(documents[row].Skip(1).Append(keys)))
                {
                    using var alone = BlockLayout.Regular(to - from, to - from, block, block);
                    Tensor Part(Tensor x) => x.narrow(0, row, 1).narrow(2, from, to - from);
                    Close(LandmarkAttention.Attend(Part(q), Part(k), Part(v), alone), Part(output), 1e-12);
                }
            }

            Tensor Make(int heads) => randn([2, heads, keys, 4], ScalarType.Float64, generator: generator);
        });

    [Fact]
    public void OneRowIsForAll()
    {
        using var scope = NewDisposeScope();
        using var one = BlockLayout.Packed(20, 13, 4, [[0, 8]]);
        using var each = BlockLayout.Packed(20, 13, 4, [[0, 8], [0, 8]]);
        var (q, k) = (randn(2, 2, 13, 8), randn(2, 2, 20, 8));
        Close(LandmarkAttention.Attend(q, k, k, one), LandmarkAttention.Attend(q, k, k, each), 0);
    }

    [Fact]
    public void WhatDoesNotFitIsSaid()
    {
        using var scope = NewDisposeScope();
        Assert.Contains("a block needs 2 positions", Assert.Throws<LandmarkException>(() => BlockLayout.Packed(20, 20, 0, [[0]])).Message, StringComparison.Ordinal);
        using var three = BlockLayout.Packed(20, 20, 4, [[0], [0, 8], [0]]);
        var x = randn(1, 2, 20, 8);
        foreach (var dropout in (SeededDropout?[])[null, new(0.5, 1)])
        {
            var e = Assert.Throws<LandmarkException>(() => LandmarkAttention.Attend(x, x, x, three, dropout: dropout));
            Assert.Contains("has 3 rows and the batch 1", e.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("[4]", 4)]
    [InlineData("[0, 6]", 0, 6)]
    [InlineData("[0, 8, 8]", 0, 8, 8)]
    [InlineData("[0, 20]", 0, 20)]
    [InlineData("[]")]
    public void DocumentsBeginBlocks(string said, params int[] starts)
    {
        var e = Assert.Throws<LandmarkException>(() => BlockLayout.Packed(20, 20, 4, [starts]));
        Assert.Contains($"begin at {said}; the first begins at 0 and each next one later, at a multiple of the block's 4", e.Message, StringComparison.Ordinal);
    }
}
