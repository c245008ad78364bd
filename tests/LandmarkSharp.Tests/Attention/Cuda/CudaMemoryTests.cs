using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>A memory on a card, whose passes span windows: the exactness properties that hold on the CPU.</summary>
public sealed class CudaMemoryTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    public CudaMemoryTests() => LibTorch.Load();

    [Fact]
    public void HowTheTextIsCutChangesNoBit()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[2, 40], Gen.Int[1, 4], Gen.Int[1, 6], Gen.Int[3, 600], Gen.Int[0, 1 << 30])
            .Sample(
                (length, windowBlocks, topK, piece, seed) =>
                {
                    using var scope = NewDisposeScope();
                    var random = new Random(seed);
                    var text = new Text(random.Next(700, 1400), length, 64, seed)
                    {
                        Options = new RetrievalOptions
                        {
                            TopK = topK,
                            WindowBlocks = windowBlocks,
                            Selection = (SelectionMode)random.Next(3),      // a choice for all queries of a piece depends on the piece
                            Mass = seed % 3 == 0 ? 0.3 : null,
                            MissCutoff = seed % 3 == 1 ? 0.4 : null,
                        },
                    };
                    var same = text.Read(() => int.MaxValue).equal(text.Read(() => random.Next(2, piece + 1))).all(-1).all(0);
                    // A position alone, at a pass's end, is decoded, by kernels that round otherwise.
                    same.index_fill_(0, tensor(text.Alone.ToArray(), ScalarType.Int64), true);
                    Assert.True(same.all().item<bool>(), $"{text}");
                }, iter: 18, threads: 1);
    }

    [Fact]
    public void TokensReadOneByOneFindTheSame()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(700, 16, 64, 3) { Options = new RetrievalOptions { TopK = 3, WindowBlocks = 2 } };
        var (whole, single) = (text.Read(() => int.MaxValue).@double(), text.Read(() => 1).@double());
        // Scores as good as equal may be told apart otherwise: in hardly any row.
        var rows = (whole - single).square().sum(-1).sqrt() / whole.square().sum(-1).sqrt();            // [H, T]
        Assert.True(rows.le(2e-2).to(ScalarType.Float64).mean().item<double>() >= 0.99);
    }

    /// <summary>Tokens read at once, decoded one by one, and by the reference: as many are dropped, and the same comes out.</summary>
    [Theory]
    [InlineData(SelectionMode.PerTokenAndGroup, 0.4, null)]
    [InlineData(SelectionMode.PerTokenAndHead, 0.6, null)]
    [InlineData(SelectionMode.PerTokenAndGroup, null, 0.3)]
    [InlineData(SelectionMode.PerToken, null, 0.5)]
    public void WhatIsDroppedOrEndsEarlyIsTheSameForAll(SelectionMode mode, double? cutoff, double? mass)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var options = new RetrievalOptions { TopK = 4, WindowBlocks = 2, Selection = mode, MissCutoff = cutoff, Mass = mass };
        var text = new Text(700, 16, 64, 3) { Options = options };
        var counts = new (long Retrievals, long Dropped)[3];
        Tensor[] read =
        [
            text.Read(() => int.MaxValue, ended: memory => counts[0] = (memory.Retrievals, memory.Dropped)),
            text.Read(() => 1, ended: memory => counts[1] = (memory.Retrievals, memory.Dropped)),
            (text with { Options = options with { Reference = true } })
                .Read(() => int.MaxValue, ended: memory => counts[2] = (memory.Retrievals, memory.Dropped)),
        ];
        var exact = read[2].@double();
        foreach (var x in read[..2])
        {
            // Scores as good as equal may be told apart otherwise, and so may masses: in hardly any row.
            var rows = (x.@double() - exact).square().sum(-1).sqrt() / exact.square().sum(-1).sqrt();
            Assert.True(rows.le(2e-2).to(ScalarType.Float64).mean().item<double>() >= 0.97);
        }
        if (cutoff is null)
        {
            Assert.All(counts, c => Assert.Equal((0, 0), c));
            return;
        }
        Assert.All(counts, c => Assert.Equal(4 * (700 - 32), c.Retrievals));
        Assert.All(counts, c => Assert.InRange(c.Dropped, counts[0].Retrievals / 20, counts[0].Retrievals * 19 / 20));
        Assert.All(counts, c => Assert.InRange(c.Dropped, counts[2].Dropped * 0.97, counts[2].Dropped * 1.03));
    }

    [Theory]
    [InlineData(16, 3)]
    [InlineData(51, 1)]
    public void EverythingRetrievedIsDense(int length, int windowBlocks)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(900, length, 128, 5) { Options = new RetrievalOptions { TopK = 100, WindowBlocks = windowBlocks } };
        var (q, k, v) = text.Inputs;
        using var layout = BlockLayout.Regular(900, 900, length, length);
        var at = arange(900);
        var expected = LandmarkAttention.Attend(
            text.Rotary.Rotate(q.@double(), at).unsqueeze(0), text.Rotary.Rotate(k.@double(), at).unsqueeze(0), v.@double().unsqueeze(0),
            layout, 1 / Math.Sqrt(128)).squeeze(0);
        var error = (text.Read(() => int.MaxValue).@double() - expected).square().sum().item<double>() / expected.square().sum().item<double>();
        Assert.InRange(Math.Sqrt(error), 0, 1e-2);                                         // keys are rounded once more, turned to their blocks
    }

    [Fact]
    public void AQueryAloneInALaterWindowHasTheEarlierOnesAsItsMemory()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        using var random = new Generator(11, CPU);
        Tensor Make(params long[] sizes) => randn(sizes, generator: random).to(ScalarType.BFloat16).to(Cuda);
        var (q, blocks, landmarks) = (Make(4, 1, 64), Make(6, 2, 2, 7, 64), Make(2, 6, 64));
        var (rotary, options) = (new RotaryScaling().Create(64), new RetrievalOptions { TopK = 2 });
        using var several = new RetrievedAttention(0, 46, 1, 8, rotary, options, ScalarType.BFloat16, Cuda, windowBlocks: 2);
        using var last = new RetrievedAttention(4, 14, 1, 8, rotary, options, ScalarType.BFloat16, Cuda);
        var (found, expected) = (several.Attend(q, blocks, landmarks, tied: false), last.Attend(q, blocks, landmarks, tied: false));
        Assert.True(found.Chosen!.equal(expected.Chosen!).all().item<bool>());
        Assert.True(found.Output.allclose(expected.Output, 2e-2, 2e-2));
    }

    /// <summary>Windows that forget others are read one by one, by the same kernels.</summary>
    [Theory]
    [InlineData(16, 2)]
    [InlineData(51, 1)]
    public void ForgottenBlocksAreNotRead(int length, int windowBlocks)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var options = new RetrievalOptions { TopK = 3, WindowBlocks = windowBlocks, KeepBlocks = 5 };
        var text = new Text(1000, length, 64, 13) { Options = options };
        var (kernels, reference) = (text.Read(() => int.MaxValue), (text with { Options = options with { Reference = true } }).Read(() => int.MaxValue));
        // Scores as good as equal may be told apart otherwise: in hardly any row.
        var (a, b) = (kernels.@double(), reference.@double());
        var rows = (a - b).square().sum(-1).sqrt() / b.square().sum(-1).sqrt();            // [H, T]
        Assert.True(rows.le(2e-2).to(ScalarType.Float64).mean().item<double>() >= 0.98);
        List<(long Window, long Block)> read = [];
        var windows = 0L;
        text.Read(() => int.MaxValue, (_, seen) =>
        {
            if (seen.Chosen is { } chosen) read.AddRange(chosen.cpu().contiguous().data<long>().ToArray().Select(block => (windows, block)));
            windows++;
        });
        Assert.NotEmpty(read);
        Assert.All(read, r => Assert.InRange(r.Block, (r.Window * windowBlocks) - 5, (r.Window * windowBlocks) - 1));
    }

    [Fact]
    public void WhoWatchesIsToldOfEveryQuery()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var text = new Text(400, 8, 64, 9) { Options = new RetrievalOptions { TopK = 3, WindowBlocks = 2 } };
        List<Retrieved> seen = [];
        text.Read(() => int.MaxValue, (layer, read) =>
        {
            Assert.Equal(1, layer);
            seen.Add(new Retrieved(read.Output, read.Chosen!.cpu().DetachFromDisposeScope(), read.Gates!.cpu().DetachFromDisposeScope()));
        });
        using var chosen = Assert.Single(seen).Chosen!;
        using var gates = seen[0].Gates!;
        Assert.Equal([4, 400, 3], chosen.shape);
        var window = (arange(400).floor_divide(16) * 2).view(1, -1, 1);                     // blocks before each query's window
        Assert.True(chosen.lt(window).all().item<bool>());
        Assert.True(chosen.ge(0).sum(-1).eq(window.squeeze(-1).clamp_max(3)).all().item<bool>());
        Assert.True(gates.masked_select(chosen.lt(0)).eq(0).all().item<bool>());
        Assert.True(gates.masked_select(chosen.ge(0)).gt(0).all().item<bool>());
    }

    /// <summary>Queries, keys and values of a text in one layer, the second, where landmarks have keys of their own.</summary>
    private sealed record Text(int Positions, int Length, int Width, int Seed)
    {
        public RetrievalOptions Options { get; init; } = new();

        public Rotary Rotary { get; } = new RotaryScaling().Create(Width);

        /// <summary>Positions that were read in passes of their own.</summary>
        public List<long> Alone { get; } = [];

        /// <summary>[4, S, d], [2, S, d] and [2, S, d].</summary>
        public (Tensor Q, Tensor K, Tensor V) Inputs
        {
            get
            {
                using var random = new Generator((ulong)Seed, CPU);
                Tensor Make(int heads) => randn([heads, Positions, Width], generator: random).to(ScalarType.BFloat16);
                return (Make(4), Make(2), Make(2));
            }
        }

        /// <summary>Reads it in passes of so many positions, or as many as a pass takes: [4, S, d].</summary>
        public Tensor Read(Func<int> next, ReadObserver? observer = null, Action<BlockMemory>? ended = null)
        {
            var (q, k, v) = Inputs;
            using var random = new Generator((ulong)Seed + 1, CPU);
            Tensor[]? miss = Options.MissCutoff is null ? null
                : [.. Enumerable.Range(0, 2).Select(_ => (randn([2, Width], generator: random) * 2).to(ScalarType.BFloat16).to(Cuda).DetachFromDisposeScope())];
            var (queries, keys, values) = (q.to(Cuda).unsqueeze(0), k.to(Cuda).unsqueeze(0), v.to(Cuda).unsqueeze(0));
            using var memory = new BlockMemory(2, Length, 1024, Rotary, Options, ScalarType.BFloat16, Cuda, miss) { Observer = observer };
            List<Tensor> parts = [];
            for (int from = 0, count; from < Positions; from += count)
            {
                count = Math.Min(Math.Min(next(), memory.Room), Positions - from);
                if (count == 1) Alone.Add(from);
                memory.Begin(count);
                parts.Add(memory.Attend(1, queries.narrow(2, from, count), keys.narrow(2, from, count), values.narrow(2, from, count)));
                memory.End();
            }
            ended?.Invoke(memory);
            return cat(parts, 2).squeeze(0).cpu();
        }
    }
}
