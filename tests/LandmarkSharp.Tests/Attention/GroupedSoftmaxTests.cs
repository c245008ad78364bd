using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Against a reading of landmark-attention.md 1.3 in scalar float64 loops, and its gradients against finite differences.</summary>
public sealed class GroupedSoftmaxTests
{
    public GroupedSoftmaxTests() => LibTorch.Load();

    private static readonly Gen<(bool[] Landmarks, int Queries)> Sequences =
        Gen.Select(Gen.Bool.Array[1, 14], Gen.Int[1, 14], (marks, queries) => (marks, Math.Min(queries, marks.Length)));

    [Fact]
    public void WeightsAreThoseOfTheScalarLoops() =>
        Gen.Select(Sequences, Gen.Int[0, 1000]).Sample(
            (sequence, seed) =>
            {
                using var scope = NewDisposeScope();
                var (marks, queries) = sequence;
                manual_seed(seed);
                var (q, k) = (randn([1, 1, queries, 4], ScalarType.Float64), randn([1, 1, marks.Length, 4], ScalarType.Float64));
                using var layout = BlockLayout.Irregular(tensor(marks).unsqueeze(0), queries);
                var actual = layout.Restore(LandmarkAttention.Weights(q, k, layout)).data<double>().ToArray();
                var scores = (q.matmul(k.transpose(2, 3)) / 2).data<double>().ToArray();
                for (var t = 0; t < queries; t++)
                {
                    var expected = Loops(scores.AsSpan(t * marks.Length, marks.Length), marks, marks.Length - queries + t);
                    for (var j = 0; j < marks.Length; j++) Assert.Equal(expected[j], actual[(t * marks.Length) + j], 1e-12);
                }
            },
            iter: 300, threads: 1);

    [Fact]
    public void GradientsAreThoseOfFiniteDifferences() =>
        Gen.Select(Sequences, Gen.Int[0, 1000], Gen.Bool).Sample(
            (sequence, seed, grouped) =>
            {
                using var scope = NewDisposeScope();
                var (marks, queries) = sequence;
                manual_seed(seed);
                var (q, k, v) = (Random(2, queries), Random(grouped ? 1 : 2, marks.Length), Random(grouped ? 1 : 2, marks.Length));
                var pull = Random(2, queries);
                using var layout = BlockLayout.Irregular(tensor(marks).unsqueeze(0), queries);
                double Value()
                {
                    using var quiet = no_grad();
                    return (LandmarkAttention.Attend(q, k, v, layout) * pull).sum().ToDouble();
                }
                foreach (var x in (Tensor[])[q, k, v]) x.requires_grad_();
                (LandmarkAttention.Attend(q, k, v, layout) * pull).sum().backward();
                foreach (var x in (Tensor[])[q, k, v])
                {
                    using var quiet = no_grad();
                    var (flat, grad) = (x.detach().view(-1), x.grad!.reshape(-1));
                    for (var i = 0; i < flat.shape[0]; i++)
                    {
                        const double Step = 1e-6;
                        var at = flat[i].ToDouble();
                        flat[i] = at + Step;
                        var up = Value();
                        flat[i] = at - Step;
                        var down = Value();
                        flat[i] = at;
                        Assert.Equal((up - down) / (2 * Step), grad[i].ToDouble(), 1e-7);
                    }
                }
            },
            iter: 25, threads: 1);

    /// <summary>Each thread trains for itself: none may free what another is about to return.</summary>
    [Fact]
    public async Task ManyThreadsAtOnceGetTheirOwnGradients()
    {
        static double[] Gradients(int seed)
        {
            using var scope = NewDisposeScope();
            using var random = new Generator((ulong)seed, CPU);
            var (q, k) = (Made().requires_grad_(), Made().requires_grad_());
            using var layout = BlockLayout.Regular(23, 23, 4, 1 + (seed % 4));
            var output = LandmarkAttention.Attend(q, k, Made(), layout);
            (LandmarkAttention.Attend(output, k, Made(), layout) * Made()).sum().backward();
            return [.. q.grad!.contiguous().data<double>(), .. k.grad!.contiguous().data<double>()];

            Tensor Made() => randn([1, 2, 23, 4], dtype: ScalarType.Float64, generator: random);
        }
        var expected = Enumerable.Range(0, 16).Select(Gradients).ToArray();
        var threads = Enumerable.Range(0, 4).Select(t => Task.Factory.StartNew(
            () =>
            {
                for (var i = 0; i < 300; i++)
                    Assert.Equal(expected[(i + (4 * t)) % 16], Gradients((i + (4 * t)) % 16));
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        await Task.WhenAll(threads);
    }

    [Fact]
    public void WithoutLandmarksItIsCausalSoftmax()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (Random(3, 11), Random(3, 11), Random(3, 11));
        using var layout = BlockLayout.Irregular(zeros([1, 11], ScalarType.Bool), 11);
        var causal = Aten.ScaledDotProductAttention(q, k, v, causal: true);
        Assert.True(causal.allclose(LandmarkAttention.Attend(q, k, v, layout), 1e-10, 1e-12));
    }

    [Fact]
    public void RowsThatSeeNothingGiveZerosAndNoGradient()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (Random(1, 5).requires_grad_(), Random(1, 5).requires_grad_(), Random(1, 5).requires_grad_());
        bool[] marks = [true, false, false, true, false];
        using var layout = BlockLayout.Irregular(
            tensor(marks).unsqueeze(0), 5, tensor(new[] { true, false, true, true, true }).unsqueeze(0));
        var output = LandmarkAttention.Attend(q, k, v, layout);
        Assert.True(output.select(2, 0).eq(0).all().item<bool>());
        Assert.True(output.select(2, 1).eq(0).all().item<bool>());
        output.sum().backward();
        Assert.True(q.grad!.isfinite().all().item<bool>());
        Assert.True(q.grad.select(2, 0).eq(0).all().item<bool>());
        Assert.True(v.grad!.select(2, 1).eq(0).all().item<bool>());
    }

    [Fact]
    public void MaskedKeysAreAsIfTheyWereNotThere()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (Random(2, 9), Random(2, 9), Random(2, 9));
        bool[] marks = [false, false, true, false, false, false, true, false, false],
            seen = [true, true, true, true, false, true, true, true, true];
        long[] left = [0, 1, 2, 3, 5, 6, 7, 8];
        using var masked = BlockLayout.Irregular(tensor(marks).unsqueeze(0), 9, tensor(seen).unsqueeze(0));
        using var shorter = BlockLayout.Irregular(tensor(left.Select(i => marks[i]).ToArray()).unsqueeze(0), 8);
        var index = tensor(left);
        var expected = LandmarkAttention.Attend(q.index_select(2, index), k.index_select(2, index), v.index_select(2, index), shorter);
        Assert.True(expected.allclose(LandmarkAttention.Attend(q, k, v, masked).index_select(2, index), 1e-10, 1e-12));
    }

    [Fact]
    public void RegularAndIrregularLayoutsAgree() =>
        Gen.Select(Gen.Int[2, 6], Gen.Int[1, 20], Gen.Int[1, 20], Gen.Int[1, 6]).Sample(
            (block, keys, queries, first) =>
            {
                if (first > block) return;
                using var scope = NewDisposeScope();
                queries = Math.Min(queries, keys);
                bool[] marks = [.. Enumerable.Range(0, keys).Select(j => j >= first - 1 && (j - first + 1) % block == 0)];
                var (q, k, v) = (Random(2, queries), Random(1, keys), Random(1, keys));
                using var regular = BlockLayout.Regular(keys, queries, block, first);
                using var irregular = BlockLayout.Irregular(tensor(marks).unsqueeze(0), queries);
                var expected = LandmarkAttention.Attend(q, k, v, irregular);
                Assert.True(expected.allclose(LandmarkAttention.Attend(q, k, v, regular), 1e-10, 1e-12));
            },
            iter: 100, threads: 1);

    private static Tensor Random(int heads, int length) => randn([1, heads, length, 4], ScalarType.Float64);

    /// <summary>One row by the definition.</summary>
    private static double[] Loops(ReadOnlySpan<double> s, bool[] marks, int i)
    {
        var weights = new double[marks.Length];
        List<(List<int> Tokens, double Logit)> groups = [];
        List<int> tokens = [];
        for (var j = 0; j <= i; j++)
        {
            if (!marks[j])
            {
                tokens.Add(j);
                continue;
            }
            // The landmark of the query's own block is the query itself: it does not gate what it belongs to.
            if (j == i) break;
            if (tokens.Count > 0) groups.Add((tokens, s[j]));
            tokens = [];
        }
        if (tokens.Count > 0) groups.Add((tokens, LogSum(s, tokens)));
        var total = groups.Sum(g => Math.Exp(g.Logit));
        foreach (var (members, logit) in groups)
        {
            var inner = LogSum(s, members);
            foreach (var j in members) weights[j] = Math.Exp(logit) / total * Math.Exp(s[j] - inner);
        }
        return weights;
    }

    private static double LogSum(ReadOnlySpan<double> s, List<int> members)
    {
        var sum = 0.0;
        foreach (var j in members) sum += Math.Exp(s[j]);
        return Math.Log(sum);
    }
}
