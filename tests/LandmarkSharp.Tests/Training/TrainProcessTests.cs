using System.Diagnostics;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Cli;
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
    public async Task AStepThatTakesLongIsFinishedAndSavedBeforeTheRunStops()
    {
        File.WriteAllText(tiny["recipe.json"], (Recipe with { Stages = [Recipe.Stages[0] with { Accumulate = 300 }] }).ToJson());
        var asked = false;
        var (code, _, error) = await Start(
            (line, process) =>
            {
                // What 'kill' and Ctrl-C do: ask.
                if (!asked && line.Contains("\"step\"", StringComparison.Ordinal))
                    Process.Start("sh", ["-c", $"kill -TERM {process.Id}"]).Dispose();
                asked = true;
                return true;
            },
            [.. Arguments("stopped"), "--json"]);
        Assert.Equal((130, ""), (code, error));
        var steps = tiny.Metrics("stopped").Length;
        Assert.InRange(steps, 1, 3);
        Assert.Equal($"step-{steps:00000000}", Path.GetFileName(Assert.Single(Directory.EnumerateDirectories(tiny["stopped"]))));
    }

    [Fact]
    public async Task AModelThatWouldReadFartherThanItIsTrainedIsToldOf()
    {
        string[] train = ["train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--out", tiny["run"], "--json"];
        File.WriteAllText(tiny["recipe.json"], (Recipe with { Steps = 1, TopK = 5 }).ToJson());
        var told = await LandmarkTool.Run(train);
        Assert.Equal(0, told.Code);
        Assert.Equal(
            "{\"warning\":\"The recipe's top_k and window_blocks take 144 positions, and its windows have 128; "
            + "lower them, or the finished model may read badly.\"}\n", told.Error);
    }

    [Fact]
    public async Task BadInputIsOneSentence()
    {
        await Fails("""{"sources": {"train": 1}, "window": 5}""", "'window'");
        await Fails("""{"sources": {"nothing": 1}, "stages": [{"window": 128, "rows": 2, "task_share": 0}]}""", "nothing");
    }

    [Fact]
    public async Task PeopleSeeWhatThereIsWhateverTheFolderIsCalled()
    {
        File.WriteAllText(tiny["recipe.json"], (Recipe with { Steps = 2 }).ToJson());
        var (code, said, error) = await Start(null, [.. Arguments("run[x]"), "--validation", tiny.Validation]);
        Assert.True(code == 0, error);
        var lines = said.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Matches(@"^step 1 of 2: loss \d\.\d{4}, text \d\.\d{3}, \d+\.\d k positions/s, 00:\d\d:\d\d left$", lines[1]);
        Assert.Matches(@"^step 2 of 2: held-out perplexity \d+\.\d\d$", lines[3]);
        Assert.Contains("run[x]", said.ReplaceLineEndings(""), StringComparison.Ordinal);
        Assert.True(Directory.Exists(Path.Combine(tiny["run[x]"], "model")));
    }

    [Theory]
    [InlineData("cpu,cpu", "The device cpu is given more than once")]
    [InlineData("cpu, gpu", "no device called 'gpu'")]
    public async Task DevicesThatCannotShareTheWorkAreRefused(string devices, string part)
    {
        var (code, _, error) = await Start(null, [.. Arguments("none"), "--device", devices]);
        Assert.Equal(1, code);
        Assert.Contains(part, error, StringComparison.Ordinal);
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
        List<long> steps = [];
        var (code, _, error) = await Start(
            (line, _) =>
            {
                using var told = JsonDocument.Parse(line);
                if (told.RootElement.GetProperty("event").GetString() != "step") return true;
                steps.Add(told.RootElement.GetProperty("step").GetInt64());
                return steps[^1] != killAt;
            },
            [.. Arguments(output), "--save-every", "10", "--json"]);
        return (code, steps, error);
    }

    private string[] Arguments(string output) =>
    [
        "train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--out", tiny[output],
        "--report-every", "1",
    ];

    /// <summary>Runs the tool until it ends, or until it prints a line at which it is killed.</summary>
    private static async Task<(int Code, string Output, string Error)> Start(Func<string, Process, bool>? goesOn, params string[] arguments)
    {
        var cancel = TestContext.Current.CancellationToken;
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "landmark"))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1" },
        };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(cancel);
        var output = new StringBuilder();
        while (await process.StandardOutput.ReadLineAsync(cancel) is { } line)
        {
            output.AppendLine(line);
            if (goesOn?.Invoke(line, process) != false) continue;
            process.Kill();
            break;
        }
        await process.WaitForExitAsync(cancel);
        return (process.ExitCode, output.ToString(), await error);
    }
}
