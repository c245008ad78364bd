using System.Diagnostics;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary><c>landmark train</c> as a process of its own, which can be killed.</summary>
public sealed class TrainProcessTests : IDisposable
{
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Steps = 100,
        Stages = [new TrainingStage { Window = 128, Rows = 4, TaskShare = 0 }],
    };

    private readonly TinyRun tiny = new();

    public TrainProcessTests() => File.WriteAllText(tiny["recipe.json"], Recipe.ToJson());

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task AKilledRunGoesOnToTheSameCurve()
    {
        var whole = await Train("whole", killAt: null);
        Assert.Equal(0, whole.Code);

        // Killed between two checkpoints, twice; each time by the signal that no process can catch.
        foreach (var step in (int[])[17, 38])
        {
            var killed = await Train("killed", killAt: step);
            Assert.Equal(128 + 9, killed.Code);
            Assert.False(Directory.Exists(Path.Combine(tiny["killed"], "model")), "The run was done before it could be killed.");
            Assert.True(tiny.Metrics("killed").Length >= step);
        }
        var resumed = await Train("killed", killAt: null);
        Assert.True(resumed.Code == 0, resumed.Error);
        Assert.InRange(resumed.Steps[0], 31, 99);
        Assert.Equal(100, tiny.Metrics("whole").Length);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("killed"));
        Assert.Equal(whole.Steps[^resumed.Steps.Count..], resumed.Steps);

        using var engine = LandmarkEngine.Load(Path.Combine(tiny["killed"], "model"));
        using var session = engine.NewSession();
        session.Append("The quiet");
        Assert.Equal(5, session.Generate(new GenerationOptions { MaxTokens = 5 }).Count());
    }

    [Fact]
    public async Task BadInputIsOneSentence()
    {
        await Fails("""{"sources": {"train": 1}, "window": 5}""", "'window'");
        await Fails("""{"sources": {"nothing": 1}, "stages": [{"window": 128, "rows": 2, "task_share": 0}]}""", "nothing");
    }

    private async Task Fails(string recipe, string part)
    {
        File.WriteAllText(tiny["recipe.json"], recipe);
        var (code, _, error) = await Train("bad", killAt: null);
        Assert.Equal(1, code);
        Assert.Contains(part, JsonDocument.Parse(error).RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    /// <summary>Trains in a process; tells its exit code, the steps that it reported and what it said of errors.</summary>
    private async Task<(int Code, List<long> Steps, string Error)> Train(string output, int? killAt)
    {
        var cancel = TestContext.Current.CancellationToken;
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "landmark"))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1" },
            ArgumentList =
            {
                "train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--out", tiny[output],
                "--report-every", "1", "--save-every", "10", "--json",
            },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(cancel);
        List<long> steps = [];
        while (await process.StandardOutput.ReadLineAsync(cancel) is { } line)
        {
            using var told = JsonDocument.Parse(line);
            if (told.RootElement.GetProperty("event").GetString() != "step") continue;
            steps.Add(told.RootElement.GetProperty("step").GetInt64());
            if (steps[^1] != killAt) continue;
            process.Kill();
            break;
        }
        await process.WaitForExitAsync(cancel);
        return (process.ExitCode, steps, await error);
    }
}
