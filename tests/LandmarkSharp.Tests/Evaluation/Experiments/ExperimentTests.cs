using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Evaluation.Experiments;

/// <summary>Every experiment from training to its table, at a size at which figures mean nothing.</summary>
public sealed class ExperimentTests : IDisposable
{
    private readonly TinyLaboratory tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData("table2", 9, 9)]
    [InlineData("table3", 10, 3)]
    [InlineData("figure5", 3, 2)]
    [InlineData("figure6", 8, 4)]
    [InlineData("figure7", 4, 2)]
    public void RunsFromEndToEnd(string name, int rows, int claims)
    {
        var result = Run(name);
        Assert.Equal((rows, claims), (result.Rows.Count, result.Claims.Count));
    }

    [Theory]
    [InlineData(Architecture.Llama)]
    [InlineData(Architecture.Gpt)]
    public void PassKeysAreAskedForBeforeAndAfterFineTuning(Architecture architecture)
    {
        var result = Run("figure3", TinyLaboratory.Recipe with
        {
            Architecture = architecture,
            Stages = [new TrainingStage { Window = 512, Rows = 1, TaskShare = 0.5 }],
            TaskSources = ["train"],
        });
        Assert.Equal(["256", "448", "1024", "2048", "4096", "8192", "16384", "32768"], result.Rows.Select(r => r[0]));
        Assert.True(result.Chart!.IsLogAcross);
        Assert.Equal(["adapter-1", "base-1", "tuned-1"], Directory.EnumerateDirectories(tiny.Models).Select(Path.GetFileName).Order());
    }

    /// <summary>Models of Table 1 train on as many positions a step, and the Transformer-XL's segments are four windows.</summary>
    [Fact]
    public void PlainModelsAreOfTheSameTraining()
    {
        var result = Run("table1");
        Assert.Equal((13, 9), (result.Rows.Count, result.Claims.Count));
        var trained = Directory.EnumerateDirectories(tiny.Models).ToDictionary(f => Path.GetFileName(f), Recipe);
        Assert.Equal(["landmark-1", "plain-59-1", "plain-80-1", "recurrent-1"], trained.Keys.Order());
        Assert.Equal((59, 5), (trained["plain-59-1"].Stages[0].Window, trained["plain-59-1"].Stages[0].Rows));
        Assert.Equal((320, 1), (trained["recurrent-1"].Stages[0].Window, trained["recurrent-1"].Stages[0].Rows));
        Assert.Equal((40, 40), (trained["recurrent-1"].Recurrence!.Window, trained["recurrent-1"].Recurrence!.Cache));
        Assert.All(trained.Values, r => Assert.InRange(r.Stages[0].Rows * r.Stages[0].Window, 290, 320));
    }

    [Fact]
    public void SeveralSeedsAreAMeanAndEachOfThem()
    {
        var result = Run("table2", size: new ExperimentSize([1, 2], HeldOut: 640));
        Assert.All(result.Rows, r => Assert.Matches(@"^\d+\.\d\d \(\d+\.\d\d, \d+\.\d\d\)$", r[5]));
        Assert.Equal(["landmark-1", "landmark-2"], Directory.EnumerateDirectories(tiny.Models).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void ConditionsSayAtWhatSizeFiguresWereTaken()
    {
        using var lab = tiny.Open(size: new ExperimentSize([3, 4], HeldOut: 640));
        var told = ExperimentConditions.Of(lab, Experiment.All[0]).ToDictionary(c => c.Name, c => c.Value);
        using var trainer = new Trainer(lab.OnText(3), tiny.Tiny.Into("other"));
        Assert.StartsWith($"{trainer.Decoder.ParameterCount / 1e6:F1} M parameters: llama, 2 layers of 32", told["landmark model"], StringComparison.Ordinal);
        Assert.Equal("2 steps of 320 positions, 640 in all, in windows of 80", told["training"]);
        Assert.Equal(("3, 4", "cpu, float32"), (told["seeds"], told["device"]));
        Assert.Equal("3", ExperimentConditions.Of(lab, Experiment.All.Single(e => e.Name == "figure5")).Single(c => c.Name == "seeds").Value);
    }

    private TrainingOptions Recipe(string folder)
    {
        File.WriteAllText(tiny.Tiny["recipe.json"], RunRecord.Find(folder)!.Recipe.GetRawText());
        return TrainingOptions.Load(tiny.Tiny["recipe.json"]);
    }

    private ExperimentResult Run(string name, TrainingOptions? recipe = null, ExperimentSize? size = null)
    {
        using var lab = tiny.Open(recipe, size);
        var result = Experiment.All.Single(e => e.Name == name).Run(lab);
        Assert.All(result.Rows, r => Assert.Equal(result.Columns.Count, r.Count));
        Assert.All(result.Rows.SelectMany(r => r), cell => Assert.DoesNotContain("NaN", cell, StringComparison.Ordinal));
        foreach (var (_, points) in result.Chart?.Curves ?? [])
        {
            Assert.All(points, p => Assert.True(double.IsFinite(p.X) && double.IsFinite(p.Y)));
            Assert.NotEmpty(points);
        }
        return result;
    }
}
