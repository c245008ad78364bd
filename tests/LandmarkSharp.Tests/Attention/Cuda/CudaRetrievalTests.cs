using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>
/// The decode kernels against the reference in float64 on the same rounded inputs, and their choices against the rule. On a
/// CPU tests/KernelEmulation checks the same kernels.
/// </summary>
public sealed class CudaRetrievalTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    // Few, for each is compiled.
    private static readonly (ScalarType Type, int HeadDim, int Repeat)[] Compiled =
    [
        (ScalarType.BFloat16, 128, 4), (ScalarType.Float16, 128, 4), (ScalarType.Float32, 128, 4), (ScalarType.Float32, 64, 1),
        (ScalarType.BFloat16, 64, 1), (ScalarType.Float16, 88, 3), (ScalarType.Float32, 256, 12), (ScalarType.BFloat16, 8, 5),
    ];

    private static readonly double[] Cutoffs = [0, 0.3, 1];     // none are dropped, some, all

    public CudaRetrievalTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        Needs.Kernels();
        Gen.Select(
            Gen.Int[0, Compiled.Length - 1], Gen.Int[0, 300], Gen.Int[1, 150], Gen.Int[1, 3], Gen.Int[2, 40], Gen.Int[0, 1 << 30]).Sample(
            (which, inMemory, keys, groups, length, seed) =>
            {
                using var scope = NewDisposeScope();
                var (kernel, random) = (Compiled[which], new Random(seed));
                var options = Ending(random, new RetrievalOptions { TopK = random.Next(1, 40), Selection = (SelectionMode)random.Next(4) });
                var memory = new DecodeMemory(new(inMemory, keys), groups, kernel.Repeat, kernel.HeadDim, length, kernel.Type, seed);
                Compare(memory, options, tied: random.Next(4) == 0);
            },
            iter: 200, threads: 1);
    }

    [Theory]
    [InlineData(0, 1, 1, 1, 8, 2, 1)]               // the query alone
    [InlineData(16, 64, 8, 4, 128, 64, 16)]         // all are read; the query is a landmark
    [InlineData(17, 65, 8, 4, 128, 64, 16)]
    [InlineData(500, 192, 8, 4, 128, 64, 16)]
    [InlineData(300, 30, 2, 7, 120, 9, 256)]
    [InlineData(40, 700, 1, 1, 256, 257, 3)]
    [InlineData(5000, 3, 1, 16, 64, 3, 5)]
    public void CornersEqualTheReference(int inMemory, int keys, int groups, int repeat, int headDim, int length, int k)
    {
        Needs.Kernels();
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            using var scope = NewDisposeScope();
            var memory = new DecodeMemory(new(inMemory, keys), groups, repeat, headDim, length, ScalarType.Float32, inMemory);
            var options = new RetrievalOptions { TopK = k, Selection = mode };
            foreach (var one in (RetrievalOptions[])[options, options with { Mass = 0.5 }, .. Cutoffs.Select(x => options with { MissCutoff = x })])
                Compare(memory, one, tied: false);
        }
    }

    /// <summary>With k ≥ the blocks in memory, retrieved attention is dense landmark attention.</summary>
    [Theory]
    [InlineData(7, 100)]
    [InlineData(0, 16)]
    [InlineData(3, 17)]
    public void EverythingRetrievedIsDense(int inMemory, int keys)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var (length, heads, groups, width) = (16, 6, 2, 64);
        var (tokens, blocks) = ((inMemory * length) + keys, inMemory + ((keys + length - 1) / length));
        var memory = new DecodeMemory(new(inMemory, keys), groups, heads / groups, width, length, ScalarType.Float32, 1);
        var (k, v) = (randn(groups, tokens, width), randn(groups, tokens, width));
        Tensor Padded(Tensor x) => cat([x, zeros(groups, (blocks * length) - tokens, width)], 1).view(groups, blocks, length, width);
        var local = Padded(memory.Rotary.Rotate(k, arange(tokens) % length));
        memory.Blocks = stack([local, Padded(v)], 2).narrow(3, 0, length - 1).transpose(0, 1).contiguous();
        memory.Landmarks = local.select(2, length - 1).contiguous();

        using var layout = BlockLayout.Regular(tokens, 1, length, length);
        var q = memory.Rotary.Rotate(memory.Q, tensor(tokens - 1L)).unsqueeze(0);
        var dense = LandmarkAttention.Attend(
            q.@double(), memory.Rotary.Rotate(k, arange(tokens)).unsqueeze(0).@double(), v.unsqueeze(0).@double(), layout,
            1 / Math.Sqrt(width));
        Close(dense.squeeze(0), memory.Found(new RetrievalOptions { TopK = inMemory + 1 }).Output.cpu(), 1e-5);
    }

    /// <summary>Values name their block, so that the output tells which blocks were read; few kinds of landmarks make ties.</summary>
    [Theory]
    [InlineData(SelectionMode.PerTokenAndGroup, 100, 9, 3, false)]
    [InlineData(SelectionMode.PerTokenAndGroup, 100, 9, 100, false)]
    [InlineData(SelectionMode.PerTokenAndGroup, 100, 9, 100, true)]
    [InlineData(SelectionMode.PerTokenAndHead, 100, 9, 3, false)]
    [InlineData(SelectionMode.PerTokenAndHead, 90, 30, 1, false)]
    [InlineData(SelectionMode.PerToken, 100, 64, 2, false)]
    [InlineData(SelectionMode.PerToken, 77, 5, 77, false)]
    [InlineData(SelectionMode.PerHead, 100, 1, 5, false)]
    [InlineData(SelectionMode.PerHead, 100, 17, 100, true)]
    public void TheBestAreReadAndOfEqualsTheLater(SelectionMode mode, int inMemory, int k, int kinds, bool tied)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var options = new RetrievalOptions { TopK = k, Selection = mode };
        var (memory, kind) = WithKinds(new(inMemory, 20), groups: 2, repeat: 4, headDim: 128, length: 8, kinds, seed: inMemory + k);
        memory.Blocks[.., .., 1] = eye(memory.Blocks.shape[0], 128).view(-1, 1, 1, 128);
        var found = memory.Found(options, tied);
        var chosen = CheckChosen(memory, options, tied, kind, found);
        var (output, gates) = (found.Output.cpu(), found.Gates!.cpu());
        for (var h = 0; h < 8; h++)
        {
            var read = output[h, 0].data<float>().ToArray()[..inMemory].Select((x, b) => (x, b)).Where(p => p.x > 0).Select(p => (long)p.b);
            Assert.Equal(chosen[h], read);
            Close(gates[h, 0], output[h, 0].index_select(0, tensor(chosen[h])), 1e-6);
        }
    }

    /// <summary>So many blocks that the choice has its keys in shared memory, and more than fit there.</summary>
    [Theory]
    [InlineData(2047, 16, 2047)]
    [InlineData(20_000, 16, 7)]
    [InlineData(20_001, 256, 20_001)]
    [InlineData(70_002, 200, 70_002)]
    [InlineData(70_001, 100, 3)]
    public void ManyBlocksAreChosenFrom(int inMemory, int k, int kinds)
    {
        Needs.Kernels();
        foreach (var tied in (bool[])[false, true])
        {
            using var scope = NewDisposeScope();
            var options = new RetrievalOptions { TopK = k };
            var (memory, kind) = WithKinds(new(inMemory, 2), groups: 1, repeat: 4, headDim: 16, length: 2, kinds, seed: k);
            CheckChosen(memory, options, tied, kind, memory.Found(options, tied));
        }
    }

    [Fact]
    public void ABatchOfDifferentLengthsEqualsEachAlone()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var random = new Random(3);
        DecodeMemory[] memories = [.. Enumerable.Range(0, 20).Select(i => new DecodeMemory(
            new(i * i * 2, random.Next(1, 60)), 2, 4, 64, 16, ScalarType.BFloat16, i))];
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var options = new RetrievalOptions { TopK = 12, Selection = mode };
            using var together = new CudaRetrieval(
                [.. memories.Select(m => m.Place)], 16, memories[0].Rotary, options, ScalarType.BFloat16, Cuda);
            var q = stack([.. memories.Select(m => m.Q.squeeze(1))]).to(ScalarType.BFloat16).to(Cuda);
            DecodeBlocks[] held = [.. memories.Select(m => m.Held())];
            for (var layer = 0; layer < 2; layer++)     // the second finds the room as the first left it
            {
                var all = together.Attend(q, held, tied: layer == 0);
                Assert.Equal([20, 8, 12], all.Chosen!.shape);
                for (var i = 0; i < memories.Length; i++)
                {
                    var alone = memories[i].Found(options, tied: layer == 0);
                    Close(alone.Output.cpu().squeeze(1).@double(), all.Output[i].cpu().@double(), 1e-2);
                    var count = Math.Min(12, memories[i].Place.InMemory);
                    Assert.Equal(count == 0 ? [] : Numbers(alone.Chosen!), Numbers(all.Chosen[i, .., ..count]));
                    Assert.All(Numbers(all.Chosen[i, .., count..]), b => Assert.Equal(-1, b));
                    if (count > 0) Close(alone.Gates!.cpu().squeeze(1), all.Gates![i, .., ..count].cpu(), 1e-4);
                    if (count < 12) Close(zeros(8, 12 - count), all.Gates![i, .., count..].cpu(), 0);
                }
            }
        }
    }

    [Fact]
    public void BlocksInPinnedMemoryEqualThoseOnTheDevice()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var memory = new DecodeMemory(new(300, 70), 4, 4, 128, 64, ScalarType.BFloat16, 8);
        var options = new RetrievalOptions { TopK = 16 };
        var (device, host) = (memory.Found(options), memory.Found(options, pinned: true));
        Assert.True(device.Output.equal(host.Output).all().item<bool>());
        Assert.Equal(Numbers(device.Chosen!), Numbers(host.Chosen!));

        using var attention = new CudaRetrieval([memory.Place], 64, memory.Rotary, options, ScalarType.BFloat16, Cuda);
        var (q, pageable) = (memory.Q.to(ScalarType.BFloat16).to(Cuda), memory.Blocks.to(ScalarType.BFloat16));
        Assert.Contains("pin_memory", Assert.Throws<LandmarkException>(
            () => attention.Attend(q, pageable, memory.Held().Landmarks, tied: false)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RetrievedAttentionTakesItUnlessTheReferenceIsForced()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var memory = new DecodeMemory(new(50, 20), 2, 2, 64, 8, ScalarType.Float32, 2);
        var (q, held) = (memory.Q.to(Cuda), memory.Held());
        Retrieved Attend(bool reference)
        {
            var options = new RetrievalOptions { TopK = 5, Reference = reference };
            using var attention = new RetrievedAttention(50, 20, 1, 8, memory.Rotary, options, ScalarType.Float32, Cuda);
            return attention.Attend(q, held.Blocks, held.Landmarks, tied: false);
        }
        var (ours, reference) = (Attend(false), Attend(true));
        Assert.Equal(reference.Output.shape, ours.Output.shape);
        Assert.Equal(reference.Chosen!.shape, ours.Chosen!.shape);
        Assert.Equal(reference.Gates!.shape, ours.Gates!.shape);
        Close(reference.Output.cpu(), ours.Output.cpu(), 1e-4);
        Assert.Equal(Numbers(reference.Chosen), Numbers(ours.Chosen));
    }

    [Fact]
    public void WhateverTheScoresOnlyBlocksThatAreThereAreRead()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var memory = new DecodeMemory(new(60, 20), 2, 2, 64, 8, ScalarType.Float32, 2);
        memory.Q[1] = float.NaN;
        memory.Q[2] = float.PositiveInfinity;
        memory.Landmarks[0, 4] = float.NaN;
        foreach (var mode in Enum.GetValues<SelectionMode>())
        {
            var found = memory.Found(new RetrievalOptions { TopK = 7, Selection = mode });
            foreach (var row in Numbers(found.Chosen!).Chunk(7))
                Assert.Equal(row.Where(b => b is >= 0 and < 60).Order().Distinct(), row);
        }
    }

    private static void Compare(DecodeMemory memory, RetrievalOptions options, bool tied)
    {
        var most = memory.Type switch { ScalarType.BFloat16 => 4e-3, ScalarType.Float16 => 6e-4, _ => 2e-5 };
        var (expected, found) = (memory.Expected(options, tied), memory.Found(options, tied));
        var same = ones([memory.Q.shape[0], 1, 1], ScalarType.Bool);
        if (expected.Chosen is { } chosen)
        {
            same = found.Chosen!.cpu().eq(chosen).all(-1, keepdim: true);                   // [H, 1, 1]
            var others = same.logical_not().sum().item<long>();
            // Rounding may decide between scores as good as equal.
            if (others > 0 && options is { EndsByMass: false, MissCutoff: null }) CheckNearlyBest(memory, options, tied, found);
            else Assert.True(others <= Sharing(options, memory), $"{memory.Type} {memory.Place} {options}: {others} heads have read other blocks");
        }
        var some = same.to(ScalarType.Float64);
        var difference = (found.Output.cpu().@double() - expected.Output) * some;
        var error = Math.Sqrt(difference.square().mean().item<double>() / Math.Max(1e-12, (expected.Output * some).square().mean().item<double>()));
        Assert.True(
            error <= most, $"{memory.Type} {memory.Place} [{string.Join(", ", memory.Blocks.shape)}] {options}: {error} over {most}");
        if (expected.Gates is { } gates) Close(gates * some, found.Gates!.cpu().@double() * some, 2e-5);
    }

    /// <summary>Heads that share a choice.</summary>
    private static long Sharing(RetrievalOptions options, DecodeMemory memory) => options.Selection switch
    {
        SelectionMode.PerTokenAndGroup => memory.Q.shape[0] / memory.Blocks.shape[1],
        SelectionMode.PerToken => memory.Q.shape[0],
        _ => 1,
    };

    /// <summary>The same options, or such as read fewer blocks than k, or none.</summary>
    private static RetrievalOptions Ending(Random random, RetrievalOptions options) => random.Next(3) switch
    {
        0 => options with { Mass = 0.05 + (0.95 * random.NextDouble()) },
        1 => options with { MissCutoff = random.Next(6) is < 2 and var end ? end : random.NextDouble() },
        _ => options,
    };

    private static void CheckNearlyBest(DecodeMemory memory, RetrievalOptions options, bool tied, Retrieved found)
    {
        var k = (int)found.Chosen!.shape[2];
        int[] kind = [.. Enumerable.Range(0, memory.Place.InMemory)];
        var scores = memory.Scores(options, tied, kind);
        foreach (var (h, row) in Numbers(found.Chosen).Chunk(k).Index())
        {
            var choice = scores[h / ((int)memory.Q.shape[0] / scores.Length)];
            Assert.Equal(row.Where(b => b >= 0).Order().Distinct(), row);
            var worst = row.Min(b => choice[b]);
            Assert.All(kind.Where(b => !row.Contains(b)), b => Assert.True(choice[b] <= worst + 1e-4));
        }
    }

    /// <summary>By the rule, exactly; what each head has read.</summary>
    private static long[][] CheckChosen(DecodeMemory memory, RetrievalOptions options, bool tied, int[] kind, Retrieved found)
    {
        var scores = memory.Scores(options, tied, kind);
        var heads = (int)memory.Q.shape[0];
        long[][] best = [.. scores.Select(choice => Enumerable.Range(0, choice.Length)
            .OrderByDescending(b => choice[b]).ThenByDescending(b => b).Take(options.TopK).Select(b => (long)b).Order().ToArray())];
        long[][] expected = [.. Enumerable.Range(0, heads).Select(h => best[h / (heads / scores.Length)])];
        Assert.Equal(expected.SelectMany(row => row), Numbers(found.Chosen!));
        return expected;
    }

    /// <summary>A memory in which so many different landmarks stand again and again; which one each block has.</summary>
    private static (DecodeMemory Memory, int[] Kind) WithKinds(
        DecodePlace place, int groups, int repeat, int headDim, int length, int kinds, int seed)
    {
        var memory = new DecodeMemory(place, groups, repeat, headDim, length, ScalarType.Float32, seed);
        var random = new Random(seed);
        int[] kind = [.. Enumerable.Range(0, (int)memory.Landmarks.shape[1]).Select(b => b < kinds ? b : random.Next(kinds))];
        memory.Landmarks = memory.Landmarks.index_select(1, tensor(kind.Select(i => (long)i).ToArray()));
        return (memory, kind);
    }

    private static long[] Numbers(Tensor x) => x.numel() == 0 ? [] : x.cpu().contiguous().data<long>().ToArray();
}
