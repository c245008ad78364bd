using LandmarkSharp.Tensors;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>A run that was stopped goes on to the same bits, and says so when it cannot.</summary>
public sealed class TrainerResumeTests : IDisposable
{
    // The second stage begins in the middle, so that a run may stop before, in and after the change.
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Steps = 9,
        ComputeType = "bfloat16",
        Stages =
        [
            new TrainingStage { Window = 64, Rows = 4, TaskShare = 0 },
            new TrainingStage { FromStep = 4, Window = 96, Rows = 2, Accumulate = 2, TaskShare = 0 },
        ],
    };

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void AStoppedRunGoesOnToTheSameLosses()
    {
        Run("whole", Recipe.Steps);
        foreach (var stop in (ReadOnlySpan<int>)[2, 4, 7]) Run("stopped", stop);
        Run("stopped", Recipe.Steps);
        Assert.Equal(9, tiny.Metrics("whole").Length);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("stopped"));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(tiny["whole"], "model", "model.safetensors")),
            File.ReadAllBytes(Path.Combine(tiny["stopped"], "model", "model.safetensors")));
    }

    /// <summary>What is drawn for a batch is drawn again: gates, positions, where documents lie, what is controlled.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    public void AStoppedRunDrawsWhatItWouldHaveDrawn(double contextMiss)
    {
        var recipe = Recipe with { GroupDropout = 0.3, Dropout = 0.1, PositionJump = 20, Documents = DocumentPacking.Separate, ContextMiss = contextMiss };
        Run("whole", recipe.Steps, recipe: recipe);
        Run("stopped", 3, recipe: recipe);
        Run("stopped", recipe.Steps, recipe: recipe);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("stopped"));
    }

    [Fact]
    public void LayersComputedAgainChangeNothing()
    {
        var recipe = Recipe with { GroupDropout = 0.3, Dropout = 0.1 };
        Run("kept", recipe.Steps, recipe: recipe);
        Run("again", recipe.Steps, recipe: recipe with { RecomputeLayers = true });
        Assert.Equal(tiny.Metrics("kept"), tiny.Metrics("again"));
    }

    [Fact]
    public void WorkAfterTheCheckpointIsDoneAgainAndStandsOnceInTheCurve()
    {
        Run("whole", Recipe.Steps);
        Run("killed", 7, saveEvery: 3);
        // As a kill leaves it: the newest checkpoint not there yet, one half written, a line half written.
        Directory.Delete(Path.Combine(tiny["killed"], "step-00000007"), recursive: true);
        Directory.CreateDirectory(Path.Combine(tiny["killed"], "step-00000009.partial", "optimizer"));
        File.AppendAllText(Path.Combine(tiny["killed"], "metrics.jsonl"), "{\"step\":8,\"lo");
        using (var trainer = new Trainer(Recipe, tiny.Into("killed"))) Assert.Equal(6, trainer.Step);
        Run("killed", Recipe.Steps);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("killed"));
    }

    [Fact]
    public void AFinishedRunIsLeftAsItIs()
    {
        Run("done", Recipe.Steps);
        var before = tiny.Metrics("done");
        using var trainer = new Trainer(Recipe, tiny.Into("done"));
        Assert.Equal((9, (4 * 4 * 64) + (5 * 4 * 96)), (trainer.Step, trainer.Positions));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.Equal(before, tiny.Metrics("done"));
    }

    [Fact]
    public void OnlyTheNewestCheckpointsAreKept()
    {
        using var trainer = new Trainer(Recipe, tiny.Into("kept") with { SaveEvery = 2, Keep = 3 });
        trainer.Run(cancel: TestContext.Current.CancellationToken);
        Assert.Equal(
            ["step-00000006", "step-00000008", "step-00000009"],
            Directory.EnumerateDirectories(tiny["kept"], "step-*").Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));
        Assert.Equal(9, new TrainingCheckpoints(tiny["kept"]).Latest!.Value.Step);
        Assert.Null(new TrainingCheckpoints(tiny["nowhere"]).Latest);
    }

    [Fact]
    public void AnotherRecipeIsRefusedByItsField()
    {
        Run("run", 2);
        Refused(Recipe with { PeakRate = 0.5 }, "peak_rate", "0.01", "0.5");
        Refused(Recipe with { Seed = 8 }, "seed");
        Refused(Recipe with { HiddenSize = 64 }, "hidden_size");
        Refused(Recipe with { Stages = [Recipe.Stages[0]] }, "stages");
        Refused(Recipe with { Sources = new Dictionary<string, double> { ["train"] = 2 } }, "sources");
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("recipe.json")]
    [InlineData("optimizer/model.safetensors")]
    public void ADamagedCheckpointIsNamed(string file)
    {
        Run("run", 2);
        var path = Path.Combine(tiny["run"], "step-00000002", file);
        var bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, bytes[..(bytes.Length / 2)]);
        Refused(Recipe, Path.GetFileName(file));
        File.Delete(path);
        Refused(Recipe, file.Contains("safetensors", StringComparison.Ordinal) ? Path.GetDirectoryName(path)! : file);
        File.WriteAllBytes(path, bytes);
        using var whole = new Trainer(Recipe, tiny.Into("run"));
        Assert.Equal(2, whole.Step);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("recipe.json")]
    [InlineData("config.json")]
    [InlineData("optimizer/model.safetensors")]
    public void ADamagedNewestCheckpointIsLeftForOneThatIsWhole(string file)
    {
        Run("whole", Recipe.Steps);
        Run("run", 6, saveEvery: 2);
        var newest = Path.Combine(tiny["run"], "step-00000006");
        using (var shortened = File.OpenWrite(Path.Combine(newest, file))) shortened.SetLength(shortened.Length / 2);
        Refused(Recipe, Path.GetFileName(file), $"remove {newest} to go on from {Path.Combine(tiny["run"], "step-00000004")}");
        Directory.Delete(newest, recursive: true);
        Run("run", Recipe.Steps);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("run"));

        foreach (var step in Directory.EnumerateDirectories(tiny["run"], "step-*")) Directory.Delete(Path.Combine(step, "optimizer"), recursive: true);
        Refused(Recipe, "optimizer", "begin anew in another folder");
    }

    [Fact]
    public void OtherShardsAreRefused()
    {
        Run("run", 2);
        var (tokens, meta) = (Path.Combine(tiny.Shards, "train.bin"), Path.Combine(tiny.Shards, "tokens.json"));
        foreach (var path in (string[])[tokens, meta])
        {
            var bytes = File.ReadAllBytes(path);
            // The last token; and the end-of-text token, which nothing else here depends on.
            var other = (byte[])[.. bytes];
            if (path == tokens) other[^2] ^= 1;
            else other = [.. other, (byte)'\n'];
            File.WriteAllBytes(path, other);
            Refused(Recipe, "begun with other token shards than those in " + tiny.Shards, "give --shards those");
            File.WriteAllBytes(path, bytes);
        }
        Run("run", Recipe.Steps);

        // Of held-out texts a run may have none at a time, but not others: its losses would not be one curve.
        using (var judged = new Trainer(Recipe, tiny.Into("judged") with { ValidationShards = tiny.Validation, SaveEvery = 2, Limit = TimeSpan.FromSeconds(0.01) }))
            judged.Run(cancel: TestContext.Current.CancellationToken);
        new Trainer(Recipe, tiny.Into("judged")).Dispose();
        var error = Assert.Throws<LandmarkException>(
            () => new Trainer(Recipe, tiny.Into("judged") with { ValidationShards = tiny.Shards }).Dispose());
        Assert.Contains("give --validation those", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MomentsOfAnotherModelAreRefused()
    {
        Run("run", 2);
        var folder = Path.Combine(tiny["run"], "step-00000002", "optimizer");
        var file = Path.Combine(folder, "model.safetensors");
        using (var read = Weights.Open(folder))
        {
            var tensors = read.Names.Where(n => n != "second.model.norm.weight")
                .Select(n => (n, read.Get(n, read.Entry(n).Shape))).ToArray();
            SafeTensors.Write(file + ".new", tensors);
        }
        File.Move(file + ".new", file, overwrite: true);
        Refused(Recipe, "second.model.norm.weight");
    }

    private void Refused(TrainingOptions recipe, params string[] parts)
    {
        var error = Assert.Throws<LandmarkException>(() => new Trainer(recipe, tiny.Into("run")).Dispose());
        Assert.All(parts, p => Assert.Contains(p, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain('\n', error.Message);
    }

    private void Run(string name, long steps, int saveEvery = 1000, TrainingOptions? recipe = null)
    {
        using var stop = new CancellationTokenSource();
        using var trainer = new Trainer(recipe ?? Recipe, tiny.Into(name) with { SaveEvery = saveEvery });
        var done = trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
        Assert.Equal(steps, trainer.Step);
        Assert.Equal(steps == Recipe.Steps, done);
    }
}
