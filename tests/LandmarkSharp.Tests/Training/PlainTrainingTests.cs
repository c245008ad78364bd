using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Models without landmarks, by the same trainer: what landmark models are compared with.</summary>
public sealed class PlainTrainingTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(4, 4)]
    [InlineData(6, 2)]
    public void CausalAttentionIsLandmarkAttentionOfOneBlockThatNeverEnds(int heads, int groups)
    {
        using var scope = NewDisposeScope();
        var rotary = new RotaryScaling().Create(16);
        Tensor Make(int h) => randn([2, h, 20, 16]).requires_grad_();
        var (q, k, v, weight) = (Make(heads), Make(groups), Make(groups), randn(2, heads, 20, 16));
        using var layout = BlockLayout.Regular(20, 20, 30, 30);
        using var causal = new CausalAttention(rotary);
        using var dense = new DenseAttention(rotary, layout);
        Tensor[] Run(IAttention attention)
        {
            var output = attention.Attend(0, q, k, v);
            return [output, .. autograd.grad([(output * weight).sum()], [q, k, v])];
        }
        foreach (var (mine, expected) in Run(causal).Zip(Run(dense))) Assert.True(mine.allclose(expected, 1e-4, 1e-5));
        // Another length asks for other angles.
        Assert.Equal([2, heads, 7, 16], causal.Attend(0, q.narrow(2, 0, 7), k.narrow(2, 0, 7), v.narrow(2, 0, 7)).shape);
    }

    /// <summary>Trained on segments of eight windows, it reads on past them in bounded memory.</summary>
    [Fact]
    public void ATransformerXLLearnsAndReadsOn()
    {
        var recipe = TinyRun.Recipe with
        {
            BlockTokens = 0,
            Recurrence = new Recurrence { Window = 32, Cache = 24 },
            Steps = 25,
            Stages = [new TrainingStage { Window = 256, Rows = 2, TaskShare = 0 }],
        };
        var run = tiny.Into("xl") with { ValidationShards = tiny.Validation, ValidateEvery = 25, SampleEvery = 20 };
        double first = 0, last = 0, held = 0;
        using (var trainer = new Trainer(recipe, run))
        {
            Assert.True(trainer.Run(p =>
            {
                last = p.Line.Loss ?? last;
                first = first == 0 ? last : first;
                held = p.Line.ValidationLoss ?? held;
            }, TestContext.Current.CancellationToken));
        }
        Assert.True(last < first - 1, $"{first} to {last}");
        using var engine = LandmarkEngine.Load(Path.Combine(tiny["xl"], "model"));
        Assert.Equal(recipe.Recurrence, engine.Config.Recurrence);
        using var session = engine.NewSession();
        using var shards = TokenShards.Open(tiny.Validation);
        var contexts = Perplexity.Contexts(shards["validation"], 600).Take(2).ToArray();
        var result = Perplexity.Score(engine, contexts);
        Assert.InRange(result.Loss, held - 0.3, held + 0.3);
        session.Append(contexts[0]);
        Assert.Equal(5, session.Generate(new GenerationOptions { MaxTokens = 5, StopAtEndOfText = false }).Count());
        Assert.Equal(2 * 2 * 2 * 8 * (32 + 24) * sizeof(float), session.MemoryBytes);
    }

    [Fact]
    public void APlainModelLearnsGoesOnAndAnswers()
    {
        var recipe = TinyRun.Recipe with { BlockTokens = 0, Steps = 25, Stages = [new TrainingStage { Window = 256, Rows = 2, TaskShare = 0 }] };
        var run = tiny.Into("plain") with { ValidationShards = tiny.Validation, ValidateEvery = 10, SampleEvery = 20 };
        double first = 0, last = 0;
        using (var trainer = new Trainer(recipe, run))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(trainer.Run(p => { if (p.Line.Step == 12) stop.Cancel(); first = first == 0 ? p.Line.Loss!.Value : first; }, stop.Token));
        }
        using (var trainer = new Trainer(recipe, run))
        {
            Assert.True(trainer.Run(p => last = p.Line.Loss ?? last, TestContext.Current.CancellationToken));
            Assert.Null(trainer.Decoder.Config.Landmark);
        }
        Assert.True(last < first - 1, $"{first} to {last}");
        using var engine = LandmarkEngine.Load(Path.Combine(tiny["plain"], "model"));
        using var session = engine.NewSession();
        session.Append("The red fox ");
        Assert.Equal(5, session.Generate(new GenerationOptions { MaxTokens = 5, StopAtEndOfText = false }).Count());
    }
}
