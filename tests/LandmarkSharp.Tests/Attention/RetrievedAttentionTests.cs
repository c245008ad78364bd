using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Retrieval against dense attention, and against its rule written out query by query.</summary>
public sealed class RetrievedAttentionTests
{
    public RetrievedAttentionTests() => LibTorch.Load();

    /// <summary>The master test: with k ≥ the blocks in memory, retrieved attention is dense landmark attention.</summary>
    [Fact]
    public void EverythingRetrievedIsDense() =>
        Gen.Select(Gen.Int[0, 5], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 6], Gen.Int[0, 1 << 30]).Sample(
            (inMemory, groups, repeat, half, l, seed) =>
            {
                using var scope = NewDisposeScope();
                var random = new Random(seed);
                var text = new Text(seed, groups * repeat, groups, 2 * half, l, (inMemory * (l + 1)) + random.Next(1, (3 * l) + 4));
                var queries = random.Next(1, text.Tokens - (inMemory * text.Length) + 1);
                var options = new RetrievalOptions
                {
                    TopK = Math.Max(1, inMemory + random.Next(3)),
                    Selection = (SelectionMode)random.Next(4),
                    Positions = (PositionMode)random.Next(2),
                    Reference = random.Next(2) == 0,
                };
                var got = text.Retrieve(inMemory, queries, options);
                RowByRow.Close(text.Dense().narrow(1, text.Tokens - queries, queries), got.Output, 1e-10);
                Assert.Equal(inMemory == 0, got.Chosen is null);
            }, iter: 300, threads: 1);

    /// <summary>Any k, mode and position rule: what is read is the k best landmarks, and the weights are the gate's.</summary>
    [Fact]
    public void RetrievedEqualsItsRule() =>
        Gen.Select(Gen.Int[1, 7], Gen.Int[1, 2], Gen.Int[1, 2], Gen.Int[1, 4], Gen.Int[0, 1 << 30]).Sample(
            (inMemory, groups, repeat, l, seed) =>
            {
                using var scope = NewDisposeScope();
                var random = new Random(seed);
                var text = new Text(seed, groups * repeat, groups, 4, l, (inMemory * (l + 1)) + random.Next(1, (2 * l) + 3));
                var queries = random.Next(1, text.Tokens - (inMemory * text.Length) + 1);
                var options = new RetrievalOptions
                {
                    TopK = random.Next(1, inMemory + 1),
                    Selection = (SelectionMode)random.Next(4),
                    Positions = (PositionMode)random.Next(2),
                };
                var got = text.Retrieve(inMemory, queries, options);
                text.CheckByRule(got, inMemory, queries, options);
            }, iter: 150, threads: 1);

    [Fact]
    public void Float32KernelsEqualTheReference()
    {
        using var scope = NewDisposeScope();
        var text = new Text(4, 6, 2, 64, 63, (20 * 64) + 70) { Type = ScalarType.Float32 };
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var options = new RetrievalOptions { TopK = 4, Selection = mode };
            var fast = text.Retrieve(20, 50, options);
            var reference = text.Retrieve(20, 50, options with { Reference = true });
            Assert.Equal(reference.Chosen!.contiguous().data<long>().ToArray(), fast.Chosen!.contiguous().data<long>().ToArray());
            RowByRow.Close(reference.Output, fast.Output, 1e-5);
        }
    }

    /// <summary>Any shape: memories smaller and larger than k, windows of several blocks, heads that share keys, odd widths.</summary>
    [Fact]
    public void TheKernelEqualsTheReference()
    {
        for (var seed = 0; seed < 200; seed++) // fixed: rounding may decide between scores as good as equal
        {
            using var scope = NewDisposeScope();
            var random = new Random(seed);
            var (inMemory, groups, repeat, width, l) =
                (random.Next(10), random.Next(1, 4), random.Next(1, 4), 2 * random.Next(1, 21), random.Next(1, 10));
            var tied = random.Next(2) == 0;
            var text = new Text(seed, groups * repeat, groups, width, l, (inMemory * (l + 1)) + random.Next(1, (3 * l) + 4))
            {
                Type = ScalarType.Float32,
                TiedLandmarks = tied,
            };
            var queries = random.Next(1, text.Tokens - (inMemory * text.Length) + 1);
            var options = new RetrievalOptions { TopK = random.Next(1, 7), Selection = (SelectionMode)random.Next(4) };
            var fast = text.Retrieve(inMemory, queries, options, tied);
            var reference = text.Retrieve(inMemory, queries, options with { Reference = true }, tied);
            Assert.Equal(reference.Chosen?.contiguous().data<long>().ToArray(), fast.Chosen?.contiguous().data<long>().ToArray());
            RowByRow.Close(reference.Output, fast.Output, 2e-5);
            if (fast.Gates is { } gates) RowByRow.Close(reference.Gates!, gates, 2e-5);
        }
    }

    [Fact]
    public void TensorsOfOtherSizesAreRefused()
    {
        using var scope = NewDisposeScope();
        var (options, rotary) = (new RetrievalOptions(), new RotaryScaling().Create(8));
        using var attention = new RetrievedAttention(2, 5, 3, 4, rotary, options, ScalarType.Float32);
        Tensor q = zeros(2, 3, 8), blocks = zeros([4, 2, 2, 3, 8]), landmarks = zeros(2, 4, 8);
        attention.Attend(q, blocks, landmarks, tied: false);
        foreach (var (a, b, c) in new[] { (q[.., 1..], blocks, landmarks), (q[.., .., 2..], blocks, landmarks),
            (q, blocks[1..], landmarks), (q, blocks, landmarks[.., 1..]) })
            Assert.Contains("4 blocks of 4 positions", Assert.Throws<LandmarkException>(
                () => attention.Attend(a, b, c, tied: false)).Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => new RetrievedAttention(2, 5, 6, 4, rotary, options, ScalarType.Float32));
    }

    [Fact]
    public void TensorsOfOtherTypesAndOptionsThatMakeNoSenseAreRefused()
    {
        using var scope = NewDisposeScope();
        var rotary = new RotaryScaling().Create(8);
        using var attention = new RetrievedAttention(2, 5, 3, 4, rotary, new RetrievalOptions(), ScalarType.Float32);
        Tensor q = zeros(2, 3, 8), blocks = zeros([4, 2, 2, 3, 8]), landmarks = zeros(2, 4, 8);
        var half = blocks.to(ScalarType.Float16);                                           // half the memory that the kernel would read
        Assert.Contains("given Float16", Assert.Throws<LandmarkException>(
            () => attention.Attend(q, half, landmarks, tied: false)).Message, StringComparison.Ordinal);
        foreach (var k in (int[])[0, -1])
        {
            var error = Assert.Throws<LandmarkException>(
                () => new RetrievedAttention(2, 5, 3, 4, rotary, new RetrievalOptions { TopK = k }, ScalarType.Float32));
            Assert.Contains("at least 1", error.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Shares of tokens, with their values, are what was read of the memory; the window's values are zeros here.</summary>
    [Fact]
    public void SharesOfTokensAreWhatWasRead() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 12], Gen.Enum<SelectionMode>(), Gen.Enum<PositionMode>(), Gen.Bool, Gen.Bool, Gen.Int[0, 1 << 30]).Sample(
            (inMemory, k, mode, positions, ends, forgets, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                Tensor Random(params long[] shape) => randn(shape, dtype: ScalarType.Float64, generator: random);
                var options = new RetrievalOptions
                {
                    TopK = k,
                    Selection = mode,
                    Positions = positions,
                    Mass = ends ? 0.4 : null,
                    KeepBlocks = forgets ? Math.Max(k, inMemory - 2) : null,
                };
                using var attention = new RetrievedAttention(inMemory, 6, 2, 4, new RotaryScaling().Create(8), options, ScalarType.Float64);
                var (q, blocks) = (Random(4, 2, 8), Random(inMemory + 2, 2, 2, 3, 8));
                blocks.narrow(0, inMemory, 2).select(2, 1).zero_();
                var got = attention.Attend(q, blocks, Random(2, inMemory + 2, 8), tied: false);
                var shares = attention.TokenShares(q, got, blocks, scales: null)!;                          // [H, T, k', 3]
                var values = stack([.. Enumerable.Range(0, 4).Select(h => blocks.select(2, 1).select(1, h / 2)[got.Chosen![h].clamp_min(0)])], 0);
                RowByRow.Close(got.Output, (shares.unsqueeze(-1) * values).sum([2, 3]), 1e-10);             // values: [H, T, k', 3, d]
            }, iter: 200, threads: 1);

    /// <summary>A model gone wrong must not take the process with it.</summary>
    [Fact]
    public void WhateverTheScoresOnlyBlocksThatAreThereAreRead()
    {
        foreach (var (positions, reference) in new[] { (PositionMode.Stingy, false), (PositionMode.Stingy, true),
            (PositionMode.True, false), (PositionMode.True, true) })
        {
            using var scope = NewDisposeScope();
            var options = new RetrievalOptions { TopK = 3, Positions = positions, Reference = reference };
            using var attention = new RetrievedAttention(9, 6, 2, 4, new RotaryScaling().Create(8), options, ScalarType.Float32);
            var q = randn(4, 2, 8);
            q[1] = float.NaN;
            q[3, 1] = float.PositiveInfinity;
            var got = attention.Attend(q, randn([11, 2, 2, 3, 8]), randn(2, 11, 8), tied: false);
            Assert.All(got.Chosen!.contiguous().data<long>().ToArray(), b => Assert.InRange(b, 0, 8));
        }
    }

    [Fact]
    public void TiedFirstLayerReadsTheLatestOfEqualBlocks()
    {
        using var scope = NewDisposeScope();
        var text = new Text(5, 4, 2, 8, 3, (9 * 4) + 2) { TiedLandmarks = true };
        var got = text.Retrieve(9, 2, new RetrievalOptions { TopK = 3, Selection = SelectionMode.PerTokenAndHead }, tied: true);
        var chosen = got.Chosen!.contiguous().data<long>().ToArray().Chunk(3);
        // Of the six old blocks, all equal, only the latest can be among the chosen: 5, then 4, then 3.
        Assert.All(chosen, c => Assert.Equal(
            c.Where(b => b < 6), Enumerable.Range(0, 6).Select(b => (long)b).TakeLast(c.Count(b => b < 6))));
        Assert.Contains(chosen, c => c.Any(b => b < 6));
    }

    [Fact]
    public void GatesAndOwnWeightsSumToOneWithValuesOfOne()
    {
        using var scope = NewDisposeScope();
        var text = new Text(6, 4, 2, 8, 3, (9 * 4) + 6) { UnitValues = true };
        var got = text.Retrieve(9, 6, new RetrievalOptions { TopK = 2 });
        RowByRow.Close(ones_like(got.Output), got.Output, 1e-12);
        Assert.Equal([4, 6, 2], got.Gates!.shape);
        Assert.True(got.Gates.gt(0).all().item<bool>());
        Assert.True(got.Gates.sum(-1).lt(1).all().item<bool>());
    }

    /// <summary>A random text's queries, keys and values, and what is kept of them.</summary>
    private sealed class Text
    {
        private readonly Rotary rotary;
        private readonly int heads, groups, width, l;
        private readonly Tensor q, k, v;                                                    // [H|G, tokens, d], not rotated

        public Text(int seed, int heads, int groups, int width, int l, int tokens)
        {
            (this.heads, this.groups, this.width, this.l, Tokens) = (heads, groups, width, l, tokens);
            using var random = new Generator((ulong)seed, CPU);
            rotary = new RotaryScaling(Theta: 1000).Create(width);
            q = randn([heads, tokens, width], dtype: ScalarType.Float64, generator: random) * 2;
            k = randn([groups, tokens, width], dtype: ScalarType.Float64, generator: random) * 2;
            v = randn([groups, tokens, width], dtype: ScalarType.Float64, generator: random);
        }

        public int Tokens { get; }

        public int Length => l + 1;

        public ScalarType Type { get; init; } = ScalarType.Float64;

        public bool TiedLandmarks { get; init; }

        public bool UnitValues { get; init; }

        private Tensor Keys => TiedLandmarks ? where((arange(Tokens) % Length).eq(l).view(1, -1, 1), k[.., ..1], k) : k;

        private Tensor Values => UnitValues ? ones_like(v) : v;

        public Tensor Dense()
        {
            using var layout = BlockLayout.Regular(Tokens, Tokens, Length, Length);
            return new DenseAttention(rotary, layout).Attend(0, q.unsqueeze(0), Keys.unsqueeze(0), Values.unsqueeze(0)).squeeze(0);
        }

        public Retrieved Retrieve(int inMemory, int queries, RetrievalOptions options, bool tied = false)
        {
            var blocks = (Tokens + Length - 1) / Length;
            // What no token has filled yet holds anything finite.
            Tensor Padded(Tensor x) => cat([x, full([groups, (blocks * Length) - Tokens, width], 3.0, dtype: x.dtype)], 1)
                .view(groups, blocks, Length, width);
            var local = Padded(rotary.Rotate(Keys, arange(Tokens) % Length));
            var memory = stack([local, Padded(Values)], 2).narrow(3, 0, l).transpose(0, 1).contiguous();
            var keys = Tokens - (inMemory * Length);
            using var attention = new RetrievedAttention(inMemory, keys, queries, Length, rotary, options, Type);
            return attention.Attend(
                q.narrow(1, Tokens - queries, queries).to(Type), memory.to(Type), local.select(2, l).contiguous().to(Type), tied);
        }

        /// <summary>Section 3.1 and 3.2 in plain numbers, a query at a time.</summary>
        public void CheckByRule(Retrieved got, int inMemory, int queries, RetrievalOptions options)
        {
            var (m, top, repeat) = (inMemory, Math.Min(options.TopK, inMemory), heads / groups);
            var stingy = options.Positions == PositionMode.Stingy;
            var windowStart = (stingy ? top + 1 : m) * Length;
            var chosen = got.Chosen!.contiguous().data<long>().ToArray();
            var scan = new double[heads, queries, m];
            for (var h = 0; h < heads; h++)
                for (var t = 0; t < queries; t++)
                    for (var b = 0; b < m; b++)
                    {
                        var slot = !stingy ? b : b >= m - top ? top + 1 - (m - b) : 0;
                        scan[h, t, b] = Score(h, t, (b * Length) + l, (slot * Length) + l);
                    }

            for (var h = 0; h < heads; h++)
                for (var t = 0; t < queries; t++)
                {
                    var mine = chosen.AsSpan(((h * queries) + t) * top, top).ToArray();
                    CheckChoice(h, t, mine);
                    var place = Place(t);
                    var scores = new List<double>();
                    var owners = new List<(int From, int Rank)>();                          // tokens of a block and its rank, or -1
                    for (var r = 0; r < top; r++)
                        (scores, owners) = ([.. scores, Score(h, t, ((int)mine[r] * Length) + l, Slot(mine, r) + l)],
                            [.. owners, ((int)mine[r] * Length, r)]);
                    var block = place / Length;
                    for (var b = 0; b < block; b++)
                        (scores, owners) = ([.. scores, Window(h, t, (b * Length) + l)], [.. owners, ((m + b) * Length, -1)]);
                    for (var j = block * Length; j <= place; j++)
                    {
                        if (j % Length == l) continue;
                        scores.Add(Window(h, t, j));
                        owners.Add((-1 - ((m * Length) + j), -1));
                    }
                    var p = Softmax(scores);
                    var expected = new double[width];
                    for (var i = 0; i < p.Length; i++)
                    {
                        var (from, rank) = owners[i];
                        if (from < 0) Add(expected, p[i], h, -1 - from);
                        else
                        {
                            var a = Softmax([.. Enumerable.Range(0, l).Select(o => rank >= 0
                                ? Score(h, t, from + o, Slot(mine, rank) + o)
                                : Window(h, t, from - (m * Length) + o))]);
                            for (var o = 0; o < l; o++) Add(expected, p[i] * a[o], h, from + o);
                            if (rank >= 0) Assert.Equal(p[i], got.Gates![h, t, rank].item<double>(), 1e-10);
                        }
                    }
                    RowByRow.Close(tensor(expected), got.Output[h, t], 1e-10);
                }

            int Place(int t) => Tokens - queries + t - (m * Length);
            int Slot(long[] mine, int r) => (int)(!stingy ? mine[r] : mine[r] >= m - top ? r + 1 : r) * Length;
            double Window(int h, int t, int place) => Score(h, t, (m * Length) + place, windowStart + place);
            double Score(int h, int t, int key, int keyPosition)
            {
                var query = rotary.Rotate(q[h, Tokens - queries + t], tensor((long)(windowStart + Place(t))));
                return (query * rotary.Rotate(k[h / repeat, key], tensor((long)keyPosition))).sum().item<double>() / Math.Sqrt(width);
            }

            void Add(double[] sum, double weight, int h, int token)
            {
                for (var c = 0; c < width; c++) sum[c] += weight * v[h / repeat, token, c].item<double>();
            }

            // No unchosen block scores higher than a chosen one, by the score that is shared.
            void CheckChoice(int h, int t, long[] mine)
            {
                double Shared(int b) => options.Selection switch
                {
                    SelectionMode.PerTokenAndHead => P(h, t, b),
                    SelectionMode.PerTokenAndGroup => Enumerable.Range(h / repeat * repeat, repeat).Max(x => P(x, t, b)),
                    SelectionMode.PerToken => Enumerable.Range(0, heads).Max(x => P(x, t, b)),
                    _ => Enumerable.Range(0, queries).Max(x => P(h, x, b)),
                };
                double P(int x, int y, int b) => Softmax([.. Enumerable.Range(0, m).Select(i => scan[x, y, i])])[b];
                Assert.Equal(mine.Order().Distinct(), mine);
                var worst = mine.Min(b => Shared((int)b));
                Assert.All(Enumerable.Range(0, m).Where(b => !mine.Contains(b)), b => Assert.True(Shared(b) <= worst + 1e-6));
            }
        }

        private static double[] Softmax(List<double> scores)
        {
            var max = scores.Max();
            var sum = scores.Sum(s => Math.Exp(s - max));
            return [.. scores.Select(s => Math.Exp(s - max) / sum)];
        }
    }
}
