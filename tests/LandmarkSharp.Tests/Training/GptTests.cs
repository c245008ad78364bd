using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>The paper's own model: LayerNorms of a weight alone, which transformers reads as a Starcoder 2 whose biases are 0.</summary>
public sealed class GptTests : IDisposable
{
    private static readonly TrainingOptions Recipe =
        TinyRun.Recipe with { Architecture = Architecture.Gpt, VocabularyMultiple = 64, Clip = null };

    private readonly TinyRun tiny = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
    }

    [Fact]
    public void ThePapersRecipeIsItsModel()
    {
        var recipe = TrainingOptions.Load(Path.Combine(AppContext.BaseDirectory, "models", "paper-202m.json"));
        var config = recipe.Model(50257, 50256, "any");
        Assert.Equal((50304, 50257), (config.VocabularySize, config.Landmark!.Id));
        using var model = new Decoder(config, (_, shape) => empty(shape, device: META));
        Assert.Equal(202_531_840, model.Parameters.Values.Sum(p => p.numel()));
        Assert.Equal((0.9, 0.95, 1e-3, null), (recipe.Beta1, recipe.Beta2, recipe.WeightDecay, recipe.Clip));
        Assert.Equal(65_536, recipe.Stages[0].Window * recipe.Stages[0].Rows * recipe.Stages[0].Accumulate);
        Assert.Equal(2e-5, recipe.Rate.At(0), 1e-12);
        Assert.Equal(2e-3, recipe.Rate.At(4800), 1e-12);
    }

    [Fact]
    public void AModelBeginsAsThePapers()
    {
        var config = Recipe.Model(99, 2, "any") with { HiddenSize = 128, IntermediateSize = 256, Layers = 8 };
        using var model = Checkpoint.Create(config, CPU, ScalarType.Float32, 3);
        foreach (var (name, parameter) in model.Parameters)
        {
            var residual = name.EndsWith("o_proj.weight", StringComparison.Ordinal) || name.EndsWith("c_proj.weight", StringComparison.Ordinal);
            if (parameter.dim() == 1) Assert.True(parameter.eq(1).all().item<bool>(), name);
            else Assert.Equal(residual ? 0.02 / 4 : 0.02, parameter.std().item<float>(), 0.002);
        }
        Assert.DoesNotContain(model.Parameters.Keys, n => n.EndsWith("bias", StringComparison.Ordinal));
    }

    [Fact]
    public void ItIsWrittenWithBiasesOfZeroAndReadAgain()
    {
        var (written, changed) = (tiny["written"], tiny["changed"]);
        var config = Recipe.Model(99, 2, "any");
        Assert.Equal(128, config.VocabularySize);
        using var model = Checkpoint.Create(config, CPU, ScalarType.Float32, 3);
        using (no_grad())
            foreach (var parameter in model.Parameters.Values) parameter.add_(randn_like(parameter) * 0.1);
        Checkpoint.Save(model, written, ScalarType.Float32);

        var json = File.ReadAllText(Path.Combine(written, "config.json"));
        foreach (var part in (string[])["\"starcoder2\"", "\"Starcoder2ForCausalLM\"", "\"use_bias\": false", "\"hidden_act\": \"gelu\"",
            "\"norm_epsilon\": 1E-05", "\"sliding_window\": null"])
            Assert.Contains(part, json);
        using var read = Checkpoint.Load(written, CPU);
        Assert.Equal(config with { NormBias = true, EosIds = [] }, read.Config with { EosIds = [] });
        string[] biases = [.. read.Parameters.Keys.Except(model.Parameters.Keys)];
        Assert.Equal(5, biases.Length);
        Assert.All(biases, n => Assert.True(n.EndsWith("norm.bias", StringComparison.Ordinal) && read.Parameters[n].eq(0).all().item<bool>()));
        var hidden = randn(1, 9, 32);
        RowByRow.Close(model.Logits(hidden), read.Logits(hidden), 0);
        foreach (var (name, parameter) in model.Parameters) RowByRow.Close(parameter, read.Parameters[name], 0);

        // A run goes on with it; biases that say something have no place in its model.
        using var again = Checkpoint.Create(config, CPU, ScalarType.Float32, 4);
        TrainingCheckpoints.RestoreWeights(written, again);
        foreach (var (name, parameter) in model.Parameters) RowByRow.Close(parameter, again.Parameters[name], 0);
        using (no_grad()) read.Parameters[biases[1]][3] = 0.5f;
        Checkpoint.Save(read, changed, ScalarType.Float32);
        Assert.Contains(biases[1], Assert.Throws<LandmarkException>(() => TrainingCheckpoints.RestoreWeights(changed, again)).Message);
        ConfigFile.Save(read.Config with { Activation = Activation.GeluTanh }, written);
        Assert.Contains("hidden_act", Assert.Throws<LandmarkException>(() => TrainingCheckpoints.RestoreWeights(written, again)).Message);
    }

    [Fact]
    public void ItLearnsGoesOnAndAnswers()
    {
        var recipe = Recipe with { Steps = 30, Stages = [new TrainingStage { Window = 256, Rows = 2, TaskShare = 0 }] };
        double first = 0, last = 0;
        using (var trainer = new Trainer(recipe, tiny.Into("gpt")))
        {
            using var stop = new CancellationTokenSource();
            Assert.False(trainer.Run(p => { if (p.Line.Step == 15) stop.Cancel(); first = first == 0 ? p.Line.Loss!.Value : first; }, stop.Token));
        }
        using (var trainer = new Trainer(recipe, tiny.Into("gpt")))
            Assert.True(trainer.Run(p => last = p.Line.Loss ?? last, TestContext.Current.CancellationToken));
        Assert.True(last < first - 1, $"{first} to {last}");
        using var engine = LandmarkEngine.Load(Path.Combine(tiny["gpt"], "model"));
        using var session = engine.NewSession();
        session.Append("The red fox sees the old bird. The quiet owl ");
        Assert.Equal(20, session.Generate(new GenerationOptions { MaxTokens = 20, StopAtEndOfText = false }).Count());
    }

    [Fact]
    public void GradientsWithoutClipAreTheirOwn()
    {
        Tensor[] gradients = [full(3, 100.0), full([2, 2], 200.0)];
        var norm = LandmarkSharp.Tensors.Aten.ClipGradientNorm(gradients, double.PositiveInfinity);
        Assert.Equal(Math.Sqrt((3 * 1e4) + (4 * 4e4)), norm.item<float>(), 1e-2);
        Assert.True(gradients[0].eq(100).all().item<bool>() && gradients[1].eq(200).all().item<bool>());
    }
}
