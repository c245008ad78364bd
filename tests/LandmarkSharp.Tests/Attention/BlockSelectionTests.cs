using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Which blocks are chosen: the four ways to share a choice, and ties.</summary>
public sealed class BlockSelectionTests
{
    public BlockSelectionTests() => LibTorch.Load();

    [Fact]
    public void KernelEqualsSortingOnRandomShapesWithManyTies() =>
        Gen.Select(Gen.Int[1, 5], Gen.Int[1, 40], Gen.Int[1, 200], Gen.Int[1, 6], Gen.Int[0, 1 << 30]).Sample(
            (rows, tokens, m, levels, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var scores = randint(0, levels, [rows, tokens, m], dtype: ScalarType.Float32, generator: random);
                var k = 1 + (seed % m);
                var expected = BlockSelection.SortTopK(scores, k);
                Assert.Equal(expected.data<long>().ToArray(), CpuTopK.Choose(scores, k).data<long>().ToArray());
            }, iter: 300, threads: 1);

    [Fact]
    public void AmongEqualScoresTheLaterBlockWins()
    {
        using var scope = NewDisposeScope();
        var scores = tensor(new float[,,] { { { 1, 2, 1, 2, 0, 2, 1 }, { 5, 5, 5, 5, 5, 5, 5 } } });
        long[] expected = [2, 3, 5, 6, 3, 4, 5, 6];
        foreach (var reference in (bool[])[true, false])
        {
            Assert.Equal([3, 5, 5, 6], Chosen(scores, 1, 2, SelectionMode.PerTokenAndHead, reference));
            var four = Chosen(scores, 1, 4, SelectionMode.PerTokenAndHead, reference);
            Assert.Equal([1, 3, 5, 6], four[..4]);
            Assert.Equal(expected[4..], four[4..]);
        }
    }

    [Fact]
    public void InfinitiesAndSmallNumbersAreRanked()
    {
        using var scope = NewDisposeScope();
        var low = float.NegativeInfinity;
        var scores = tensor(new float[,,] { { { low, low, -3e38f, low }, { low, low, low, low } } });
        foreach (var reference in (bool[])[true, false])
            Assert.Equal([2, 3, 2, 3], Chosen(scores, 1, 2, SelectionMode.PerTokenAndHead, reference));
    }

    [Fact]
    public void WhatIsNoNumberIsTheLowestScore()
    {
        using var scope = NewDisposeScope();
        float none = float.NaN, low = float.NegativeInfinity;
        var scores = tensor(new float[,,] { { { none, 1, none, none, 0 }, { none, none, none, none, none }, { 2, low, none, none, 3 } } });
        foreach (var reference in (bool[])[true, false])
        {
            Assert.Equal([1, 3, 4, 2, 3, 4, 0, 3, 4], Chosen(scores, 1, 3, SelectionMode.PerTokenAndHead, reference));
            foreach (var mode in Enum.GetValues<SelectionMode>())
                Assert.All(Chosen(scores, 1, 3, mode, reference), b => Assert.InRange(b, 0, 4));
        }
    }

    [Theory]
    [InlineData(SelectionMode.PerTokenAndHead)]
    [InlineData(SelectionMode.PerTokenAndGroup)]
    [InlineData(SelectionMode.PerToken)]
    [InlineData(SelectionMode.PerHead)]
    public void EveryModeEqualsItsRule(SelectionMode mode) =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 5], Gen.Int[1, 12], Gen.Int[0, 1 << 30]).Sample(
            (groups, repeat, tokens, m, seed) =>
            {
                using var scope = NewDisposeScope();
                var random = new Random(seed);
                var h = groups * repeat;
                var k = random.Next(1, m + 1);
                // Logits from a small set have ties; whole numbers keep softmax's rounding from making or breaking any.
                var logits = new float[h, tokens, m];
                for (var i = 0; i < logits.Length; i++)
                    logits[i / (tokens * m), i / m % tokens, i % m] = random.Next(4);
                var p = new float[h, tokens, m];
                for (var a = 0; a < h; a++)
                    for (var t = 0; t < tokens; t++)
                    {
                        var sum = Enumerable.Range(0, m).Sum(b => Math.Exp(logits[a, t, b]));
                        for (var b = 0; b < m; b++)
                            p[a, t, b] = (float)(Math.Exp(logits[a, t, b]) / sum);
                    }

                var chosen = Chosen(tensor(logits), groups, k, mode, reference: seed % 2 == 0);
                for (var a = 0; a < h; a++)
                    for (var t = 0; t < tokens; t++)
                    {
                        IEnumerable<int> heads = mode switch
                        {
                            SelectionMode.PerToken => Enumerable.Range(0, h),
                            SelectionMode.PerTokenAndGroup => Enumerable.Range(a / repeat * repeat, repeat),
                            _ => [a],
                        };
                        var times = mode == SelectionMode.PerHead ? Enumerable.Range(0, tokens) : [t];
                        var shared = Enumerable.Range(0, m)
                            .Select(b => (Score: heads.SelectMany(x => times.Select(y => p[x, y, b])).Max(), b)).ToArray();
                        var got = chosen.AsSpan(((a * tokens) + t) * k, k).ToArray();
                        Assert.Equal(got.Order().Distinct(), got);
                        // Softmaxed scores may differ in the last bit from ours: what is chosen is no worse than what is not,
                        // and where rows are one row, ties go to the later block.
                        var worst = got.Min(b => shared[b].Score);
                        Assert.All(shared.Where(x => !got.Contains(x.b)), x => Assert.True(x.Score <= worst + 1e-6));
                        if (heads.Count() == 1 && times.Count() == 1)
                            Assert.Equal(
                                shared.OrderByDescending(x => x.Score).ThenByDescending(x => x.b).Take(k).Select(x => (long)x.b).Order(),
                                got);
                    }
            }, iter: 60, threads: 1);

    [Fact]
    public void AsManyAsThereAreIsAll()
    {
        using var scope = NewDisposeScope();
        foreach (var mode in Enum.GetValues<SelectionMode>())
            Assert.Equal([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2], Chosen(rand(2, 2, 3), 1, 7, mode, reference: false));
    }

    private static long[] Chosen(Tensor scores, long groups, int k, SelectionMode mode, bool reference)
    {
        var chosen = BlockSelection.Choose(scores, groups, k, mode, reference);
        Assert.Equal([scores.shape[0], scores.shape[1], Math.Min(k, scores.shape[2])], chosen.shape);
        return chosen.contiguous().data<long>().ToArray();
    }
}
