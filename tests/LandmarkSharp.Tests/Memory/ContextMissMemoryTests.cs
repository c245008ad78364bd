using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>A memory of a model with a context-miss token.</summary>
public sealed class ContextMissMemoryTests
{
    /// <summary>Token by token, in pieces or at once: the same logits, and the same retrievals dropped.</summary>
    [Fact]
    public void HowTheTextIsCutChangesNothing() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 70], Gen.Double[0, 1], Gen.Int[1, 30].Array[1, 5]).Sample(
            (block, length, cutoff, pieces) =>
            {
                var config = TinyModel.WithMiss(TinyModel.Config(block), cutoff);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(length));
                float[,] Run(out (long, long) counts, params int[] cuts)
                {
                    using var memory = TinyModel.Memory(decoder, config.Landmark!.Retrieval());
                    var logits = TinyModel.Run(decoder, memory, input, cuts);
                    counts = (memory.Retrievals, memory.Dropped);
                    return logits;
                }
                var whole = Run(out var counted, input.Length);
                TinyModel.Close(whole, Run(out var inPieces, pieces), 5e-3);
                TinyModel.Close(whole, Run(out var oneByOne, 1), 5e-3);
                Assert.Equal((counted, counted), (inPieces, oneByOne));
                // Two layers of four heads; the window is of two blocks.
                var before = input.Length - Math.Min(input.Length, 2 * (block + 1));
                Assert.Equal(before * 2 * 4, counted.Item1);
                Assert.InRange(counted.Item2, 0, counted.Item1);
            }, iter: 30, threads: 1);

    /// <summary>A window that retrieves all there is before it equals the pass that training computes, those blocks controlled.</summary>
    [Fact]
    public void TheLastOfTwoWindowsIsTheDensePassOfTraining() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[0, 100]).Sample(
            (block, share) =>
            {
                // One layer: in the next ones the first window's keys would differ, whose blocks are not controlled while it is read.
                var config = TinyModel.WithMiss(TinyModel.Config(block, topK: 3)) with { Layers = 1 };
                using var decoder = TinyModel.Create(config);
                var tokens = TinyModel.Tokens((2 * block) + 1 + (block * share / 100));
                var input = TinyModel.WithLandmarks(config, tokens);
                using var memory = TinyModel.Memory(decoder, config.Landmark!.Retrieval());
                var logits = TinyModel.Run(decoder, memory, input, input.Length);
                using var scope = NewDisposeScope();
                using var quiet = inference_mode();
                using var layout = BlockLayout.Regular(input.Length, input.Length, block + 1, block + 1);
                using var dense = new DenseAttention(decoder.Rotary, layout) { Controlled = arange(layout.Blocks).lt(2).unsqueeze(0) };
                var ids = tensor(input.Prepend(config.Landmark.MissId!.Value).Select(t => (long)t).ToArray()).unsqueeze(0);
                var all = decoder.Logits(decoder.Forward(ids, dense))[0];                   // [1 + T, V]
                for (var i = 2 * (block + 1); i < input.Length; i++)
                    for (var j = 0; j < TinyModel.Vocabulary; j++) Assert.Equal(all[i + 1, j].item<float>(), logits[i, j], 2e-3f);
            }, iter: 20, threads: 1);

    [Fact]
    public void CutoffsOfNothingAndOfAllAreTheEndsOfAScale()
    {
        var config = TinyModel.WithMiss(TinyModel.Config(4));
        using var decoder = TinyModel.Create(config);
        var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(120));
        double Share(double cutoff, out bool read)
        {
            var gates = 0.0;
            using var memory = TinyModel.Memory(decoder, config.Landmark!.Retrieval() with { MissCutoff = cutoff });
            memory.Observer = (_, r) => gates += r.Gates?.sum().item<float>() ?? 0;
            TinyModel.Run(decoder, memory, input, 50);
            read = gates > 0;
            return memory.Dropped / (double)memory.Retrievals;
        }
        double[] shares = [.. new[] { 0, 0.01, 0.1, 0.5, 0.9, 1 }.Select(c => Share(c, out _))];
        Assert.Equal(shares.Order(), shares);
        Assert.Equal((0, 1), (shares[0], shares[^1]));
        Assert.True(shares[1] > 0 && shares[^2] < 1, string.Join(' ', shares));
        Share(1, out var any);
        Assert.False(any);
    }

    /// <summary>In training the token stands before each row, at inference it runs alone: its keys are the same.</summary>
    [Fact]
    public void TheTokensKeysDoNotDependOnWhatFollows()
    {
        using var scope = NewDisposeScope();
        var config = TinyModel.WithMiss(TinyModel.Config(4));
        using var decoder = TinyModel.Create(config);
        using var quiet = inference_mode();
        var keys = ContextMissKeys.Of(decoder)!;
        var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(20));
        using var layout = BlockLayout.Regular(input.Length, input.Length, 5, 5);
        using var dense = new DenseAttention(decoder.Rotary, layout) { Controlled = rand([1, layout.Blocks]).gt(0.5) };
        List<Tensor> seen = [];
        var ids = tensor(input.Prepend(config.Landmark!.MissId!.Value).Select(t => (long)t).ToArray()).unsqueeze(0);
        decoder.Forward(ids, new Seeing(dense, seen));
        Assert.Equal(2, keys.Count);
        for (var layer = 0; layer < 2; layer++)
            Assert.True(seen[layer].sub(keys[layer]).abs().max().item<float>() < 1e-5f * keys[layer].abs().max().item<float>());
        Assert.Null(ContextMissKeys.Of(TinyModel.Create(TinyModel.Config(4))));
    }

    private sealed class Seeing(IAttention attention, List<Tensor> keys) : IAttention
    {
        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            keys.Add(k[0, .., 0].clone().DetachFromDisposeScope());
            return attention.Attend(layer, q, k, v);
        }
    }
}
