using System.Runtime.InteropServices;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>What one run of the trainer does, from its first step to the model it leaves.</summary>
public sealed class TrainerTests : IDisposable
{
    private static readonly string[] StepFields = ["step", "loss", "text_loss", "rate", "gradient_norm", "positions"];

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void ARunLearnsTellsHowAndLeavesAModelThatAnswers()
    {
        var recipe = TinyRun.Recipe with { Steps = 25 };
        List<TrainingProgress> told = [];
        using var trainer = new Trainer(
            recipe, tiny.Into("run") with { ValidationShards = tiny.Validation, ValidateEvery = 10, SaveEvery = 10 });
        Assert.True(trainer.Run(told.Add, TestContext.Current.CancellationToken));
        Assert.Equal((25, 25 * 2 * 512), (trainer.Step, trainer.Positions));

        var lines = tiny.Metrics("run").Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        var steps = lines.Where(l => l.TryGetProperty("loss", out _)).ToArray();
        Assert.Equal(Enumerable.Range(1, 25), steps.Select(l => l.GetProperty("step").GetInt32()));
        Assert.All(steps, l => Assert.Equal(StepFields, l.EnumerateObject().Select(f => f.Name)));
        Assert.Equal(Math.Log(trainer.Decoder.Config.VocabularySize), Loss(steps[0]), 0.1);
        Assert.InRange(Loss(steps[^1]), 0.5, 3.2);
        Assert.Equal(steps.Select((_, i) => (i + 1) * 1024), steps.Select(l => l.GetProperty("positions").GetInt32()));
        var rate = new LearningRate(recipe.PeakRate, recipe.FinalRate, recipe.WarmUp, recipe.Steps);
        Assert.Equal(Enumerable.Range(0, 25).Select(s => rate.At(s)), steps.Select(l => l.GetProperty("rate").GetDouble()));

        var validations = lines.Where(l => l.TryGetProperty("validation_loss", out _)).ToArray();
        Assert.Equal([10, 20, 25], validations.Select(l => l.GetProperty("step").GetInt32()));
        Assert.All(validations, l => Assert.Equal(["step", "validation_loss"], l.EnumerateObject().Select(f => f.Name)));
        var last = validations[^1].GetProperty("validation_loss").GetDouble();
        Assert.True(last < validations[0].GetProperty("validation_loss").GetDouble());
        Assert.Equal(Loss(steps[^1]), last, 0.3);

        Assert.Equal(28, told.Count);
        Assert.All(told, p => Assert.Equal(25, p.Steps));
        Assert.All(told, p => Assert.True(p.PositionsPerSecond > 0 && p.Left >= TimeSpan.Zero));
        Assert.Equal(TimeSpan.Zero, told[^1].Left);
        Assert.Equal(["best-00000025", "model", "step-00000020", "step-00000025"], Folders("run"));
        Answers(trainer);
    }

    [Fact]
    public void ARunMayBeginWithAModelsWeights()
    {
        var recipe = TinyRun.Recipe with { Steps = 4 };
        using (var first = new Trainer(recipe, tiny.Into("first"))) Assert.True(first.Run(cancel: TestContext.Current.CancellationToken));
        var model = Path.Combine(tiny["first"], "model");
        var onward = tiny.Into("second") with { StartFrom = model };
        using (var second = new Trainer(recipe with { Seed = 2, Stages = [recipe.Stages[0] with { Window = 1024 }] }, onward))
        {
            Assert.Equal(0, second.Step);
            using var engine = LandmarkEngine.Load(model);
            foreach (var (name, parameter) in second.Decoder.Parameters)
                Assert.True(engine.Decoder.Parameters[name].allclose(parameter.detach(), 0, 0), name);
            using var stop = new CancellationTokenSource();
            Assert.False(second.Run(_ => stop.Cancel(), stop.Token));
        }
        // Its own checkpoint is newer than what it began with.
        using var again = new Trainer(
            recipe with { Seed = 2, Stages = [recipe.Stages[0] with { Window = 1024 }] },
            onward with { StartFrom = tiny["nowhere"] });
        Assert.Equal(1, again.Step);

        // Going on with shorter windows, a model still knows the longest it was trained on, also after a stop.
        var shorter = recipe with { Seed = 3 };
        for (var times = 0; times < 2; times++)
        {
            using var third = new Trainer(shorter, tiny.Into("shorter") with { StartFrom = LatestOf("second") });
            Assert.Equal((1024, 1024), (third.Decoder.Config.Landmark!.TrainContext, third.Decoder.Config.MaxPositions));
            using var stop = new CancellationTokenSource();
            Assert.False(third.Run(_ => stop.Cancel(), stop.Token));
        }

        var other = Assert.Throws<LandmarkException>(() => new Trainer(
            recipe with { HiddenSize = 64 }, tiny.Into("third") with { StartFrom = model }));
        Assert.Contains("32", other.Message, StringComparison.Ordinal);
        Assert.Contains("64", other.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"rope_theta\": 10000.0", "\"rope_theta\": 500000.0", "rope_theta")]
    [InlineData("\"mem_freq\": 15", "\"mem_freq\": 31", "block_tokens 31")]
    [InlineData("\"mem_id\": ", "\"mem_id\": 1, \"_was\": ", "the landmark")]
    [InlineData("\"tokenizer_fingerprint\": \"", "\"tokenizer_fingerprint\": \"another", "another tokenizer (fingerprint another")]
    [InlineData("\"num_attention_heads\": 4", "\"num_attention_heads\": 2", "num_attention_heads 2")]
    [InlineData("\"rms_norm_eps\": 1E-05", "\"rms_norm_eps\": 0.1", "rms_norm_eps")]
    [InlineData(
        "\"rope_theta\": 10000.0",
        "\"rope_theta\": 10000.0, \"rope_scaling\": { \"type\": \"linear\", \"factor\": 2.0 }",
        "rotary scaling")]
    public void AModelOfAnotherKindIsNoBeginning(string field, string other, string named)
    {
        var model = Model();
        var config = Path.Combine(model, "config.json");
        var text = File.ReadAllText(config);
        var changed = text.Replace(field, other, StringComparison.Ordinal);
        Assert.NotEqual(text, changed);
        if (field.Contains("heads", StringComparison.Ordinal))
            changed = changed.Replace("\"head_dim\": 8", "\"head_dim\": 16", StringComparison.Ordinal);
        File.WriteAllText(config, changed.Replace(
            "\"chunk_tokens_with_landmarks\": 48", "\"chunk_tokens_with_landmarks\": 96", StringComparison.Ordinal));
        IsNoBeginning(model, named);
    }

    [Fact]
    public void AModelOfWhichSomethingWouldBeLeftOutIsNoBeginning()
    {
        var model = Model();
        var file = Path.Combine(model, "model.safetensors");
        using (var weights = Weights.Open(model))
        {
            var tensors = weights.Names.Select(n => (n, weights.Get(n, weights.Entry(n).Shape))).ToList();
            tensors.Add(("lm_head.weight", tensors.Single(t => t.n == "model.embed_tokens.weight").Item2));
            SafeTensors.Write(file + ".new", tensors);
        }
        File.Move(file + ".new", file, overwrite: true);
        // The output matrix is the input's once more, unless the configuration says that it is another.
        Begin(model);
        var config = Path.Combine(model, "config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace(
            "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", StringComparison.Ordinal));
        IsNoBeginning(model, "lm_head.weight");
        File.Delete(config);
        IsNoBeginning(model, "config.json");
    }

    [Fact]
    public void AModelWithoutLandmarksIsABeginning()
    {
        var model = Model();
        var plain = ConfigFile.Load(model) with { Landmark = null, TokenizerFingerprint = null };
        ConfigFile.Save(plain, model);
        Begin(model);
    }

    private string Model()
    {
        using var first = new Trainer(TinyRun.Recipe, tiny.Into("first"));
        first.Export(tiny["model"]);
        return tiny["model"];
    }

    private string LatestOf(string run) => new TrainingCheckpoints(tiny[run]).Latest!.Value.Path;

    private void Begin(string model) => new Trainer(TinyRun.Recipe, tiny.Into("next") with { StartFrom = model }).Dispose();

    private void IsNoBeginning(string model, string named)
    {
        var message = Assert.Throws<LandmarkException>(() => Begin(model)).Message;
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains(model, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    private void Answers(Trainer trainer)
    {
        using var engine = LandmarkEngine.Load(Path.Combine(tiny["run"], "model"));
        Assert.Equal(TinyRun.Recipe.BlockTokens, engine.Config.Landmark!.BlockTokens);
        Assert.Equal(engine.Tokenizer.VocabularySize, engine.Config.Landmark.Id);
        foreach (var (name, parameter) in trainer.Decoder.Parameters)
            Assert.True(
                engine.Decoder.Parameters[name].allclose(
                    parameter.detach().to(ScalarType.BFloat16).to(ScalarType.Float32), 0, 0),
                name);
        using var session = engine.NewSession();
        session.Append("The old owl finds the red boat. The");
        var answer = string.Concat(session.Generate(new GenerationOptions { MaxTokens = 8 }).Select(t => t.Text));
        Assert.Equal(8, answer.Length);
        Assert.All(answer, c => Assert.Contains(c, "Thefinds krightboaquwl.mcp v"));
    }

    [Fact]
    public void StagesChangeTheWindow()
    {
        var recipe = TinyRun.Recipe with
        {
            Steps = 4,
            Stages =
            [
                new TrainingStage { Window = 64, Rows = 4, TaskShare = 0 },
                new TrainingStage { FromStep = 2, Window = 128, Rows = 1, Accumulate = 3, TaskShare = 0 },
            ],
        };
        using var trainer = new Trainer(recipe, tiny.Into("stages"));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.Equal(
            [256, 512, 896, 1280],
            tiny.Metrics("stages").Select(l => JsonDocument.Parse(l).RootElement.GetProperty("positions").GetInt32()));
        Assert.Equal(128, trainer.Decoder.Config.MaxPositions);
    }

    [Fact]
    public void RetrievalTasksAreTrainedAndJudged()
    {
        var recipe = TinyRun.Recipe with { Steps = 2, Stages = [new TrainingStage { Window = 512, Rows = 4, TaskShare = 0.5 }] };
        using var trainer = new Trainer(recipe, tiny.Into("tasks"));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var lines = tiny.Metrics("tasks").Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        Assert.All(lines[..2], l => Assert.InRange(l.GetProperty("answer_loss").GetDouble(), 4, 8));
        Assert.All(lines[..2], l => Assert.InRange(l.GetProperty("text_loss").GetDouble(), 4, 8));
        Assert.InRange(lines[2].GetProperty("validation_answer_loss").GetDouble(), 4, 8);
        Assert.InRange(lines[2].GetProperty("validation_answers_right").GetDouble(), 0, 1);
        Assert.False(lines[2].TryGetProperty("validation_loss", out _));
    }

    [Fact]
    public void ALimitStopsTheRunWithACheckpoint()
    {
        using (var trainer = new Trainer(
            TinyRun.Recipe with { Steps = 100_000 },
            tiny.Into("limit") with { Limit = TimeSpan.FromMilliseconds(1) }))
        {
            Assert.False(trainer.Run(cancel: TestContext.Current.CancellationToken));
            Assert.InRange(trainer.Step, 0, 10);
            Assert.Equal(trainer.Step == 0 ? [] : [$"step-{trainer.Step:D8}"], Folders("limit"));
        }
        using var idle = new Trainer(TinyRun.Recipe, tiny.Into("idle") with { Limit = TimeSpan.Zero });
        Assert.False(idle.Run(cancel: new CancellationToken(canceled: true)));
        Assert.Equal(0, idle.Step);
        Assert.Empty(Folders("idle"));
    }

    [Fact]
    public void ALossThatIsNoNumberStopsTheRunAndKeepsNothingOfIt()
    {
        var recipe = TinyRun.Recipe with
        {
            PeakRate = 1e30,
            WarmUp = 0,
            Stages = [new TrainingStage { Window = 64, Rows = 1, TaskShare = 0 }],
        };
        using var trainer = new Trainer(recipe, tiny.Into("wild") with { SaveEvery = 1 });
        var error = Assert.Throws<LandmarkException>(() => trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.Contains("a lower peak_rate into another folder", error.Message, StringComparison.Ordinal);
        foreach (var folder in Folders("wild"))
        {
            using var kept = Checkpoint.Load(Path.Combine(tiny["wild"], folder), CPU);
            Assert.All(kept.Parameters, p => Assert.True(p.Value.isfinite().all().item<bool>(), $"{folder} {p.Key}"));
        }
    }

    /// <summary>The loss of the step that spoils the weights is still a number, and nothing is read of it until much later.</summary>
    [Fact]
    public void WeightsThatAreNoNumbersAreNotSavedOverGoodOnes()
    {
        var recipe = TinyRun.Recipe with
        {
            PeakRate = 1e300,
            WarmUp = 4,
            CosineWarmUp = true,        // the first step's rate is 0
            Stages = [new TrainingStage { Window = 64, Rows = 1, TaskShare = 0 }],
        };
        using var trainer = new Trainer(recipe, tiny.Into("wild") with { SaveEvery = 1, Keep = 1, ReportEvery = 100 });
        var error = Assert.Throws<LandmarkException>(() => trainer.Run(cancel: TestContext.Current.CancellationToken));
        var checkpoint = Path.Combine(tiny["wild"], "step-00000001");
        Assert.Equal(
            "The weights after step 2 are no finite numbers; train with a lower peak_rate into another folder, "
            + $"with --from {checkpoint} to begin with what was learned.", error.Message);
        Assert.Equal(["step-00000001"], Folders("wild"));
        using var onward = new Trainer(recipe with { PeakRate = 1e-3 }, tiny.Into("onward") with { StartFrom = checkpoint });
        Assert.True(onward.Run(cancel: TestContext.Current.CancellationToken));
    }

    [Fact]
    public void AStepThatDoesNotFitInMemoryIsNamed()
    {
        using var trainer = new Trainer(TinyRun.Recipe, tiny.Into("large") with { SaveEvery = 1 });
        var error = Assert.Throws<LandmarkException>(() => trainer.Run(_ => empty(1L << 50).Dispose()));      // a petabyte
        Assert.Contains("There is not enough memory on cpu for 2 rows of 512 positions; give the stage fewer rows", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        // As CUDA and its libraries say it.
        Assert.True(OutOfMemory.Is(new TorchError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB")));
        Assert.True(OutOfMemory.Is(new TorchError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")));
        Assert.False(OutOfMemory.Is(new TorchError("The size of tensor a (2) must match the size of tensor b (3)")));
        Assert.False(OutOfMemory.Is(new InvalidOperationException("out of memory")));

        var rows = Assert.Throws<LandmarkException>(() =>
        {
            using var huge = new Trainer(
                TinyRun.Recipe with { Stages = [new TrainingStage { Window = 512, Rows = 1_000_000_000, TaskShare = 0 }] }, tiny.Into("huge"));
            huge.Run(cancel: TestContext.Current.CancellationToken);
        });
        Assert.Contains("1000000000 rows of 512 positions; give fewer rows", rows.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DataThatDoNotFitAreNamed()
    {
        void Fails(string part, TrainingOptions options, TrainingRun run)
        {
            var error = Assert.Throws<LandmarkException>(() =>
            {
                using var trainer = new Trainer(options, run);
                trainer.Run(cancel: TestContext.Current.CancellationToken);
            });
            Assert.Contains(part, error.Message, StringComparison.Ordinal);
        }
        var run = tiny.Into("bad");
        Fails("'other'", TinyRun.Recipe with { Sources = new Dictionary<string, double> { ["other"] = 1 } }, run);
        Fails("'other'", TinyRun.Recipe with { TaskSources = ["other"] }, run);
        Fails("longest window 100,000 positions", TinyRun.Recipe with { Stages = [new TrainingStage { Window = 100_000, Rows = 1, TaskShare = 0 }] }, run);
        Fails("nowhere", TinyRun.Recipe, run with { Shards = tiny["nowhere"] });
        Fails("nowhere", TinyRun.Recipe, run with { Tokenizer = tiny["nowhere"] });
        Fails("another tokenizer", TinyRun.Recipe, run with { Tokenizer = Another() });
        Fails("heads", TinyRun.Recipe with { Heads = 3 }, run);
    }

    private string Another()
    {
        Directory.CreateDirectory(tiny["another"]);
        var bytes = File.ReadAllBytes(tiny.Tokenizer);
        bytes[bytes.AsSpan().IndexOf("<unk>"u8)] = (byte)'[';
        File.WriteAllBytes(Path.Combine(tiny["another"], "tokenizer.model"), bytes);
        return tiny["another"];
    }

    private static double Loss(JsonElement line) => line.GetProperty("loss").GetDouble();

    private string[] Folders(string run) =>
        [.. Directory.EnumerateDirectories(tiny[run]).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    private sealed class TorchError(string message) : ExternalException(message);
}
