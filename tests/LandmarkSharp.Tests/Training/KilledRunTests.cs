using System.Diagnostics;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Training;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>A run that is killed again and again, whatever it is at, ends as one that never was; what it had kept by then is whole.</summary>
public sealed class KilledRunTests : IDisposable
{
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Steps = 160,
        WarmUp = 40,
        Stages =
        [
            new TrainingStage { Window = 64, Rows = 2, TaskShare = 0 },
            new TrainingStage { FromStep = 70, Window = 96, Rows = 1, Accumulate = 2, TaskShare = 0 },
        ],
        GroupDropout = 0.1,
        Dropout = 0.1,
    };

    private readonly TinyRun tiny = new();
    private readonly Trainer reader;        // its parameters are what checkpoints are read into
    private readonly AdamW moments;

    public KilledRunTests()
    {
        File.WriteAllText(tiny["recipe.json"], Recipe.ToJson());
        reader = new Trainer(Recipe, tiny.Into("reader"));
        moments = new AdamW(reader.Decoder.Trainable, Recipe);
    }

    public void Dispose()
    {
        moments.Dispose();
        reader.Dispose();
        tiny.Dispose();
    }

    [Fact]
    public async Task NothingIsLostWheneverItIsKilled()
    {
        var (random, kills) = (new Random(11), new Dictionary<string, int>(StringComparer.Ordinal));
        for (var i = 0; i < 22; i++)
        {
            var (what, comes) = (i % 4) switch
            {
                0 => ("start", After(TimeSpan.FromMilliseconds(random.Next(200, 1500)))),
                1 => ("step", Lines(random.Next(1, 8))),
                2 => ("step-*.partial", Seen("step-*.partial", random.Next(1, 4))),
                _ => ("best-*.partial", Seen("best-*.partial", random.Next(1, 4))),
            };
            if (!await Killed(comes, TimeSpan.FromMicroseconds(random.Next(6000)))) continue;
            kills[what] = kills.GetValueOrDefault(what) + 1;
        }
        Assert.True(kills.Values.Sum() >= 20 && kills.Count == 4, string.Join(", ", kills));

        // The finished model is written in a moment that one who looks may miss: then the run goes on once more from where it was.
        FolderState.Copy(tiny["killed"], tiny["before"]);
        for (var (left, last) = (3, 20); left > 0; last--)
        {
            Assert.True(last > 0, "It was never seen writing the finished model.");
            if (await Killed(Seen("model.partial", 1), TimeSpan.FromMicroseconds(random.Next(6000)))) left--;
            else
            {
                Directory.Delete(tiny["killed"], recursive: true);
                FolderState.Copy(tiny["before"], tiny["killed"]);
            }
        }

        var end = await Start("killed", null);
        Assert.True(end.Code == 0, end.Error);
        Assert.Equal(0, (await Start("whole", null)).Code);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("killed"));
        Assert.Equal(RunState.Done, RunFolder.Read(tiny["killed"]).State);
        Assert.Equal(Shown("whole"), Shown("killed"));
        // Samples, checkpoints, the best and the finished model, and nothing beside them.
        Assert.Equal(Files("whole"), Files("killed"));
    }

    /// <summary>Goes on with the run until something comes and a little more, kills it, and looks at what is left.</summary>
    /// <returns>False when it ended before.</returns>
    private async Task<bool> Killed(Func<Progress, bool> comes, TimeSpan later)
    {
        var (code, error, newest, best) = await Start("killed", comes, later);
        if (code == 0) return false;
        Assert.True(code == 128 + 9, error);
        var folder = tiny["killed"];
        if (!Directory.Exists(folder)) return true;

        Assert.True(Steps(folder).LastOrDefault() >= newest, $"A checkpoint of step {newest} was there.");
        foreach (var step in Steps(folder)) TrainingCheckpoints.Restore(Path.Combine(folder, $"step-{step:D8}"), reader.Decoder, moments, Recipe);
        var kept = BestModel.Of(folder);
        Assert.True((kept?.Step ?? 0) >= best, $"A best of step {best} was there.");
        foreach (var model in Directory.EnumerateDirectories(folder, "best-????????").Append(Path.Combine(folder, "model")))
            if (Directory.Exists(model)) Checkpoint.Load(model, CPU).Dispose();
        if (!File.Exists(Path.Combine(folder, "run.json"))) return true;
        var run = RunFolder.Read(folder);
        Assert.Contains(run.State, (RunState[])[RunState.Killed, RunState.Done]);
        Assert.Equal(run.Metrics["loss"].DistinctBy(p => p.Step), run.Metrics["loss"]);
        return true;
    }

    private async Task<(int Code, string Error, long Newest, long Best)> Start(
        string name, Func<Progress, bool>? comes, TimeSpan later = default)
    {
        var cancel = TestContext.Current.CancellationToken;
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "landmark"),
        [
            "train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--validation", tiny.Validation,
            "--out", tiny[name], "--report-every", "2", "--validate-every", "3", "--sample-every", "20", "--save-every", "4", "--json",
        ])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = "1", ["DOTNET_TC_QuickJit"] = "1" },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(cancel);
        var progress = new Progress(tiny[name]);
        var lines = Task.Run(
            async () =>
            {
                while (await process.StandardOutput.ReadLineAsync(cancel) is not null) progress.Told();
            },
            cancel);
        var (newest, best) = (0L, 0L);
        if (comes is not null)
        {
            while (!process.HasExited && !comes(progress)) Thread.Yield();
            for (var clock = Stopwatch.StartNew(); clock.Elapsed < later;) Thread.Yield();
            if (Directory.Exists(tiny[name])) (newest, best) = (Steps(tiny[name]).LastOrDefault(), BestModel.Of(tiny[name])?.Step ?? 0);
            process.Kill();
        }
        await process.WaitForExitAsync(cancel);
        await lines;
        return (process.ExitCode, await error, newest, best);
    }

    private static Func<Progress, bool> After(TimeSpan time) => p => p.Elapsed > time;

    private static Func<Progress, bool> Lines(int count) => p => p.Lines >= count;

    private static Func<Progress, bool> Seen(string pattern, int times)
    {
        HashSet<string> seen = [];
        return p =>
        {
            if (Directory.Exists(p.Folder)) seen.UnionWith(Directory.EnumerateDirectories(p.Folder, pattern));
            return seen.Count >= times;
        };
    }

    private static long[] Steps(string folder) =>
        [.. Directory.EnumerateDirectories(folder, "step-????????").Select(d => long.Parse(Path.GetFileName(d)[5..])).Order()];

    private List<(long, string, float)> Shown(string name) =>
        [.. EventReader.Shown(tiny[name]).Where(s => s.Tag != "positions_per_second")];

    private SortedDictionary<string, string> Files(string name) => new(
        FolderState.Of(tiny[name]).Where(f => !f.Key.StartsWith("events.", StringComparison.Ordinal) && f.Key != "run.json")
            .ToDictionary(f => f.Key, f => f.Value), StringComparer.Ordinal);

    /// <summary>How far a process is, as others see it.</summary>
    private sealed class Progress(string folder)
    {
        private readonly Stopwatch clock = Stopwatch.StartNew();
        private int lines;

        public string Folder => folder;

        public TimeSpan Elapsed => clock.Elapsed;

        public int Lines => Volatile.Read(ref lines);

        public void Told() => Interlocked.Increment(ref lines);
    }
}
