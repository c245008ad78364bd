using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>
/// All windows of a text at once against the reference in float64, window by window, on the same rounded inputs. On a CPU
/// tests/KernelEmulation checks the same kernels.
/// </summary>
public sealed class CudaPrefillTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    public CudaPrefillTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[0, 40], Gen.Int[1, 4], Gen.Int[2, 80], Gen.Int[1, 400], Gen.Int[1, 3], Gen.Int[1, 4], Gen.Int[1, 8], Gen.Int[0, 1 << 30])
            .Sample(
                (inMemory, windowBlocks, length, queries, groups, repeat, head, seed) =>
                {
                    var random = new Random(seed);
                    Compare(new Text(inMemory, windowBlocks, random.Next(windowBlocks * length), queries, length, groups, groups * repeat, 16 * head)
                    {
                        Seed = seed,
                        TopK = random.Next(1, 9),
                        Mode = (SelectionMode)random.Next(4),
                        Tied = random.Next(3) == 0,
                        Type = random.Next(2) == 0 ? ScalarType.BFloat16 : ScalarType.Float16,
                        Mass = seed % 3 == 0 ? 0.05 + (0.95 * random.NextDouble()) : null,
                        MissCutoff = seed % 3 == 1 ? random.NextDouble() : null,
                    });
                }, iter: 80, threads: 1);
    }

    [Theory]
    [InlineData(0, 3, 0, 1000, 64, 2, 4, 128, 4)]
    [InlineData(0, 3, 0, 1, 64, 1, 1, 128, 4)]          // nothing before it
    [InlineData(500, 3, 191, 1, 64, 2, 8, 128, 4)]      // one query, at the window's end
    [InlineData(500, 3, 0, 192, 64, 2, 8, 128, 40)]     // one window
    [InlineData(300, 2, 10, 300, 51, 2, 2, 64, 256)]    // hundreds of blocks for each
    [InlineData(60, 5, 7, 300, 64, 1, 2, 80, 100)]      // all blocks at first, not at the end
    [InlineData(9, 2, 100, 700, 256, 1, 2, 128, 3)]
    [InlineData(9, 2, 100, 300, 64, 1, 2, 256, 3)]
    [InlineData(30, 200, 0, 40, 2, 1, 2, 16, 3)]        // blocks of one token
    [InlineData(9000, 3, 5, 200, 4, 1, 2, 16, 6)]       // more blocks than are counted at a time
    public void CornersEqualTheReference(
        int inMemory, int windowBlocks, int before, int queries, int length, int groups, int heads, int width, int topK)
    {
        Needs.Kernels();
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var text = new Text(inMemory, windowBlocks, before, queries, length, groups, heads, width) { TopK = topK, Mode = mode };
            foreach (var one in (Text[])[text, text with { Mass = 0.5 }, text with { MissCutoff = 0 }, text with { MissCutoff = 0.4 }, text with { MissCutoff = 1 }])
                Compare(one);
        }
    }

    [Theory]
    [InlineData(SelectionMode.PerTokenAndGroup)]
    [InlineData(SelectionMode.PerTokenAndHead)]
    [InlineData(SelectionMode.PerHead)]
    public void ScoresInPartsGiveTheSame(SelectionMode mode)
    {
        Needs.Kernels();
        // More scores than have room at a time: 4,000 queries of 32 heads over up to 2,200 blocks.
        var text = new Text(2000, 3, 100, 4000, 20, 4, 32, 16) { TopK = 4, Mode = mode };
        Compare(text);
        Compare(text with { Mass = 0.01 });
        Compare(text with { MissCutoff = 0.5 });
    }

    /// <summary>Of blocks that nobody retrieves nothing is read.</summary>
    [Fact]
    public void WhatIsDroppedIsNotRead()
    {
        Needs.Kernels();
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            using var scope = NewDisposeScope();
            var text = new Text(20, 3, 5, 300, 32, 2, 4, 64) { Mode = mode, MissCutoff = 1 };
            text.Blocks.narrow(0, 0, 20).fill_(double.NaN);
            text.Landmarks.narrow(1, 0, 20).fill_(double.NaN);
            var got = text.Retrieve();
            Assert.True(got.Output.isfinite().all().item<bool>());
            Assert.True(got.Chosen!.eq(-1).all().item<bool>());
            Assert.True(got.Gates!.eq(0).all().item<bool>());
        }
    }

    /// <summary>The master test: with k ≥ the blocks there are, it is dense landmark attention.</summary>
    [Fact]
    public void EverythingRetrievedIsDense()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(0, 2, 0, 900, 64, 2, 4, 128) { TopK = 50 };
        var got = text.Retrieve();
        using var layout = BlockLayout.Regular(900, 900, 64, 64);
        var expected = LandmarkAttention.Attend(
            text.Rotary.Rotate(text.Queries, arange(900)).unsqueeze(0), text.Positions(0, true).unsqueeze(0), text.Positions(1, false).unsqueeze(0),
            layout, 1 / Math.Sqrt(128));
        Assert.InRange(Error(got.Output.cpu(), expected.squeeze(0)), 0, 8e-3);
    }

    [Fact]
    public void TensorsMayBePartsOfOthers()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(20, 3, 5, 300, 32, 2, 4, 64);
        var plain = text.Retrieve();
        var wide = text.Retrieve(
            q => cat([q, q], 1).transpose(0, 1).contiguous().transpose(0, 1).narrow(1, 0, q.shape[1]),
            blocks => cat([blocks, zeros_like(blocks)]), landmarks => cat([landmarks, landmarks], 1));
        Assert.True(plain.Output.equal(wide.Output).all().item<bool>());
        Assert.Equal(1, wide.Output.transpose(0, 1).stride(2));
        Assert.True(wide.Output.transpose(0, 1).is_contiguous());
    }

    [Fact]
    public void EqualInputsGiveEqualBits()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(0, 3, 0, 6000, 64, 2, 4, 128);
        var (first, firstGates) = (text.Retrieve().Output, text.Retrieve().Gates!);
        for (var i = 0; i < 5; i++)
        {
            var again = text.Retrieve();
            Assert.True(first.equal(again.Output).all().item<bool>());
            Assert.True(firstGates.equal(again.Gates!).all().item<bool>());
        }
    }

    [Fact]
    public void TensorsOfOtherSizesAndTypesAreRefused()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(20, 3, 5, 300, 32, 2, 4, 64);
        foreach (var act in (Action[])[
            () => text.Retrieve(q => q.narrow(1, 0, 299)), () => text.Retrieve(q => q.@float()),
            () => text.Retrieve(blocks: b => b.narrow(0, 0, 29)), () => text.Retrieve(landmarks: x => x.narrow(1, 0, 29))])
            Assert.Throws<LandmarkException>(act);
        Assert.Throws<LandmarkException>(() => new CudaPrefill(-1, 3, 0, 1, 64, text.Rotary, new RetrievalOptions(), ScalarType.BFloat16, Cuda));
    }

    /// <summary>A model gone wrong must not take the process with it.</summary>
    [Fact]
    public void WhateverTheScoresOnlyBlocksThatAreThereAreRead()
    {
        Needs.Kernels();
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            using var scope = NewDisposeScope();
            var got = new Text(9, 3, 5, 300, 32, 2, 4, 64) { TopK = 4, Mode = mode }.Retrieve(q =>
            {
                q[1] = float.NaN;
                q[3, 1] = float.PositiveInfinity;
                return q;
            });
            var chosen = got.Chosen!.cpu();
            Assert.True(chosen.ge(0).all().item<bool>());
            Assert.True((chosen.narrow(2, 1, 3) > chosen.narrow(2, 0, 3)).all().item<bool>());
            Assert.InRange(chosen.max().item<long>(), 0, 17);
        }
    }

    [Fact]
    public void OthersAreNotServed()
    {
        var options = new RetrievalOptions();
        Assert.False(CudaPrefill.Serves(options, 128, 64, ScalarType.BFloat16, CPU));
        Assert.False(new PrefillShape(100, 64).FitsOn(new Version(9, 0)));
        Assert.False(new PrefillShape(128, 257).FitsOn(new Version(9, 0)));
        Assert.True(new PrefillShape(128, 64).FitsOn(new Version(8, 9)));
        Assert.True(new PrefillShape(128, 256).FitsOn(new Version(9, 0)));
        Assert.True(new PrefillShape(256, 64).FitsOn(new Version(8, 0)));
        Needs.Kernels();
        Assert.True(CudaPrefill.Serves(options, 128, 64, ScalarType.BFloat16, Cuda));
        Assert.True(CudaPrefill.Serves(options with { Mass = 0.5 }, 128, 64, ScalarType.BFloat16, Cuda));
        Assert.True(CudaPrefill.Serves(options with { MissCutoff = 0.5 }, 128, 64, ScalarType.BFloat16, Cuda));
        Assert.False(CudaPrefill.Serves(options, 128, 64, ScalarType.Float32, Cuda));
        Assert.False(CudaPrefill.Serves(options with { Positions = PositionMode.True }, 128, 64, ScalarType.BFloat16, Cuda));
    }

    private static void Compare(Text text)
    {
        Assert.SkipUnless(CudaPrefill.Serves(text.Options with { Reference = false }, text.Width, text.Length, text.Type, Cuda), "The card has too little shared memory.");
        using var scope = NewDisposeScope();
        var got = text.Retrieve();
        var (output, chosen, gates) = (got.Output.cpu(), got.Chosen?.cpu(), got.Gates?.cpu());
        var bound = text.Type == ScalarType.BFloat16 ? 5e-3 : 1e-3;
        double wrong = 0, size = 0;
        long other = 0, all = 0;
        for (var from = 0; from < text.QueryCount;)
        {
            using var part = NewDisposeScope();
            var (window, end) = text.WindowAt(from);
            var count = end - from;
            var m = text.InMemory + (window * text.WindowBlocks);
            var first = text.Before + from - (window * text.WindowBlocks * text.Length);
            using var reference = new ReferenceRetrieval(
                m, BlockLayout.Regular(first + count, count, text.Length, text.Length), text.Rotary, text.Options, ScalarType.Float64);
            var expected = reference.Attend(
                text.Queries.narrow(1, from, count), text.Blocks, text.Landmarks, text.Tied, miss: text.MissCutoff is null ? null : text.Miss);
            var same = ones([text.Heads, count], ScalarType.Bool);
            if (expected.Chosen is { } blocks)
            {
                var k = (int)blocks.shape[2];
                var mine = chosen!.narrow(1, from, count);
                Assert.True(mine.narrow(2, k, mine.shape[2] - k).eq(-1).all().item<bool>());
                same = mine.narrow(2, 0, k).eq(blocks).all(-1);                             // [H, T']
                var differ = (gates!.narrow(1, from, count).narrow(2, 0, k) - expected.Gates!).abs().amax([-1]) * same.to(ScalarType.Float64);
                Assert.InRange(differ.max().item<double>(), 0, text.Type == ScalarType.BFloat16 ? 3e-2 : 5e-3);
            }
            // Scores as good as equal may be told apart otherwise.
            other += same.logical_not().sum().item<long>();
            all += same.numel();
            var weight = same.to(ScalarType.Float64).unsqueeze(-1);
            wrong += ((output.narrow(1, from, count).@double() - expected.Output) * weight).square().sum().item<double>();
            size += (expected.Output * weight).square().sum().item<double>();
            from = end;
        }
        Assert.True(Math.Sqrt(wrong / Math.Max(size, 1e-9)) <= bound, $"{text}: error {Math.Sqrt(wrong / size)} over {bound}");
        Assert.True(other <= Math.Max(text.Sharing, all / 200), $"{text}: {other} of {all} queries read other blocks");
    }

    /// <summary>Root mean square of the difference over that of what is expected.</summary>
    private static double Error(Tensor found, Tensor expected) =>
        Math.Sqrt((found.@double() - expected).square().sum().item<double>() / expected.square().sum().item<double>());

    /// <summary>A text in blocks, rounded to 16 bits and kept in float64, and queries at some of its positions.</summary>
    private sealed record Text(
        int InMemory, int WindowBlocks, int Before, int QueryCount, int Length, int Groups, int Heads, int Width)
    {
        private (Tensor Q, Tensor Blocks, Tensor Landmarks, Tensor Miss)? made;

        public int Seed { get; init; } = 7;

        public int TopK { get; init; } = 4;

        public SelectionMode Mode { get; init; }

        public bool Tied { get; init; }

        public ScalarType Type { get; init; } = ScalarType.BFloat16;

        public double? Mass { get; init; }

        public double? MissCutoff { get; init; }

        public Rotary Rotary { get; } = new RotaryScaling().Create(Width);

        public RetrievalOptions Options => new()
        {
            TopK = TopK,
            Selection = Mode,
            WindowBlocks = WindowBlocks,
            Mass = Mass,
            MissCutoff = MissCutoff,
            Reference = true,
        };

        public Tensor Queries => Made().Q;

        public Tensor Blocks => Made().Blocks;

        public Tensor Landmarks => Made().Landmarks;

        public Tensor Miss => Made().Miss;

        /// <summary>Heads and queries that share one choice.</summary>
        public int Sharing => Mode switch
        {
            SelectionMode.PerHead => WindowBlocks * Length,
            SelectionMode.PerToken => Heads,
            SelectionMode.PerTokenAndGroup => Heads / Groups,
            _ => 1,
        };

        private int BlockCount => InMemory + ((Before + QueryCount + Length - 1) / Length);

        /// <summary>The window of a query, and the first query after it.</summary>
        public (int Window, int End) WindowAt(int query)
        {
            var window = (Before + query) / (WindowBlocks * Length);
            return (window, Math.Min(QueryCount, ((window + 1) * WindowBlocks * Length) - Before));
        }

        /// <summary>Keys (0) or values (1) of a text whose queries begin with it, [G, T, d]; keys rotated to their positions, landmarks among them.</summary>
        public Tensor Positions(int which, bool rotated)
        {
            var regular = Blocks.select(2, which).transpose(0, 1);                          // [G, n, ℓ, d]
            var whole = cat([regular, Landmarks.unsqueeze(2)], 2);                          // [G, n, L, d]
            if (rotated) whole = Rotary.Rotate(whole, (arange(BlockCount) * Length).view(1, -1, 1));
            return whole.flatten(1, 2).narrow(1, 0, QueryCount);
        }

        public Retrieved Retrieve(Func<Tensor, Tensor>? q = null, Func<Tensor, Tensor>? blocks = null, Func<Tensor, Tensor>? landmarks = null)
        {
            using var scope = NewDisposeScope();
            using var prefill = new CudaPrefill(
                InMemory, WindowBlocks, Before, QueryCount, Length, Rotary, Options with { Reference = false }, Type, Cuda);
            Tensor Put(Tensor x, Func<Tensor, Tensor>? change)
            {
                var there = x.to(Type).to(Cuda);
                return change is null ? there : change(there);
            }
            // What comes after the last query is not written yet, and may be anything.
            var (held, marks) = (Blocks.clone(), Landmarks.clone());
            var last = (Before + QueryCount - 1) % Length;
            if (last < Length - 2) held[BlockCount - 1].narrow(2, last + 1, Length - 2 - last).fill_(double.NaN);
            if (last < Length - 1) marks.select(1, BlockCount - 1).fill_(double.NaN);
            var got = prefill.Attend(
                Put(Queries, q), Put(held, blocks), Put(marks, landmarks), Tied, miss: MissCutoff is null ? null : Put(Miss, null));
            return new Retrieved(
                got.Output.MoveToOuterDisposeScope(), got.Chosen?.MoveToOuterDisposeScope(), got.Gates?.MoveToOuterDisposeScope());
        }

        private (Tensor Q, Tensor Blocks, Tensor Landmarks, Tensor Miss) Made()
        {
            if (made is { } there) return there;
            using var random = new Generator((ulong)Seed, CPU);
            Tensor Make(double size, params long[] shape) => (randn(shape, generator: random) * size).to(Type).@double();
            var (q, blocks, landmarks) = (Make(1.5, Heads, QueryCount, Width), Make(1, BlockCount, Groups, 2, Length - 1, Width), Make(1, Groups, BlockCount, Width));
            var miss = Make(2, Groups, Width);
            if (Tied) landmarks.copy_(landmarks.narrow(1, 0, 1).clone());                   // one key for all
            // Longer than the scope of whoever asked first.
            made = (q.DetachFromDisposeScope(), blocks.DetachFromDisposeScope(), landmarks.DetachFromDisposeScope(), miss.DetachFromDisposeScope());
            return made.Value;
        }
    }
}
