using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The corner cases of landmark-attention.md 1.4, against the rule written row by row.</summary>
public sealed class LandmarkAttentionTests : IDisposable
{
    private readonly DisposeScope scope;

    public LandmarkAttentionTests()
    {
        LibTorch.Load();
        scope = NewDisposeScope();
    }

    public void Dispose() => scope.Dispose();

    public static TheoryData<string, string> Places => new()
    {
        { "first block alone", "aaaa" },
        { "a landmark ends the sequence", "aaaLaaaL" },
        { "last block unfinished", "aaaLaaaLaa" },
        { "first token of a new block ends it", "aaaLaaaLa" },
        { "first block shorter", "aLaaaLaaaLa" },
        { "starts on a landmark", "LaaaLaaaLaa" },
        { "two adjacent landmarks", "aaLLaaLa" },
        { "three adjacent, at the start too", "LLaLLLaaL" },
        { "blocks of unequal lengths", "aLaaaaaLaaLaaa" },
        { "landmarks alone", "LLL" },
        { "one token", "a" },
        { "one landmark", "L" },
        { "no landmarks", "aaaaaaa" },
        { "last block longer than any", "aLaLaaaaaaa" },
    };

    [Theory]
    [MemberData(nameof(Places))]
    public void AnyPlacementEqualsTheRule(string name, string sequence)
    {
        Assert.NotEmpty(name);
        bool[] landmark = [.. sequence.Select(c => c == 'L')];
        for (var queries = 1; queries <= landmark.Length; queries++)
            Check([landmark], null, queries, batch: 2, heads: 4, groups: 2);
    }

    [Theory]
    [InlineData("aaaLaaaLaa", "1111111111")]
    [InlineData("aaaLaaaLaa", "0001111111")] // all tokens of a past block masked, its landmark not
    [InlineData("aaaLaaaLaa", "0000111111")] // and its landmark
    [InlineData("aaaLaaaLaa", "1110111111")] // a landmark alone
    [InlineData("aaaLaaaLaa", "1011101100")] // some, and the own block
    [InlineData("aaaLaaaLaa", "0000000000")]
    [InlineData("LaaLL", "11011")]
    public void MaskedKeysAreNeverSeen(string sequence, string mask)
    {
        bool[] landmark = [.. sequence.Select(c => c == 'L')];
        bool[] visible = [.. mask.Select(c => c == '1')];
        var output = Check([landmark], [visible], landmark.Length, batch: 1, heads: 2, groups: 1);
        if (!visible.Contains(true)) Assert.Equal(0, output.abs().sum().item<double>());
    }

    [Fact]
    public void EachRowHasItsOwnLandmarksAndMask()
    {
        bool[][] landmark = [.. ((string[])["aaaLaaaLaa", "LaLLaaaaaa", "aaaaaaaaaa"]).Select(s => s.Select(c => c == 'L').ToArray())];
        bool[][] visible = [.. ((string[])["1111111111", "1111111011", "0001111111"]).Select(s => s.Select(c => c == '1').ToArray())];
        Check(landmark, visible, 10, batch: 3, heads: 2, groups: 2);
        Check(landmark, visible, 3, batch: 3, heads: 2, groups: 1);
        Check(landmark, null, 7, batch: 3, heads: 4, groups: 1);
    }

    [Fact]
    public void RandomPlacementsMasksAndShapesEqualTheRule() =>
        Gen.Select(Gen.Int[1, 14], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[0, 1 << 30]).Sample(
            (keys, batch, groups, repeat, seed) =>
            {
                using var inner = NewDisposeScope();
                var random = new Random(seed);
                bool[][] Bits(double p) => [.. Enumerable.Range(0, batch).Select(
                    _ => Enumerable.Range(0, keys).Select(_ => random.NextDouble() < p).ToArray())];
                Check(
                    Bits(random.NextDouble()), random.Next(2) == 0 ? null : Bits(0.8), random.Next(1, keys + 1),
                    batch, groups * repeat, groups, seed);
            }, iter: 200, threads: 1);

    [Fact]
    public void RegularLayoutEqualsTheIrregularOneOfTheSamePlaces() =>
        Gen.Select(Gen.Int[1, 30], Gen.Int[2, 7], Gen.Int[1, 7], Gen.Double[0, 1], Gen.Int[0, 1 << 30]).Sample(
            (keys, block, first, part, seed) =>
            {
                using var inner = NewDisposeScope();
                first = Math.Min(first, block);
                var queries = 1 + (int)(part * (keys - 1));
                var (q, k, v) = Random(seed, 2, 2, 2, queries, keys);
                using var regular = BlockLayout.Regular(keys, queries, block, first);
                using var irregular = BlockLayout.Irregular(Bools(Regular(keys, block, first)), queries);
                Assert.Equal(irregular.Blocks, regular.Blocks);
                Close(LandmarkAttention.Attend(q, k, v, irregular), LandmarkAttention.Attend(q, k, v, regular), 1e-14);
                Close(irregular.Restore(LandmarkAttention.Weights(q, k, irregular)),
                    regular.Restore(LandmarkAttention.Weights(q, k, regular)), 1e-14);
            }, iter: 200, threads: 1);

    [Fact]
    public void RowsThatSeeNothingGiveZerosAndZeroGradients()
    {
        var (q, k, v) = Random(1, 1, 2, 2, 4, 4);
        using var layout = BlockLayout.Regular(4, 4, 3, 1);
        var leaves = (Tensor[])[q.requires_grad_(), k.requires_grad_(), v.requires_grad_()];
        var output = LandmarkAttention.Attend(q, k, v, layout);
        Assert.Equal(0, output[.., .., 0].abs().sum().item<double>());
        (output * rand_like(output)).sum().backward();
        foreach (var leaf in leaves)
            Assert.True(leaf.grad!.isfinite().all().item<bool>());
        Assert.Equal(0, q.grad![.., .., 0].abs().sum().item<double>()); // the row that saw nothing
        Assert.Equal(0, k.grad![.., .., 0].abs().sum().item<double>()); // the empty block's landmark
        Assert.Equal(0, v.grad![.., .., 3].abs().sum().item<double>()); // a landmark's value is never read
    }

    [Fact]
    public void QueryThatIsALandmarkSeesItsBlockAndEarlierOnesButNotItself()
    {
        var (q, k, v) = Random(2, 1, 1, 1, 8, 8);
        using var layout = BlockLayout.Regular(8, 8, 4, 4);
        var before = LandmarkAttention.Attend(q, k, v, layout);
        using var other = k.clone();
        other[0, 0, 7] = 9.0;
        Close(before, LandmarkAttention.Attend(q, other, v, layout), 0); // its own key, which no later query is there to read
        var weights = layout.Restore(LandmarkAttention.Weights(q, k, layout))[0, 0, 7];
        Assert.Equal(0, weights[7].item<double>());
        Assert.Equal(0, weights[3].item<double>());
        Assert.Equal(6, weights.gt(0).sum().item<long>());
        Assert.Equal(1, weights.sum().item<double>(), 1e-14);
    }

    [Fact]
    public void SequenceWithoutLandmarksIsOrdinaryCausalAttention()
    {
        var (q, k, v) = Random(3, 2, 4, 2, 6, 9);
        var causal = ones(6, 9, dtype: ScalarType.Bool).tril(3);
        var scores = q.matmul(k.repeat_interleave(2, 1).transpose(2, 3)).div(Math.Sqrt(5))
            .masked_fill(causal.logical_not(), double.NegativeInfinity);
        var expected = softmax(scores, -1).matmul(v.repeat_interleave(2, 1));
        using var longBlock = BlockLayout.Regular(9, 6, 64, 64);
        using var none = BlockLayout.Irregular(zeros(1, 9, dtype: ScalarType.Bool), 6);
        Close(expected, LandmarkAttention.Attend(q, k, v, longBlock), 1e-14);
        Close(expected, LandmarkAttention.Attend(q, k, v, none), 1e-14);
    }

    [Fact]
    public void HistoryInFrontGivesTheLastRowsOfTheWhole()
    {
        var (q, k, v) = Random(4, 2, 2, 1, 17, 17);
        using var whole = BlockLayout.Regular(17, 17, 5, 3);
        var expected = LandmarkAttention.Attend(q, k, v, whole);
        for (var queries = 1; queries < 17; queries++)
        {
            using var last = BlockLayout.Regular(17, queries, 5, 3);
            Close(
                expected.narrow(2, 17 - queries, queries), LandmarkAttention.Attend(q.narrow(2, 17 - queries, queries), k, v, last), 1e-14);
        }
    }

    [Fact]
    public void GroupedHeadsEqualRepeatedOnes()
    {
        var (q, k, v) = Random(5, 2, 6, 2, 7, 11);
        using var layout = BlockLayout.Regular(11, 7, 4, 2);
        var expected = LandmarkAttention.Attend(q, k.repeat_interleave(3, 1), v.repeat_interleave(3, 1), layout);
        Close(expected, LandmarkAttention.Attend(q, k, v, layout), 1e-14);
    }

    [Fact]
    public void WeightsOfARowSumToOneUnlessItSeesNothing()
    {
        var (q, k, _) = Random(6, 1, 2, 2, 13, 13);
        using var layout = BlockLayout.Regular(13, 13, 4, 1);
        var sums = layout.Restore(LandmarkAttention.Weights(q, k, layout)).sum(-1);
        Assert.Equal(0, sums[.., .., 0].abs().sum().item<double>());
        Close(ones_like(sums[.., .., 1..]), sums[.., .., 1..], 1e-14);
    }

    [Fact]
    public void OrderOfPastBlocksDoesNotMatter()
    {
        var (q, k, v) = Random(7, 1, 2, 2, 3, 15);
        using var layout = BlockLayout.Regular(15, 3, 4, 4);
        var order = cat([arange(8, 12), arange(0, 8), arange(12, 15)]);
        Close(LandmarkAttention.Attend(q, k, v, layout),
            LandmarkAttention.Attend(q, k.index_select(2, order), v.index_select(2, order), layout), 1e-14);
    }

    [Fact]
    public void ConstantOnAPastBlocksTokensChangesNothingButOnItsLandmarkDoes()
    {
        // The last coordinate of every query is 1, so a constant in a key's last coordinate is one on its scores.
        var (q, k, v) = Random(8, 1, 1, 1, 2, 10);
        q[.., .., .., 4] = 1.0;
        using var layout = BlockLayout.Regular(10, 2, 4, 4);
        var before = LandmarkAttention.Attend(q, k, v, layout);
        var tokens = k.clone();
        tokens[0, 0, ..3, 4] = tokens[0, 0, ..3, 4] + 3.0;
        Close(before, LandmarkAttention.Attend(q, tokens, v, layout), 1e-14);
        var landmark = k.clone();
        landmark[0, 0, 3, 4] = landmark[0, 0, 3, 4] + 3.0;
        Assert.True(MaxError(before, LandmarkAttention.Attend(q, landmark, v, layout)) > 1e-3);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16, 0.08)]
    [InlineData(ScalarType.Float16, 0.012)]
    [InlineData(ScalarType.Float32, 1e-5)]
    public void NarrowTypesStayNearFloat64(ScalarType type, double tolerance)
    {
        var (q, k, v) = Random(9, 2, 4, 2, 12, 19);
        using var layout = BlockLayout.Regular(19, 12, 5, 1);
        var narrow = LandmarkAttention.Attend(q.to(type), k.to(type), v.to(type), layout);
        Assert.Equal(type, narrow.dtype);
        Close(LandmarkAttention.Attend(q, k, v, layout), narrow, tolerance);
    }

    [Fact]
    public void ShapesThatDoNotFitAreNamed()
    {
        var (q, k, v) = Random(10, 1, 4, 2, 3, 8);
        using var layout = BlockLayout.Regular(8, 3, 4, 4);
        using var longer = BlockLayout.Regular(9, 3, 4, 4);
        Assert.Equal(
            "The layout is for 3 queries over 9 keys, the tensors have 3 and 8.",
            Assert.Throws<LandmarkException>(() => LandmarkAttention.Attend(q, k, v, longer)).Message);
        Assert.Contains("with G dividing H", Assert.Throws<LandmarkException>(
            () => LandmarkAttention.Attend(q[.., ..3], k, v, layout)).Message);
        Assert.Contains("[1, 4, 3, 4]", Assert.Throws<LandmarkException>(
            () => LandmarkAttention.Attend(q[.., .., .., ..4], k, v, layout)).Message);
        Assert.Contains("values", Assert.Throws<LandmarkException>(() => LandmarkAttention.Attend(q, k, v[.., .., ..7], layout)).Message);
        Assert.Contains("5 queries over 3 keys", Assert.Throws<LandmarkException>(() => BlockLayout.Regular(3, 5, 4, 4)).Message);
        Assert.Contains("Blocks of 1 positions", Assert.Throws<LandmarkException>(() => BlockLayout.Regular(3, 3, 1, 1)).Message);
        Assert.Contains("beginning with one of 5", Assert.Throws<LandmarkException>(() => BlockLayout.Regular(9, 3, 4, 5)).Message);
    }

    /// <summary>Output and weights of a random case equal the rule's.</summary>
    private static Tensor Check(bool[][] landmark, bool[][]? visible, int queries, int batch, int heads, int groups, int seed = 11)
    {
        var (q, k, v) = Random(seed, batch, heads, groups, queries, landmark[0].Length);
        using var layout = BlockLayout.Irregular(Bools(landmark), queries, visible is null ? null : Bools(visible));
        var expected = Weights(q, k, landmark, visible, 1 / Math.Sqrt(5));
        Close(expected, layout.Restore(LandmarkAttention.Weights(q, k, layout)), 1e-14);
        var output = LandmarkAttention.Attend(q, k, v, layout);
        Close(expected.matmul(v.repeat_interleave(heads / groups, 1)), output, 1e-13);
        return output;
    }

    /// <summary>Queries, keys and values in float64, heads of 5.</summary>
    private static (Tensor Q, Tensor K, Tensor V) Random(int seed, int batch, int heads, int groups, int queries, int keys)
    {
        using var random = new Generator((ulong)seed, CPU);
        Tensor Make(int n, int t) => randn([batch, n, t, 5], dtype: ScalarType.Float64, generator: random) * 2;
        return (Make(heads, queries), Make(groups, keys), Make(groups, keys));
    }
}
