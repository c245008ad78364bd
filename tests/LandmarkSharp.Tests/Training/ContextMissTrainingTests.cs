using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Training with a context-miss token.</summary>
public sealed class ContextMissTrainingTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
    }

    /// <summary>The loss and its gradients in float64, written out: the token runs alone, and each row sees its keys in each layer.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TheLossIsTheFormulas(bool recompute)
    {
        var config = TinyModel.WithMiss(TinyModel.Config(3));
        using var weights = TinyModel.Create(config);
        using var ours = Copy(weights, config);
        using var theirs = Copy(weights, config);
        var batch = new Batch(2, 19) { FirstBlockLength = 2, Seed = 5 };
        var random = new Random(3);
        for (var i = 0; i < batch.Inputs.Length; i++)
        {
            var place = (i % 19) + 2;                                                       // the first block has two positions left
            batch.Inputs[i] = place % 4 == 3 ? config.Landmark!.Id : random.Next(TinyModel.Vocabulary - 2);
            (batch.Targets[i], batch.Weights[i]) = (random.Next(TinyModel.Vocabulary - 2), 1);
        }

        using var loss = new LanguageModelLoss(ours, recompute: recompute, controlled: 0.5);
        using var packed = new PackedBatch(batch, pinned: false);
        var (cross, _) = loss.CrossEntropy(packed, predictions: false);
        loss.Of(packed, weight: 1).Gradients!.Backward();

        using var layout = BlockLayout.Regular(19, 19, 4, 2);
        var drawn = new CounterRandom(batch.Seed);                                          // the batch's seed says which blocks
        var controlled = tensor([.. Enumerable.Range(0, 2 * (int)layout.Blocks).Select(_ => drawn.Chance(0.5))]).view(2, -1);
        Assert.InRange(controlled.sum().item<long>(), 2, controlled.numel() - 2);
        var alone = new Alone();
        theirs.Forward(full([1, 1], config.Landmark!.MissId!.Value, ScalarType.Int64), alone);
        var inputs = tensor(batch.Inputs.Select(t => (long)t).ToArray()).view(2, 19);
        var hidden = theirs.Forward(inputs, new Formula(theirs.Rotary, layout, controlled, alone.Keys));
        var expected = nn.functional.cross_entropy(
            theirs.Logits(hidden).flatten(0, 1), tensor(batch.Targets.Select(t => (long)t).ToArray()), reduction: nn.Reduction.None);
        expected.sum().backward();
        alone.Keys.ForEach(k => k.Dispose());
        RowByRow.Close(expected, cross, 1e-5);                                              // cross-entropy is computed in float32
        foreach (var (name, parameter) in theirs.Parameters)
        {
            var gradient = ours.Parameters[name].grad!;
            RowByRow.Close(parameter.grad!, gradient, 1e-5 * Math.Max(1, parameter.grad!.abs().max().item<double>()));
            if (name == "model.embed_tokens.weight") Assert.True(gradient[config.Landmark.MissId!.Value].abs().max().item<double>() > 1e-6);
        }
    }

    [Fact]
    public void ARunTrainsItsRowAndTheModelReadsWithIt()
    {
        var recipe = TinyRun.Recipe with { ContextMiss = 0.5, Stages = [new TrainingStage { Window = 128, Rows = 2, TaskShare = 0 }] };
        using var trainer = new Trainer(recipe, tiny.Into("run") with { ValidationShards = tiny.Validation });
        var id = trainer.Decoder.Config.Landmark!.MissId!.Value;
        Assert.Equal((id, id + 1), (trainer.Decoder.Config.Landmark.Id + 1, trainer.Decoder.Config.VocabularySize));
        var before = trainer.Decoder.Parameters["model.embed_tokens.weight"][id].detach().clone();
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.True(RowByRow.MaxError(before, trainer.Decoder.Parameters["model.embed_tokens.weight"][id].detach()) > 1e-3);

        using var engine = LandmarkEngine.Load(Path.Combine(tiny["run"], "model"));
        Assert.Equal((id, 0), (engine.Config.Landmark!.MissId, engine.Retrieval!.MissCutoff));
        using var session = engine.NewSession();
        session.Append(string.Concat(Enumerable.Repeat("The red fox sees the old stone. ", 12)));
        Assert.DoesNotContain(id, session.Generate(new GenerationOptions { MaxTokens = 20, Temperature = 5 }).Select(t => t.Id));
        Assert.True(session.Retrievals > 0);
        Assert.Equal((0, 0), (session.DroppedRetrievals, session.Trace.DroppedShare));
        Assert.Contains("context-miss token", Assert.Throws<LandmarkException>(() => session.Append([id])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AModelWithoutTheTokenIsNoBeginningOfOneWith()
    {
        var recipe = TinyRun.Recipe with { Steps = 1, Stages = [new TrainingStage { Window = 128, Rows = 2, TaskShare = 0 }] };
        using (var trainer = new Trainer(recipe, tiny.Into("without"))) Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var error = Assert.Throws<LandmarkException>(
            () => new Trainer(recipe with { ContextMiss = 0.5 }, tiny.Into("with") with { StartFrom = Path.Combine(tiny["without"], "model") }));
        Assert.Contains("has the context-miss token none, and this run", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AFineTunedModelHasItAfterItsLandmark()
    {
        using var from = new BaseFolder(tiny, "llama", padding: 1);
        using var trainer = new Trainer(FineTuneTests.Recipe(from, 3, """, "context_miss": 0.5"""), from.Into(tiny, "run"));
        var (rows, id) = (trainer.Decoder.Parameters["model.embed_tokens.weight"], BaseFolder.Tokens + 1);
        Assert.Equal((id, id + 1), (trainer.Decoder.Config.Landmark!.MissId, (int)rows.shape[0]));
        RowByRow.Close(from.Checkpoint.Tensors["model.embed_tokens.weight"][..BaseFolder.Tokens].mean([0]), rows[id].detach(), 1e-6);
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.Equal(id, ConfigFile.Load(Path.Combine(tiny["run"], "model")).Landmark!.MissId);
    }

    [Theory]
    [InlineData("""{"sources": {"train": 1}, "context_miss": 1.5}""", "context_miss must be from 0 to 1")]
    [InlineData("""{"sources": {"train": 1}, "context_miss": 0.5, "block_tokens": 0}""", "context_miss or lora")]
    public void WhatCannotBeTrainedIsSaid(string recipe, string words) => Assert.Contains(
        words, Assert.Throws<LandmarkException>(() => TrainingOptions.Parse(recipe, "recipe")).Message, StringComparison.Ordinal);

    private static Decoder Copy(Decoder decoder, ModelConfig config) => new(
        config, (name, _) => decoder.Parameters[name].to(ScalarType.Float64, copy: true).requires_grad_(), ScalarType.Float64);

    private sealed class Alone : IAttention
    {
        public List<Tensor> Keys { get; } = [];

        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            Keys.Add(k.DetachFromDisposeScope());
            return zeros_like(q);
        }
    }

    private sealed class Formula(Rotary rotary, BlockLayout layout, Tensor controlled, List<Tensor> keys) : IAttention
    {
        public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
        {
            Tensor Turned(Tensor x) => rotary.Rotate(x, arange(x.shape[2]));
            var key = rotary.Rotate(keys[layer], tensor(new[] { -1L })).expand(k.shape[0], -1, -1, -1);
            return ContextMiss.Attend(Turned(q), Turned(k), v, key, controlled, layout, 1 / Math.Sqrt(q.shape[3])).Output;
        }
    }
}
