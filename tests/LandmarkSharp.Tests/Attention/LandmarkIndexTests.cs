using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Faiss;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Blocks found by an index, against all of them scored.</summary>
public sealed class LandmarkIndexTests
{
    public LandmarkIndexTests() => LibTorch.Load();

    /// <summary>Searched whole, an index finds all: what is chosen is the same, and so is the result to the last bit.</summary>
    [Theory]
    [InlineData(LandmarkIndex.Hierarchical)]
    [InlineData(LandmarkIndex.Int8)]
    [InlineData(LandmarkIndex.FaissFlat)]
    [InlineData(LandmarkIndex.FaissIvf)]
    public void SearchedWholeItGivesTheExactResult(LandmarkIndex kind)
    {
        Needs(kind);
        for (var seed = 0; seed < 24; seed++)           // fixed: rounding may decide between shares as good as equal
        {
            using var scope = NewDisposeScope();
            var (random, text) = Text.Draw(seed, alone: kind is not (LandmarkIndex.Hierarchical or LandmarkIndex.Int8));
            var (q, blocks, landmarks) = text.Draw(random);
            using var index = text.Index(kind, effort: 1000);
            Same(text.Run(null, q, blocks, landmarks), text.Run(index, q, blocks, landmarks));
        }
    }

    /// <summary>The same with a context-miss token that drops some retrievals.</summary>
    [Theory]
    [InlineData(LandmarkIndex.Hierarchical)]
    [InlineData(LandmarkIndex.Int8)]
    [InlineData(LandmarkIndex.FaissFlat)]
    public void SoItDoesWhereRetrievalsAreDropped(LandmarkIndex kind)
    {
        Needs(kind);
        var (dropped, all) = (0L, 0L);
        for (var seed = 0; seed < 12; seed++)
        {
            using var scope = NewDisposeScope();
            var (random, text) = Text.Draw(seed, alone: kind is not (LandmarkIndex.Hierarchical or LandmarkIndex.Int8));
            var (q, blocks, landmarks) = text.Draw(random);
            text = text with { Options = text.Options with { MissCutoff = 0.3 + (random.NextDouble() / 3) } };
            using var drawn = new Generator((ulong)seed, CPU);
            var miss = randn([text.Groups, text.Width], generator: drawn) * 3;
            using var index = text.Index(kind, effort: 1000);
            var exact = text.Run(null, q, blocks, landmarks, miss);
            Same(exact, text.Run(index, q, blocks, landmarks, miss));
            (dropped, all) = (dropped + exact.Dropped!.Value, all + (text.Heads * text.Queries));
        }
        Assert.InRange(dropped, all / 10, all * 9 / 10);
    }

    /// <summary>Keys in clusters, and queries that look for one of them.</summary>
    [Theory]
    [InlineData(LandmarkIndex.Hierarchical, 1)]
    [InlineData(LandmarkIndex.Hierarchical, 4)]
    [InlineData(LandmarkIndex.Int8, 1)]
    [InlineData(LandmarkIndex.Int8, 4)]
    [InlineData(LandmarkIndex.FaissIvf, 1)]
    [InlineData(LandmarkIndex.FaissIvf, 4)]
    [InlineData(LandmarkIndex.FaissHnsw, 1)]
    public void ClustersAreFoundWithoutLookingAtAll(LandmarkIndex kind, int share)
    {
        Needs(kind);
        using var scope = NewDisposeScope();
        var text = new Text(8192, 2 * share, 2, 40, 60, 8, 64, new RetrievalOptions { TopK = 4 });
        var (q, blocks, landmarks) = text.Draw(new Random(5), clusters: 200);
        using var index = text.Index(kind, effort: 1);
        var (expected, found) = (Chosen(text.Run(null, q, blocks, landmarks)), Chosen(text.Run(index, q, blocks, landmarks)));
        Assert.InRange(index.Found(share), 1, text.InMemory / 10);
        Assert.InRange(expected.Zip(found, (a, b) => a.Intersect(b).Count()).Sum() / (4.0 * found.Length), 0.9, 1);
    }

    /// <summary>Of more keys alike than a node has, the later ones are chosen.</summary>
    [Fact]
    public void OfEqualLandmarksTheLaterOnesAreChosen()
    {
        using var scope = NewDisposeScope();
        var text = new Text(3000, 4, 2, 30, 40, 8, 64, new RetrievalOptions { TopK = 3, Selection = SelectionMode.PerTokenAndHead });
        var (q, blocks, landmarks) = text.Draw(new Random(3));
        landmarks = landmarks[.., ..1].expand(landmarks.shape).contiguous();
        using var index = new HierarchicalIndex(2, 64, effort: 100);
        Same(text.Run(null, q, blocks, landmarks), text.Run(index, q, blocks, landmarks));
    }

    /// <summary>What an index finds depends on how many blocks it covers, and not on how it came to cover them.</summary>
    [Theory]
    [InlineData(LandmarkIndex.Hierarchical)]
    [InlineData(LandmarkIndex.Int8)]
    [InlineData(LandmarkIndex.FaissFlat)]
    [InlineData(LandmarkIndex.FaissIvf)]
    [InlineData(LandmarkIndex.FaissHnsw)]
    public unsafe void GrownBitByBitOrAtOnceItFindsTheSame(LandmarkIndex kind)
    {
        Needs(kind);
        const int n = 21_600, d = 16, groups = 2;
        using var generator = new Generator(7, CPU);
        using var keys = randn([groups, n, d], generator: generator);
        using var forms = randn([3, 2, d], generator: generator);
        float* from = (float*)Aten.DataPointer(keys), of = (float*)Aten.DataPointer(forms);
        ILandmarkIndex New() => LandmarkIndexes.Create(new RetrievalOptions { Index = kind }, groups, d)!;
        var threads = get_num_threads();
        using var grown = New();
        for (var blocks = 700; blocks < n; blocks += 700) Assert.Equal(blocks / 1024 * 1024, grown.Cover(from, n * d, blocks));
        foreach (var blocks in (int[])[n, 5000, 17_000, 900, 4096])     // a pass that is given up leaves fewer
        {
            using var made = New();
            Assert.Equal(made.Cover(from, n * d, blocks), grown.Cover(from, n * d, blocks));
            Assert.Equal(made.Bytes, grown.Bytes);
            for (var g = 0; g < groups; g++)
            {
                var (expected, actual) = (Found(made, g), Found(grown, g));
                Assert.Equal(expected.Blocks, actual.Blocks);
                Assert.Equal(expected.Scores, actual.Scores);
            }
        }
        Assert.Equal(threads, get_num_threads());       // FAISS has threads too, and may share libtorch's OpenMP

        (int[] Blocks, float[] Scores) Found(ILandmarkIndex index, int group)
        {
            var found = index.Found(2);
            var (blocks, scores) = (new int[3 * found], new float[6 * found]);
            fixed (int* toBlocks = blocks)
            fixed (float* toScores = scores)
                index.Find(group, of, 3, 2, toBlocks, toScores, found);
            return (blocks, scores);
        }
    }

    [Fact]
    public void WithoutFaissItIsSaidWhatToDo()
    {
        var missing = Path.Combine(Path.GetTempPath(), "no-such-folder", "liblandmark_faiss.so");
        var error = Assert.Throws<LandmarkException>(() => FaissLibrary.Open(missing));
        Assert.Contains("build it with eng/build-faiss.sh", error.Message, StringComparison.Ordinal);
        var text = Path.GetTempFileName();
        error = Assert.Throws<LandmarkException>(() => FaissLibrary.Open(text));
        Assert.Contains($"{text} cannot be loaded", error.Message, StringComparison.Ordinal);
        File.Delete(text);
    }

    [Fact]
    public void WhatFaissSaysIsTold()
    {
        Needs(LandmarkIndex.FaissFlat);
        var error = Assert.Throws<LandmarkException>(() => FaissLibrary.Create("Nonsense", 8, 1));
        Assert.StartsWith("FAISS failed: ", error.Message, StringComparison.Ordinal);
    }

    private static void Needs(LandmarkIndex kind) => Assert.SkipUnless(
        kind is LandmarkIndex.Hierarchical or LandmarkIndex.Int8 || FaissLibrary.IsThere,
        $"No FAISS: build it with eng/build-faiss.sh, and name it by {FaissLibrary.Variable}.");

    private static void Same(Retrieved expected, Retrieved actual)
    {
        Assert.Equal(Chosen(expected), Chosen(actual));
        Assert.Equal(expected.Output.contiguous().data<float>().ToArray(), actual.Output.contiguous().data<float>().ToArray());
        Assert.Equal(expected.Dropped, actual.Dropped);
    }

    private static long[][] Chosen(Retrieved read) =>
        [.. read.Chosen!.contiguous().data<long>().ToArray().Chunk((int)read.Chosen.shape[2])];

    /// <summary>A text long enough for an index.</summary>
    private sealed record Text(int InMemory, int Heads, int Groups, int Queries, int Keys, int Length, int Width, RetrievalOptions Options)
    {
        /// <summary>One at random; alone: no heads choose together, whose shares depend on all that is found.</summary>
        public static (Random Random, Text Text) Draw(int seed, bool alone)
        {
            var random = new Random(seed);
            var (groups, length, queries) = (random.Next(1, 4), random.Next(2, 10), random.Next(3) == 0 ? random.Next(1, 4) : random.Next(1, 100));
            return (random, new Text(
                random.Next(900, 7000), groups * random.Next(1, 4), groups, queries, queries + random.Next(20), length, 2 * random.Next(1, 41),
                new RetrievalOptions { TopK = random.Next(1, 7), Selection = alone ? SelectionMode.PerTokenAndHead : (SelectionMode)random.Next(2) }));
        }

        public (Tensor Queries, Tensor Blocks, Tensor Landmarks) Draw(Random random, int? clusters = null)
        {
            using var generator = new Generator((ulong)random.Next(), CPU);
            var all = InMemory + ((Keys + Length - 1) / Length);
            Tensor Drawn(params long[] sizes) => randn(sizes, generator: generator);
            var (q, landmarks) = (Drawn(Heads, Queries, Width) * 2, Drawn(Groups, all, Width));
            if (clusters is { } count)
            {
                var centres = Drawn(count, Width) * 2;
                Tensor Near(long rows, long each) => centres.index_select(0, randint(0, count, [rows * each], generator: generator)).view(rows, each, Width);
                landmarks = Near(Groups, all) + landmarks;
                // Turned back from the slot of old blocks, they look like a centre.
                var turn = -(arange(Queries) + (Keys - Queries) + ((Options.TopK + 1L) * Length));
                q = Rotary.Rotate(Near(Groups, Queries).repeat_interleave(Heads / Groups, 0) + (q / 4), turn);
            }
            return (q, Drawn(all, Groups, 2, Length - 1, Width), landmarks);
        }

        public ILandmarkIndex Index(LandmarkIndex kind, double effort) =>
            LandmarkIndexes.Create(Options with { Index = kind, IndexEffort = effort }, Groups, Width)!;

        public Retrieved Run(ILandmarkIndex? index, Tensor q, Tensor blocks, Tensor landmarks, Tensor? miss = null) =>
            new CpuRetrieval(InMemory, Keys, Queries, Length, Rotary, Options).Attend(q, blocks, landmarks, tied: false, null, miss, index);

        private Rotary Rotary => new RotaryScaling(Theta: 1000).Create(Width);
    }
}
