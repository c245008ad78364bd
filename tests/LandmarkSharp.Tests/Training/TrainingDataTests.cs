using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>What a run is fed and judged by.</summary>
public sealed class TrainingDataTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void TextsOfTasksBeginWithTheMarkThatTheTokenizerPutsFirst()
    {
        var stage = new TrainingStage { Window = 512, Rows = 8, TaskShare = 1 };
        var marks = Marks(stage, tiny.Into("marks")).ToArray();
        Assert.InRange(marks.Length, 1, 40);
        Assert.All(marks, at => Assert.InRange(at, 0, 1));      // before it stands a landmark at most

        var folder = Directory.CreateDirectory(tiny["tokenizer"]).FullName;
        File.Copy(tiny.Tokenizer, Path.Combine(folder, "tokenizer.model"));
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"add_bos_token": false}""");
        Assert.Empty(Marks(stage, tiny.Into("none") with { Tokenizer = folder }));
    }

    [Fact]
    public void AStageIsJudgedByWhatItIsTrainedOn()
    {
        var recipe = TinyRun.Recipe with
        {
            Steps = 2,
            Stages =
            [
                new TrainingStage { Window = 512, Rows = 2 },
                new TrainingStage { FromStep = 1, Window = 64, Rows = 2, TaskShare = 0 },
            ],
        };
        using var data = new TrainingData(recipe, tiny.Into("judged") with { ValidationShards = tiny.Validation });
        using var decoder = TinyModel.Create(data.Model);
        var asked = data.Validation(recipe.Stages[0])!.Run(decoder);
        Assert.NotNull(asked.Loss);
        Assert.NotNull(asked.AnswerLoss);
        var read = data.Validation(recipe.Stages[1])!.Run(decoder);
        Assert.NotNull(read.Loss);
        Assert.Null(read.AnswerLoss);
        Assert.NotEqual(asked.Loss, read.Loss);     // windows of 512 and of 64

        using var alone = new TrainingData(recipe, tiny.Into("alone"));
        Assert.Null(alone.Validation(recipe.Stages[1]));
    }

    [Theory]
    [InlineData(20_000, "The held-out source 'validation' has ")]
    [InlineData(200_000, "The source 'train' has ")]
    public void ASourceShorterThanALaterStagesWindowIsNamedBeforeTheFirst(int window, string part)
    {
        var stage = TinyRun.Recipe.Stages[0];
        var recipe = TinyRun.Recipe with { Stages = [stage, stage with { FromStep = 5, Window = window }] };
        var error = Assert.Throws<LandmarkException>(() => new Trainer(recipe, tiny.Into("run") with { ValidationShards = tiny.Validation }));
        Assert.StartsWith(part, error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny["run"]));
    }

    /// <summary>Where in their rows the marks of eight batches stand.</summary>
    private static IEnumerable<int> Marks(TrainingStage stage, TrainingRun run)
    {
        var recipe = TinyRun.Recipe with { Stages = [stage] };
        using var data = new TrainingData(recipe, run);
        var maker = data.Maker(stage);
        return [.. Enumerable.Range(0, 8)
            .SelectMany(i => maker.Make(i).Inputs.Index().Where(t => t.Item == 1).Select(t => t.Index % stage.Window))];
    }
}
