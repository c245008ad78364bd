using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation;

/// <summary>What reading k blocks loses, on small random models: windows of two blocks of four tokens and a landmark.</summary>
public sealed class FidelityTests
{
    internal const int Block = 4, Window = 2;
    private const int Context = 61;      // 76 positions, 14 blocks before the last window

    internal static readonly int[] Sample = TinyModel.Tokens(Context);

    public static TheoryData<SelectionMode, PositionMode, LandmarkLoss> Ways => new()
    {
        { SelectionMode.PerTokenAndGroup, PositionMode.Stingy, LandmarkLoss.Ignored },
        { SelectionMode.PerTokenAndHead, PositionMode.True, LandmarkLoss.Predicted },
        { SelectionMode.PerToken, PositionMode.Stingy, LandmarkLoss.Predicting },
        { SelectionMode.PerHead, PositionMode.True, LandmarkLoss.Ignored },
    };

    [Theory]
    [MemberData(nameof(Ways))]
    public void AllBlocksAreNoLoss(SelectionMode selection, PositionMode positions, LandmarkLoss loss)
    {
        using var engine = Engine(new() { Selection = selection, Positions = positions, WindowBlocks = Window }, loss);
        var all = Fidelity.Measure(engine, [Sample], [1, 14]).Readings[1];
        Assert.Equal(14, all.TopK);
        Assert.All(all.Layers.Append(all.Attention), a =>
        {
            Assert.InRange(a.BlocksRead, 2, 14);
            Assert.Equal(1, a.PastShare, 1e-12);
            Assert.Equal(1, a.BestShare, 1e-12);
            Assert.Equal(1, a.AllShare, 1e-12);
            Assert.Equal(0, a.OutputError);
        });
        Assert.Equal(0, all.Prediction.Divergence, 1e-6);
        Assert.InRange(all.Prediction.HiddenError, 0, 1e-5);
        Assert.Equal(1, all.Prediction.Agreement);
        Assert.Equal(all.Prediction.DenseLoss, all.Prediction.Loss, 1e-5);
    }

    /// <summary>The mass that could be caught, and with true places that which is.</summary>
    [Fact]
    public void MassIsThatOfTheWholeMatrix()
    {
        using var engine = Engine(new() { Selection = SelectionMode.PerTokenAndHead, Positions = PositionMode.True, WindowBlocks = Window });
        using var exact = new ExactFidelity(engine, Sample);
        var fidelity = Fidelity.Measure(engine, [Sample], [3, 1, 2, 3]);
        Assert.Equal([1, 2, 3], fidelity.Readings.Select(r => r.TopK));
        foreach (var reading in fidelity.Readings)
        {
            for (var layer = 0; layer < 2; layer++)
            {
                var (past, best) = exact.Mass(layer, (gates, _, _) => gates.OrderDescending().Take(reading.TopK).Sum());
                var told = reading.Layers[layer];
                Assert.Equal((exact.Ids.Count - (Window * (Block + 1))) * 4, told.Rows);
                Assert.Equal(past, told.Past, 1e-3);
                Assert.Equal(best / past, told.BestShare, 1e-5);
                Assert.Equal(best / past, told.PastShare, 1e-5);
                Assert.Equal(1 - ((past - best) / told.Rows), told.AllShare, 1e-5);
            }
        }
    }

    /// <summary>In the first layer queries are the tokens' own: what the memory itself chooses and reads there can be compared with the whole matrix.</summary>
    [Theory]
    [MemberData(nameof(Ways))]
    public void TheFirstLayerIsWhatTheMemoryReads(SelectionMode selection, PositionMode positions, LandmarkLoss loss)
    {
        RetrievalOptions options = new() { TopK = 2, Selection = selection, Positions = positions, WindowBlocks = Window };
        using var engine = Engine(options, loss);
        using var exact = new ExactFidelity(engine, Sample);
        var (chosen, error, norm, at) = (new Dictionary<(int, int), double[]>(), 0.0, 0.0, 0);
        using var memory = TinyModel.Memory(engine.Decoder, options);
        memory.Observer = (layer, read) =>
        {
            if (layer > 0) return;
            var output = ExactFidelity.Numbers(read.Output);
            using var scope = NewDisposeScope();
            var picks = read.Chosen is { } some ? ExactFidelity.Numbers(some) : new double[4, output.GetLength(1), 0];
            for (var t = 0; t < output.GetLength(1); t++, at++)
            {
                for (var h = 0; h < 4; h++)
                {
                    chosen[(h, at)] = [.. Enumerable.Range(0, picks.GetLength(2)).Select(r => picks[h, t, r])];
                    for (var i = 0; exact.Before(at) > 0 && i < output.GetLength(2); i++)
                    {
                        var dense = exact.Outputs[0][h, at, i];
                        (error, norm) = (error + Math.Pow(output[h, t, i] - dense, 2), norm + (dense * dense));
                    }
                }
            }
        };
        TinyModel.Run(engine.Decoder, memory, [.. exact.Ids], exact.Ids.Count);

        var told = Fidelity.Measure(engine, [Sample], [2]).Readings[0].Layers[0];
        var (past, caught) = exact.Mass(0, (gates, h, t) => chosen[(h, t)].Sum(b => gates[(int)b]));
        Assert.Equal(caught / past, told.PastShare, 1e-5);
        Assert.Equal(Math.Sqrt(error / norm), told.OutputError, 1e-5);
        Assert.InRange(told.OutputError, 0.01, 2);
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void PredictionsAreThoseOfTwoRuns(SelectionMode selection, PositionMode positions, LandmarkLoss loss)
    {
        RetrievalOptions options = new() { TopK = 2, Selection = selection, Positions = positions, WindowBlocks = Window };
        using var engine = Engine(options, loss);
        var input = TinyModel.WithLandmarks(engine.Config, Sample);
        using var memory = TinyModel.Memory(engine.Decoder, options);
        var (retrieved, dense) = (TinyModel.Run(engine.Decoder, memory, input, input.Length), TinyModel.Dense(engine.Decoder, input));
        var (divergence, agreed, count) = (0.0, 0, 0);
        for (var at = Window * (Block + 1); at < input.Length; at++)
        {
            var isLandmark = input[at] == TinyModel.Vocabulary - 1;
            var precedesOne = at + 1 < input.Length && input[at + 1] == TinyModel.Vocabulary - 1;
            if (loss == LandmarkLoss.Ignored ? isLandmark : loss == LandmarkLoss.Predicted && precedesOne) continue;
            if (loss == LandmarkLoss.Predicting && precedesOne) continue;       // the landmark after it is asked instead
            if (at + 1 == input.Length || (precedesOne && at + 2 == input.Length)) continue;
            var (p, q) = (Probabilities(dense, at), Probabilities(retrieved, at));
            divergence += p.Zip(q, (x, y) => x * Math.Log(x / y)).Sum();
            agreed += p.Index().MaxBy(x => x.Item).Index == q.Index().MaxBy(x => x.Item).Index ? 1 : 0;
            count++;
        }
        var told = Fidelity.Measure(engine, [Sample], [2]).Readings[0].Prediction;
        Assert.Equal((count, agreed), (told.Tokens, told.Agreed));
        Assert.Equal(divergence / count, told.Divergence, 1e-4);
        Assert.InRange(told.Divergence, 1e-3, 10);

        static double[] Probabilities(float[,] logits, int at)
        {
            double[] powers = [.. Enumerable.Range(0, TinyModel.Vocabulary - 1).Select(i => Math.Exp(logits[at, i]))];
            return [.. powers.Select(x => x / powers.Sum())];
        }
    }

    [Theory]
    [InlineData(LandmarkLoss.Ignored)]
    [InlineData(LandmarkLoss.Predicted)]
    public void PerplexitiesAreThoseOfSessions(LandmarkLoss loss)
    {
        using var engine = Engine(new() { TopK = 2, WindowBlocks = Window }, loss, marks: true);
        int[][] texts = [[.. Sample.Select(t => t % TinyEngine.Mark)], [3], [.. TinyModel.Tokens(200, seed: 4).Select(t => t % TinyEngine.Mark)]];
        var told = Fidelity.Measure(engine, texts, [2]).Readings[0].Prediction;
        double Loss(LandmarkEngine reading)
        {
            List<double> losses = [];
            foreach (var text in texts)
            {
                using var session = EvaluationSession.Begin(reading);
                // Tokens predicted by states past the first window.
                session.Score(text, (first, scores) => losses.AddRange(scores.Where((_, i) => first + i > Window * Block).Select(s => -(double)s)));
            }
            Assert.Equal(losses.Count, told.Tokens);
            return losses.Average();
        }
        Assert.Equal(Loss(engine), told.Loss, 1e-5);
        Assert.Equal(Loss(engine.With(new() { TopK = 100, WindowBlocks = Window })), told.DenseLoss, 1e-4);
    }

    [Fact]
    public void MoreBlocksCatchMore()
    {
        int[] k = [1, 2, 3, 5, 8, 13];
        foreach (var positions in Enum.GetValues<PositionMode>())
        {
            foreach (var selection in Enum.GetValues<SelectionMode>())
            {
                using var engine = Engine(new() { Selection = selection, Positions = positions, WindowBlocks = Window });
                var readings = Fidelity.Measure(engine, [Sample], k).Readings;
                for (var layer = 0; layer < 2; layer++)
                {
                    var of = readings.Select(r => r.Layers[layer]).ToArray();
                    Assert.All(of, a => Assert.InRange(a.PastShare, 0, a.BestShare + 1e-12));
                    Rises(of.Select(a => a.BestShare));
                    // With stingy places a landmark's score depends on k.
                    if (positions == PositionMode.True) Rises(of.Select(a => a.PastShare));
                }
            }
        }

        static void Rises(IEnumerable<double> shares) => Assert.All(shares.Zip(shares.Skip(1)), s => Assert.True(s.First < s.Second));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public void HowTheTextIsCutChangesNothing(int pass)
    {
        using var engine = Engine(new() { WindowBlocks = Window });
        var (whole, cut) = (Fidelity.Measure(engine, [Sample], [2, 4]), Fidelity.Measure(engine, [Sample], [2, 4], pass));
        foreach (var (a, b) in whole.Readings.Zip(cut.Readings))
        {
            foreach (var (x, y) in a.Layers.Zip(b.Layers))
            {
                Assert.Equal((x.PastShare, x.BestShare), (y.PastShare, y.BestShare), (p, q) => Near(p.PastShare, q.PastShare) && Near(p.BestShare, q.BestShare));
                Assert.Equal(x.OutputError, y.OutputError, 1e-4);
            }
            Assert.Equal(a.Prediction.Divergence, b.Prediction.Divergence, 1e-4);
            Assert.Equal(a.Positions.Select(p => (p.From, p.To, p.Attention.Rows, p.Prediction.Tokens)), b.Positions.Select(p => (p.From, p.To, p.Attention.Rows, p.Prediction.Tokens)));
        }

        static bool Near(double x, double y) => Math.Abs(x - y) < 1e-4;
    }

    [Fact]
    public void PositionsAndContextsAddUp()
    {
        using var engine = Engine(new() { WindowBlocks = Window });
        int[] other = TinyModel.Tokens(150, seed: 9);
        var (both, first, second) = (Measure(Sample, other), Measure(Sample), Measure(other));
        Assert.Equal((first.Attention + second.Attention).PastShare, both.Attention.PastShare, 1e-12);
        Assert.Equal((first.Attention + second.Attention).OutputError, both.Attention.OutputError, 1e-12);
        Assert.Equal(first.Prediction.Tokens + second.Prediction.Tokens, both.Prediction.Tokens);
        Assert.Equal([8, 16, 32, 64, 128], both.Positions.Select(p => p.From));
        Assert.Equal([8, 16, 32], first.Positions.Select(p => p.From));
        // States at tokens 8 to 15 predict 9 to 16; queries there are those and two landmarks, in two layers of four heads.
        Assert.Equal((8, 10 * 2 * 4), (first.Positions[0].Prediction.Tokens, first.Positions[0].Attention.Rows));
        Assert.Equal(both.Prediction.Tokens, both.Positions.Sum(p => p.Prediction.Tokens));
        Assert.Equal(both.Attention.Past, both.Positions.Sum(p => p.Attention.Past), 1e-9);

        FidelityOfK Measure(params int[][] contexts) => Fidelity.Measure(engine, contexts, [2]).Readings[0];
    }

    [Fact]
    public void TheSmallestIsTheFirstThatIsEnough()
    {
        using var engine = Engine(new() { WindowBlocks = Window });
        var fidelity = Fidelity.Measure(engine, [Sample], [14, 1, 4]);
        Assert.Equal(14, fidelity.Smallest(r => r.Attention.PastShare > 0.99));
        Assert.Equal(1, fidelity.Smallest(r => r.Attention.PastShare > 0));
        Assert.Null(fidelity.Smallest(r => r.Attention.PastShare > 2));
    }

    [Fact]
    public void WhatCannotBeMeasuredIsRefused()
    {
        using var engine = Engine(new() { WindowBlocks = Window });
        // Ten tokens of which the ninth has the first window before it; of nine the last predicts nothing known.
        Assert.Contains("give 10 tokens or more", Refusal(engine, [Sample[..9], Sample[..3]], 2), StringComparison.Ordinal);
        Assert.Equal(1, Fidelity.Measure(engine, [Sample[..10]], [2]).Readings[0].Prediction.Tokens);
        Assert.Contains("no block before it", Refusal(engine, [], 2), StringComparison.Ordinal);
        Assert.Contains("give one k or more", Refusal(engine, [Sample]), StringComparison.Ordinal);
        Assert.Contains("k, is 0", Refusal(engine, [Sample], 4, 0), StringComparison.Ordinal);
        using var official = Engine(new() { WindowIsCall = true });
        Assert.Contains("windows at fixed places", Refusal(official, [Sample], 2), StringComparison.Ordinal);
        using var plain = TinyEngine.Create(TinyModel.Plain());
        Assert.Contains("without landmarks", Refusal(plain, [Sample], 2), StringComparison.Ordinal);
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        using var engine = Engine(new() { WindowBlocks = Window });
        Fidelity.Measure(engine, [Sample], [2]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Fidelity.Measure(engine, [Sample, Sample], [1, 2]);
        Assert.Throws<OperationCanceledException>(
            () => Fidelity.Measure(engine, [Sample], [2], cancel: new CancellationToken(canceled: true)));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    internal static LandmarkEngine Engine(RetrievalOptions options, LandmarkLoss loss = LandmarkLoss.Ignored, bool marks = false) =>
        TinyEngine.Create(TinyModel.Config(Block, loss: loss, windowBlocks: Window), options, marks);

    internal static string Refusal(LandmarkEngine engine, int[][] contexts, params int[] k) =>
        Assert.Throws<LandmarkException>(() => Fidelity.Measure(engine, contexts, k)).Message;
}
