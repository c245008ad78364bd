using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>What each layer and head read for a generated token.</summary>
public sealed class TokenReadsTests
{
    [Fact]
    public void EveryHeadsMassesAreAllItsAttention() => Sample((engine, _, reads) =>
    {
        var (landmark, options) = (engine.Config.Landmark!, engine.Retrieval!);
        Assert.Contains(reads, r => r.Blocks.Any());
        foreach (var token in reads)
        {
            Assert.InRange(token.Queries, 1, 2);
            Assert.Equal(0, token.WindowBlock % options.WindowBlocks);
            Assert.Equal(engine.Config.Layers, token.Layers.Count);
            foreach (var read in token.Layers.SelectMany(heads => heads))
            {
                Assert.Equal(1, read.Window + read.Masses.Sum(m => (double)m), 1e-6);
                Assert.InRange(read.Window, 0, 1);
                Assert.All(read.Masses, m => Assert.InRange(m, 0, 1));
                Assert.Equal(read.Blocks.Distinct().Order(), read.Blocks);
                Assert.All(read.Blocks, b => Assert.InRange(b, 0, token.WindowBlock - 1));
                Assert.InRange(read.Blocks.Count, Math.Min(options.TopK, token.WindowBlock), options.TopK * token.Queries);
            }
            Assert.All(token.Layers, heads => Assert.Equal(engine.Config.Heads, heads.Count));
        }
        if (landmark.BlockTokens < 6) Assert.Contains(reads, r => r.Queries == 2);
    });

    [Fact]
    public void SumsAreThoseOfTheAnswersTrace() => Sample((engine, trace, reads) =>
    {
        var (block, layers, heads) = (engine.Config.Landmark!.BlockTokens, engine.Config.Layers, engine.Config.Heads);
        var whole = ReadSum.Of(block, reads);
        Same(trace.Blocks, whole.Blocks);
        Assert.Equal(trace.WindowMass, whole.WindowMass, 1e-6);

        // Layers weigh alike, and so do the heads of one.
        Assert.Equal(whole.WindowMass, Enumerable.Range(0, layers).Average(l => ReadSum.Of(block, reads, layer: l).WindowMass), 1e-6);
        Assert.Equal(
            ReadSum.Of(block, reads, layer: 1).WindowMass,
            Enumerable.Range(0, heads).Average(h => ReadSum.Of(block, reads, layer: 1, head: h).WindowMass), 1e-6);
        var one = ReadSum.Of(block, [reads[0]], layer: 1, head: 2);
        Assert.Equal(reads[0].Layers[1][2].Window, one.WindowMass, 1e-6);
        Assert.Equal(
            reads[0].Layers[1][2].Blocks.Zip(reads[0].Layers[1][2].Masses).OrderByDescending(b => b.Second).Select(b => b.First),
            one.Blocks.Select(b => b.Block));
        Assert.Contains("no layer 2; they are numbered from 0 to 1", Assert.Throws<LandmarkException>(
            () => ReadSum.Of(block, reads, layer: 2)).Message, StringComparison.Ordinal);
    });

    /// <summary>With k as large as the blocks there are, a mass is the gate of one dense pass over the text.</summary>
    [Fact]
    public void MassesAreTheGatesOfADensePassWhenAllBlocksAreRead() =>
        Gen.Select(Gen.Int[2, 6], Gen.Int[1, 60]).Sample(
            (block, length) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block), new RetrievalOptions { TopK = 100, WindowBlocks = 1 });
                var tokens = TinyModel.Tokens(length);
                using var session = engine.NewSession();
                session.Append(tokens);
                var reads = Assert.Single(session.Generate(Recorded(1))).Reads!;
                var input = TinyModel.WithLandmarks(engine.Config, tokens);
                var scores = Scores.Of(engine.Decoder, input);
                for (var layer = 0; layer < engine.Config.Layers; layer++)
                    for (var head = 0; head < engine.Config.Heads; head++)
                    {
                        var expected = Enumerable.Range(0, reads.Queries).Select(back =>
                            Gates(scores[layer], head, input.Length - 1 - back, block + 1)).ToArray();
                        var read = reads.Layers[layer][head];
                        Assert.Equal(Enumerable.Range(0, (int)reads.WindowBlock).Select(b => (long)b), read.Blocks);
                        foreach (var (b, mass) in read.Blocks.Zip(read.Masses)) Assert.Equal(expected.Average(e => e[b]), mass, 1e-4);
                    }
            },
            iter: 30, threads: 1);

    /// <summary>And a token's share is that gate times the softmax over its block's scores (landmark-attention.md 1.3).</summary>
    [Fact]
    public void SharesOfTokensAreThoseOfADensePassWhenAllBlocksAreRead() =>
        Gen.Select(Gen.Int[2, 6], Gen.Int[1, 60], Gen.Enum<PositionMode>()).Sample(
            (block, length, positions) =>
            {
                using var engine = TinyEngine.Create(
                    TinyModel.Config(block), new RetrievalOptions { TopK = 100, WindowBlocks = 1, Positions = positions });
                var tokens = TinyModel.Tokens(length);
                using var session = engine.NewSession();
                session.Append(tokens);
                var reads = Assert.Single(session.Generate(Recorded(1) with { RecordTokenShares = true })).Reads!;
                var input = TinyModel.WithLandmarks(engine.Config, tokens);
                var scores = Scores.Of(engine.Decoder, input);
                Assert.Equal(Enumerable.Range(0, (int)reads.WindowBlock).Select(b => (long)b), reads.TokenShares!.Keys.Order());
                foreach (var (b, shares) in reads.TokenShares)
                {
                    var expected = new double[block];
                    var (count, all) = (0, Enumerable.Range(0, engine.Config.Layers).SelectMany(l => Enumerable.Range(0, engine.Config.Heads), (l, h) => (l, h)));
                    foreach (var (layer, head) in all)
                    {
                        for (var back = 0; back < reads.Queries; back++, count++)
                        {
                            var place = input.Length - 1 - back;
                            var own = Enumerable.Range(0, block).Select(j => scores[layer][head, place, (int)b * (block + 1) + j]).ToArray();
                            var gate = Gates(scores[layer], head, place, block + 1)[b] / own.Sum(s => Math.Exp(s - own.Max()));
                            for (var j = 0; j < block; j++) expected[j] += gate * Math.Exp(own[j] - own.Max());
                        }
                    }
                    Assert.All(expected.Zip(shares), x => Assert.Equal(x.First / count, x.Second, 1e-4));
                }
            },
            iter: 30, threads: 1);

    [Fact]
    public void SharesOfABlocksTokensAddUpToItsMass() =>
        Gen.Select(Gen.Int[1, 8], Gen.Int[30, 90], Gen.Int[1, 3], Gen.Enum<SelectionMode>(), Gen.Bool, Gen.Bool).Sample(
            (block, length, k, mode, ends, whole) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block), new RetrievalOptions
                {
                    TopK = k,
                    WindowBlocks = 2,
                    Selection = mode,
                    Mass = ends ? 0.5 : null,
                    BlockType = whole ? null : ScalarType.Int8,
                    KeepBlocks = whole ? null : 7,
                });
                using var session = engine.NewSession();
                session.Append(TinyModel.Tokens(length));
                foreach (var token in session.Generate(Recorded(8) with { RecordTokenShares = true }))
                {
                    var masses = ReadSum.Of(block, [token.Reads!]).Blocks.ToDictionary(b => b.Block, b => b.Mass);
                    Assert.Equal(masses.Keys.Order(), token.Reads!.TokenShares!.Keys.Order());
                    Assert.All(token.Reads.TokenShares, s => Assert.Equal(masses[s.Key], s.Value.Sum(), 1e-5));
                }
            },
            iter: 20, threads: 1);

    [Fact]
    public void NothingIsRecordedThatIsNotAskedFor()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(40));
        Assert.All(session.Generate(Recorded(3)), t => Assert.Null(t.Reads!.TokenShares));
        Assert.All(session.Generate(Recorded(3) with { RecordReads = false }), t => Assert.Null(t.Reads));
        Assert.Contains("ask for both", Assert.Throws<LandmarkException>(
            () => session.Generate(new GenerationOptions { RecordTokenShares = true })).Message, StringComparison.Ordinal);
    }

    /// <summary>The mark that ends an answer is no part of the text: asked again, the model says it again without reading.</summary>
    [Fact]
    public void WhatIsKnownAlreadyIsReadFromNothing()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3) with { EosIds = [.. Enumerable.Range(0, TinyModel.Vocabulary)] });
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(40));
        TokenReads Next() => Assert.Single(session.Generate(Recorded(1) with { StopAtEndOfText = true })).Reads!;
        Assert.True(Next() is { Queries: > 0 } first && first.Blocks.Any());
        var again = Next();
        Assert.Equal(0, again.Queries);
        Assert.Empty(again.Blocks);
        Assert.Equal(1, ReadSum.Of(3, [again]).WindowMass);
    }

    [Fact]
    public void RecordingLeavesNoTensors()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(3));
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(40));
        long Left()
        {
            using var scope = NewDisposeScope();
            Assert.Equal(5, session.Generate(Recorded(5) with { RecordTokenShares = true }).Count());
            return scope.DisposablesCount;
        }
        Assert.Equal(0, Left());
    }

    [Fact]
    public void AModelWithoutLandmarksHasNoReads()
    {
        using var engine = TinyEngine.Create(TinyModel.Plain());
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(40));
        Assert.Contains("no blocks of it", Assert.Throws<LandmarkException>(() => session.Generate(Recorded(1))).Message, StringComparison.Ordinal);
    }

    /// <summary>Where blocks are forgotten and a retrieval is dropped, no block was read: not one of mass 0 either.</summary>
    [Fact]
    public void ADroppedRetrievalReadsNoBlock()
    {
        using var engine = TinyEngine.Create(
            TinyModel.WithMiss(TinyModel.Config(4)), new RetrievalOptions { TopK = 2, WindowBlocks = 1, KeepBlocks = 3, MissCutoff = 1 });
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(80).Select(t => t % 30).ToArray());
        Assert.All(session.Generate(Recorded(4)), t => Assert.Empty(t.Reads!.Blocks));
        Assert.Empty(session.Trace.Blocks);
        Assert.Equal((1, 1), (session.Trace.WindowMass, session.Trace.DroppedShare));
    }

    private static GenerationOptions Recorded(int tokens) => new() { MaxTokens = tokens, StopAtEndOfText = false, RecordReads = true };

    private static void Sample(Action<LandmarkEngine, RetrievalTrace, TokenReads[]> check) =>
        Gen.Select(Gen.Int[1, 8], Gen.Int[30, 90], Gen.Enum<LandmarkLoss>(), Gen.Int[1, 3], Gen.Enum<SelectionMode>()).Sample(
            (block, length, policy, k, mode) =>
            {
                using var engine = TinyEngine.Create(
                    TinyModel.Config(block, loss: policy), new RetrievalOptions { TopK = k, WindowBlocks = 2, Selection = mode });
                using var session = engine.NewSession();
                session.Append(TinyModel.Tokens(length));
                TokenReads[] reads = [.. session.Generate(Recorded(12)).Select(t => t.Reads!)];
                check(engine, session.Trace, reads);
            },
            iter: 20, threads: 1);

    private static void Same(IReadOnlyList<BlockMass> expected, IReadOnlyList<BlockMass> actual)
    {
        Assert.Equal(expected.Select(b => b.Block).Order(), actual.Select(b => b.Block).Order());
        var masses = actual.ToDictionary(b => b.Block);
        Assert.All(expected, b => Assert.Equal(b.Mass, masses[b.Block].Mass, 1e-6));
        Assert.All(expected, b => Assert.Equal((b.FirstToken, b.TokenCount), (masses[b.Block].FirstToken, masses[b.Block].TokenCount)));
    }

    /// <summary>P of each earlier block for a query at a place, by the definition (landmark-attention.md 1.3).</summary>
    private static double[] Gates(float[,,] scores, int head, int place, int length)
    {
        var own = place / length;
        var seen = Enumerable.Range(0, own).Select(b => (b * length) + length - 1)
            .Concat(Enumerable.Range(own * length, place - (own * length) + 1).Where(j => j % length != length - 1)).ToArray();
        var most = seen.Max(j => scores[head, place, j]);
        var sum = seen.Sum(j => Math.Exp(scores[head, place, j] - most));
        return [.. seen.Take(own).Select(j => Math.Exp(scores[head, place, j] - most) / sum)];
    }

    /// <summary>Every layer's scores in a dense pass, [H, T, T], positions those of the text.</summary>
    private sealed class Scores(Decoder decoder, DenseAttention dense) : IAttention
    {
        private readonly List<float[,,]> layers = [];

        public static List<float[,,]> Of(Decoder decoder, int[] input)
        {
            using var quiet = inference_mode();
            using var scope = NewDisposeScope();
            var length = decoder.Config.Landmark!.BlockLength;
            using var layout = BlockLayout.Regular(input.Length, input.Length, length, length);
            using var dense = new DenseAttention(decoder.Rotary, layout);
            var seen = new Scores(decoder, dense);
            decoder.Forward(tensor(input.Select(t => (long)t).ToArray()).unsqueeze(0), seen);
            return seen.layers;
        }

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            var places = arange(q.shape[2]);
            var keys = decoder.Rotary.Rotate(k[0], places).repeat_interleave(q.shape[1] / k.shape[1], 0);           // [H, T, d]
            var products = decoder.Rotary.Rotate(q[0], places).matmul(keys.transpose(1, 2)).div(Math.Sqrt(q.shape[3])).contiguous();
            var scores = new float[q.shape[1], q.shape[2], q.shape[2]];                                             // [H, T, T]
            Buffer.BlockCopy(products.data<float>().ToArray(), 0, scores, 0, scores.Length * sizeof(float));
            layers.Add(scores);
            return dense.Attend(layer, q, k, v);
        }
    }
}
