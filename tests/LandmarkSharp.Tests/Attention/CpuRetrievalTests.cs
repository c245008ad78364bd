using System.Collections.Concurrent;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Retrieval on the CPU in tiles, at any width of vectors, and query by query, against torch operators.</summary>
public sealed class CpuRetrievalTests
{
    public CpuRetrievalTests() => LibTorch.Load();

    /// <summary>Blocks of each type, memories smaller than k and larger, windows of several blocks, heads that share keys, widths that fill no vector.</summary>
    [Fact]
    public void TilesOfAnyWidthAndSingleQueriesGiveTheReferencesResult()
    {
        for (var seed = 0; seed < 90; seed++)           // fixed: rounding may decide between scores as good as equal
        {
            using var scope = NewDisposeScope();
            var (random, shape) = Shape.Draw(seed);
            var (q, numbers, landmarks) = shape.Draw(random);
            var (blocks, scales) = shape.Kept(numbers);
            var tied = random.Next(3) == 0;
            if (tied) landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
            using var operators = shape.Attention(reference: true);
            var reference = operators.Attend(q, blocks, landmarks, tied, scales);
            var widest = shape.Run(CpuDense.Widest, q, blocks, landmarks, tied, scales);
            Same(reference, widest, 3e-5);
            Same(reference, shape.Run(null, q, blocks, landmarks, tied, scales), 3e-5);
            for (var tiles = AttentionBackend.CpuScalar; tiles < CpuDense.Widest; tiles++)
                Same(widest, shape.Run(tiles, q, blocks, landmarks, tied, scales), 0);
        }
    }

    /// <summary>The same with a context-miss token, which some queries and heads, few or most, retrieve nothing for.</summary>
    [Fact]
    public void WithAContextMissTokenTheyDoToo()
    {
        var (dropped, all) = (0L, 0L);
        for (var seed = 0; seed < 90; seed++)
        {
            using var scope = NewDisposeScope();
            var (random, shape) = Shape.Draw(seed);
            if (random.Next(3) == 0) shape = shape with { Queries = random.Next(1, 4) };
            shape = shape with { Options = shape.Options with { MissCutoff = random.Next(4) switch { 0 => 0, 1 => 1, _ => random.NextDouble() } } };
            var (q, numbers, landmarks) = shape.Draw(random);
            var (blocks, scales) = shape.Kept(numbers);
            using var drawn = new Generator((ulong)seed, CPU);
            var miss = randn([shape.Groups, shape.Width], generator: drawn) * 3;
            var tied = random.Next(3) == 0;
            if (tied) landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
            using var operators = shape.Attention(reference: true);
            var reference = operators.Attend(q, blocks, landmarks, tied, scales, miss: miss);
            var widest = shape.Run(CpuDense.Widest, q, blocks, landmarks, tied, scales, miss);
            Same(reference, widest, 3e-5);
            Same(reference, shape.Run(null, q, blocks, landmarks, tied, scales, miss), 3e-5);
            for (var tiles = AttentionBackend.CpuScalar; tiles < CpuDense.Widest; tiles++)
                Same(widest, shape.Run(tiles, q, blocks, landmarks, tied, scales, miss), 0);
            if (shape.Options.MissCutoff is 0 or 1 || shape.InMemory == 0) continue;
            (dropped, all) = (dropped + reference.Dropped!.Value, all + (shape.Heads * shape.Queries));
        }
        Assert.InRange(dropped, all / 10, all * 9 / 10);
    }

    /// <summary>The same where choices end by mass, few blocks or many.</summary>
    [Fact]
    public void WhereChoicesEndByMassTheyDoToo()
    {
        var (read, most) = (0L, 0L);
        for (var seed = 0; seed < 90; seed++)
        {
            using var scope = NewDisposeScope();
            var (random, shape) = Shape.Draw(seed);
            if (random.Next(3) == 0) shape = shape with { Queries = random.Next(1, 4) };
            shape = shape with { Options = shape.Options with { TopK = random.Next(1, 30), Mass = (1 + random.NextDouble()) / 2 } };
            var (q, numbers, landmarks) = shape.Draw(random);
            var (blocks, scales) = shape.Kept(numbers);
            var tied = random.Next(3) == 0;
            if (tied) landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
            using var operators = shape.Attention(reference: true);
            var reference = operators.Attend(q, blocks, landmarks, tied, scales);
            var widest = shape.Run(CpuDense.Widest, q, blocks, landmarks, tied, scales);
            Same(reference, widest, 3e-5);
            Same(reference, shape.Run(null, q, blocks, landmarks, tied, scales), 3e-5);
            for (var tiles = AttentionBackend.CpuScalar; tiles < CpuDense.Widest; tiles++)
                Same(widest, shape.Run(tiles, q, blocks, landmarks, tied, scales), 0);
            if (reference.Chosen is null) continue;
            (read, most) = (read + reference.Chosen.ge(0).sum().item<long>(), most + reference.Chosen.numel());
        }
        Assert.InRange(read, most / 10, most * 9 / 10);
    }

    /// <summary>Landmarks that are the same score the same wherever they stand: the later of them is read.</summary>
    [Fact]
    public void OfEqualLandmarksTheLaterOnesAreChosen()
    {
        using var scope = NewDisposeScope();
        var shape = new Shape(400, 4, 2, 70, 80, 8, 64, new RetrievalOptions { TopK = 3, Selection = SelectionMode.PerTokenAndHead });
        var (q, blocks, landmarks) = shape.Draw(new Random(3));
        landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
        foreach (var tiles in (AttentionBackend?[])[CpuDense.Widest, null])
        {
            var chosen = shape.Run(tiles, q, blocks, landmarks, tied: false).Chosen!.contiguous().data<long>().ToArray();
            // The last three stand in other slots; of the others, all equal, the latest are taken.
            Assert.All(chosen.Chunk(3), c => Assert.Equal(c.Where(b => b < 397), new long[] { 394, 395, 396 }.TakeLast(c.Count(b => b < 397))));
        }
    }

    /// <summary>The first layer of a long text: a thousand landmarks and more that score alike, of which the last are all there is to find.</summary>
    [Theory]
    [InlineData(1, false)]
    [InlineData(1, true)]
    [InlineData(40, false)]
    [InlineData(40, true)]
    public void OfManyThatScoreAlikeTheLastAreFound(int queries, bool misses)
    {
        var (old, recent) = (0L, 0L);
        for (var seed = 0; seed < 12; seed++)
        {
            using var scope = NewDisposeScope();
            var (random, shape) = Shape.Draw(seed);
            shape = shape with
            {
                InMemory = TiedLandmarks.Worth + random.Next(200),
                Queries = queries,
                Length = random.Next(2, 9),
                Options = shape.Options with { MissCutoff = misses ? random.NextDouble() : null },
            };
            var (q, numbers, landmarks) = shape.Draw(random);
            var (blocks, scales) = shape.Kept(numbers);
            landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
            using var drawn = new Generator((ulong)seed, CPU);
            var miss = misses ? randn([shape.Groups, shape.Width], generator: drawn) * 3 : null;
            using var operators = shape.Attention(reference: true);
            var reference = operators.Attend(q, blocks, landmarks, tied: true, scales, miss: miss);
            Same(reference, shape.Run(CpuDense.Widest, q, blocks, landmarks, tied: true, scales, miss), 3e-5);
            Same(reference, shape.Run(null, q, blocks, landmarks, tied: true, scales, miss), 3e-5);
            var inSlots = reference.Chosen!.ge(shape.InMemory - shape.Options.TopK).sum().item<long>();
            (recent, old) = (recent + inSlots, old + reference.Chosen.ge(0).sum().item<long>() - inSlots);
        }
        Assert.True(old > 0 && recent > 0);
    }

    /// <summary>Who is told of blocks has a disk to read them from: of each key-value head those that it reads, and no others.</summary>
    [Fact]
    public void WhatIsReadIsToldByKeyValueHead()
    {
        for (var seed = 0; seed < 60; seed++)
        {
            using var scope = NewDisposeScope();
            var (random, shape) = Shape.Draw(seed);
            if (random.Next(3) == 0) shape = shape with { Queries = random.Next(1, 4) };
            shape = shape with
            {
                Options = random.Next(4) switch
                {
                    0 => shape.Options with { MissCutoff = random.NextDouble() },
                    1 => shape.Options with { Mass = (1 + random.NextDouble()) / 2 },
                    2 => shape.Options with { KeepBlocks = random.Next(6, 100) },
                    _ => shape.Options,
                },
            };
            var (q, numbers, landmarks) = shape.Draw(random);
            var (blocks, scales) = shape.Kept(numbers);
            using var drawn = new Generator((ulong)seed, CPU);
            var miss = shape.Options.MissCutoff is null ? null : randn([shape.Groups, shape.Width], generator: drawn) * 3;
            Expect(told =>
            {
                using var attention = shape.Attention();
                return attention.Attend(q, blocks, landmarks, tied: false, scales, miss: miss, choosing: told);
            });
            Expect(told =>
            {
                using var operators = shape.Attention(reference: true);
                return operators.Attend(q, blocks, landmarks, tied: false, scales, miss: miss, choosing: told);
            });
            if (shape.Options.KeepBlocks is not null) continue;
            Expect(told => shape.Run(null, q, blocks, landmarks, tied: false, scales, miss, told));
            Expect(told => shape.Run(CpuDense.Widest, q, blocks, landmarks, tied: false, scales, miss, told));

            void Expect(Func<BlocksChosen, Retrieved> attend)
            {
                ConcurrentDictionary<long, bool>[] Sets() => [.. Enumerable.Range(0, shape.Groups).Select(_ => new ConcurrentDictionary<long, bool>())];
                var (fetched, told, late) = (Sets(), Sets(), false);
                var chosen = attend((head, read, now) =>
                {
                    foreach (var block in read)
                    {
                        if (block < 0) continue;
                        (now ? told : fetched)[head][block] = true;
                        late |= !fetched[head].ContainsKey(block);
                    }
                }).Chosen;
                Assert.False(late);
                for (var group = 0; group < shape.Groups; group++)
                {
                    var share = shape.Heads / shape.Groups;
                    long[] read = chosen is null ? [] : [.. chosen.narrow(0, group * share, share).contiguous().data<long>().ToArray().Where(b => b >= 0).Distinct().Order()];
                    // Of heads that choose together some may retrieve nothing.
                    Assert.Equal(read, told[group].Keys.Where(b => shape.Options.MissCutoff is null || read.Contains(b)).Order());
                }
            }
        }
    }

    private static void Same(Retrieved expected, Retrieved actual, double tolerance)
    {
        Assert.Equal(expected.Chosen?.contiguous().data<long>().ToArray(), actual.Chosen?.contiguous().data<long>().ToArray());
        RowByRow.Close(expected.Output, actual.Output, tolerance);
        if (expected.Gates is { } gates) RowByRow.Close(gates, actual.Gates!, tolerance);
        Assert.Equal(expected.Dropped, actual.Dropped);
    }

    private sealed record Shape(
        int InMemory, int Heads, int Groups, int Queries, int Keys, int Length, int Width, RetrievalOptions Options)
    {
        public static Rotary Rotary(int width) => new RotaryScaling(Theta: 1000).Create(width);

        public static (Random Random, Shape Shape) Draw(int seed)
        {
            var random = new Random(seed);
            var (groups, length, queries) = (random.Next(1, 4), random.Next(2, 70), random.Next(1, 300));
            var k = random.Next(1, 7);
            return (random, new Shape(
                random.Next(4) == 0 ? random.Next(10) : random.Next(300), groups * random.Next(1, 4), groups, queries,
                queries + random.Next(100), length, 2 * random.Next(1, 41),
                new RetrievalOptions
                {
                    TopK = k,
                    Selection = (SelectionMode)random.Next(4),
                    BlockType = (seed % 3) switch { 0 => null, 1 => ScalarType.BFloat16, _ => ScalarType.Int8 },
                }));
        }

        public (Tensor Queries, Tensor Blocks, Tensor Landmarks) Draw(Random random)
        {
            using var generator = new Generator((ulong)random.Next(), CPU);
            var all = InMemory + ((Keys + Length - 1) / Length);
            return (randn([Heads, Queries, Width], generator: generator) * 2, randn([all, Groups, 2, Length - 1, Width], generator: generator),
                randn([Groups, all, Width], generator: generator));
        }

        /// <summary>Blocks and scales as the options say.</summary>
        public (Tensor Blocks, Tensor? Scales) Kept(Tensor numbers) => Options.BlockType switch
        {
            ScalarType.Int8 => BlockType.Quantize(numbers),
            { } type => (numbers.to(type), null),
            null => (numbers, null),
        };

        public RetrievedAttention Attention(bool reference = false) =>
            new(InMemory, Keys, Queries, Length, Rotary(Width), Options with { Reference = reference }, ScalarType.Float32);

        public Retrieved Run(
            AttentionBackend? tiles, Tensor q, Tensor blocks, Tensor landmarks, bool tied, Tensor? scales = null, Tensor? miss = null,
            BlocksChosen? choosing = null) =>
            new CpuRetrieval(InMemory, Keys, Queries, Length, Rotary(Width), Options) { Tiles = tiles }
                .Attend(q, blocks, landmarks, tied, scales, miss, choosing: choosing);
    }
}
