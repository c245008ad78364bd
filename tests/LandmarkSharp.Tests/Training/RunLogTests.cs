using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>What a run leaves in its folder, whole or killed.</summary>
public sealed class RunLogTests : IDisposable
{
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Stages = [new TrainingStage { Window = 64, Rows = 4, TaskShare = 0 }],
    };

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void TheRecordSaysWhatARunIsMadeFrom()
    {
        Run("run", 5);
        Run("run", 12);
        var record = RunFolder.Read(tiny["run"]).Record!;
        Assert.Equal(Recipe.ToJson(), TrainingOptions.Parse(record.Recipe.ToString(), "run.json").ToJson());
        Assert.Equal((12, RunState.Done), (record.Steps, record.State));
        using (var trainer = new Trainer(Recipe, Options("other")))
            Assert.Equal(trainer.Decoder.Parameters.Values.Sum(p => p.numel()), record.Parameters);
        Assert.Equal(LandmarkSharp.Text.Tokenizer.Load(tiny.Tokenizer).Fingerprint, record.TokenizerFingerprint);
        Assert.Equal(tiny.Shards, record.Shards.Folder);
        Assert.Matches("^[0-9a-f]{64}$", record.Shards.Fingerprint);
        Assert.NotEqual(record.Shards.Fingerprint, record.Validation!.Fingerprint);
        Assert.Equal(new FileInfo(Path.Combine(tiny.Shards, "train.bin")).Length / 2, record.Shards.Tokens["train"]);
        Assert.Equal(new RunIntervals(Report: 1, Validate: 4, Sample: 3, Save: 1000, Keep: 2, LimitSeconds: null), record.Every);
        Assert.Equal([(0L, 5L, RunState.Stopped), (5L, 12L, RunState.Done)], record.Sessions.Select(s => (s.FromStep, s.Step, s.State)));
        foreach (var session in record.Sessions)
        {
            Assert.InRange(session.Ended!.Value - session.Started, TimeSpan.Zero, TimeSpan.FromMinutes(5));
            Assert.True(session.PositionsPerSecond > 0);
            Assert.StartsWith("cpu", Assert.Single(session.Devices), StringComparison.Ordinal);
            Assert.StartsWith("0.1.0", session.Version, StringComparison.Ordinal);
            Assert.Matches(@"^\d+\.\d+\.\d+$", session.LibTorch);
            Assert.Equal((Environment.MachineName, Environment.ProcessId), (session.Machine, session.Process));
        }
        var before = File.ReadAllText(Path.Combine(tiny["run"], "run.json"));
        Run("run", 12);
        Assert.Equal(before, File.ReadAllText(Path.Combine(tiny["run"], "run.json")));
    }

    [Fact]
    public void AFingerprintOfShardsKnowsWhereDocumentsStart()
    {
        Run("run", 1);
        var path = Path.Combine(tiny.Shards, "train.docs");
        var starts = File.ReadAllBytes(path);
        starts[0]++;
        File.WriteAllBytes(path, starts);
        Run("other", 1);
        Assert.NotEqual(
            RunFolder.Read(tiny["run"]).Record!.Shards.Fingerprint, RunFolder.Read(tiny["other"]).Record!.Shards.Fingerprint);
    }

    [Fact]
    public void AFinishedModelIsWholeOrIsWrittenAgain()
    {
        Run("run", 12);
        var model = Path.Combine(tiny["run"], "model");
        // Killed while it was written: what has the name is whole, and the same command writes it.
        Directory.Move(model, model + ".partial");
        File.Delete(Path.Combine(model + ".partial", "model.safetensors"));
        File.WriteAllText(Path.Combine(model + ".partial", "left"), "");
        Run("run", 12);
        Assert.False(Directory.Exists(model + ".partial"));
        Assert.False(File.Exists(Path.Combine(model, "left")));
        LandmarkEngine.Load(model).Dispose();
        // A whole one stays, with what someone put there.
        File.WriteAllText(Path.Combine(model, "notes"), "");
        Run("run", 12);
        Assert.True(File.Exists(Path.Combine(model, "notes")));
    }

    [Fact]
    public void ASecondThatWouldTrainIntoTheFolderIsRefusedAndChangesNothing()
    {
        using var first = new Trainer(Recipe, Options("run"));
        var told = 0;
        Assert.True(first.Run(
            _ =>
            {
                if (told++ > 0) return;
                using var second = new Trainer(Recipe, Options("run"));
                var before = Files();
                Assert.StartsWith("Another process trains into ", Assert.Throws<LandmarkException>(() => second.Run()).Message, StringComparison.Ordinal);
                Assert.Equal(before, Files());
            },
            TestContext.Current.CancellationToken));
        Run("run", 12);      // it was let go

        (string Path, string Text)[] Files() =>
            [.. Directory.EnumerateFiles(tiny["run"]).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)).Order().Select(f => (f, File.ReadAllText(f)))];
    }

    [Fact]
    public void AHeldOutLossThatIsNoNumberEndsTheRun()
    {
        using var trainer = new Trainer(
            Recipe with { WarmUp = 0, PeakRate = 1e38 }, Options("run") with { ValidateEvery = 1, ReportEvery = 1, SampleEvery = 0 });
        var error = Assert.Throws<LandmarkException>(() => trainer.Run(cancel: TestContext.Current.CancellationToken));
        Assert.Contains("The held-out loss is NaN at step 1", error.Message, StringComparison.Ordinal);
        Assert.Null(BestModel.Of(tiny["run"]));
        Assert.Equal(RunState.Failed, RunFolder.Read(tiny["run"]).State);
    }

    [Fact]
    public void ARunThatEndsWithoutAWordWasKilledOrFailed()
    {
        using (var trainer = new Trainer(Recipe, Options("failed")))
            Assert.Throws<TimeZoneNotFoundException>(() => trainer.Run(_ =>
            {
                Assert.Equal(RunState.Running, RunFolder.Read(tiny["failed"]).State);
                throw new TimeZoneNotFoundException();
            }));
        Assert.Equal(RunState.Failed, RunFolder.Read(tiny["failed"]).State);

        var path = Path.Combine(tiny["failed"], "run.json");
        var running = File.ReadAllText(path).Replace("\"failed\"", "\"running\"", StringComparison.Ordinal);
        File.WriteAllText(
            path, running.Replace($"\"process\": {Environment.ProcessId}", "\"process\": 2147483000", StringComparison.Ordinal));
        Assert.Equal(RunState.Killed, RunFolder.Read(tiny["failed"]).State);
        // A record that is damaged is written anew: what is computed does not depend on it.
        File.WriteAllText(path, running[..200]);
        Assert.Throws<LandmarkException>(() => RunFolder.Read(tiny["failed"]));
        Run("failed", 12);
        Assert.Equal(RunState.Done, RunFolder.Read(tiny["failed"]).State);
    }

    [Fact]
    public void EventsHoldWhatMetricsDo()
    {
        Run("run", 12);
        var file = Assert.Single(Directory.EnumerateFiles(tiny["run"], "events.out.tfevents.*"));
        var events = EventReader.Read(file);
        Assert.Equal("brain.Event:2", events[0].Version);
        Assert.Equal((true, 1L), (events[1].IsStart, events[1].Step));
        Assert.All(events, e => Assert.Equal(DateTimeOffset.UtcNow.ToUnixTimeSeconds(), e.WallTime, 300.0));
        Assert.Equal(Metrics("run"), Shown("run"));
        Assert.Equal(12, EventReader.Shown(tiny["run"]).Count(s => s.Tag == "positions_per_second"));
    }

    [Fact]
    public void AKilledRunLeavesEveryStepOnce()
    {
        Run("whole", 12);
        Run("killed", 7, saveEvery: 3);
        // As a kill leaves it: the newest checkpoint is gone, and the last line or record of each file is cut short.
        Directory.Delete(Path.Combine(tiny["killed"], "step-00000007"), recursive: true);
        var file = Assert.Single(Directory.EnumerateFiles(tiny["killed"], "events.out.tfevents.*"));
        File.AppendAllText(Path.Combine(tiny["killed"], "samples.jsonl"), """{"step":9,"source":"validation","prompt":"The brig""");
        foreach (var path in (string[])[file, Path.Combine(tiny["killed"], "metrics.jsonl")])
        {
            using var stream = File.OpenWrite(path);
            stream.SetLength(stream.Length - 7);
        }
        Assert.Equal(6, RunFolder.Read(tiny["killed"]).Step);
        Run("killed", 12);
        Assert.Equal(2, Directory.EnumerateFiles(tiny["killed"], "events.out.tfevents.*").Count());
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("killed"));
        Assert.Equal(Metrics("whole"), Shown("killed"));
        Assert.Equal(Samples("whole"), Samples("killed"));
    }

    [Fact]
    public void SamplesGoOnWithTheSameBeginnings()
    {
        Run("run", 12);
        var samples = Samples("run").Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        Assert.Equal([3, 6, 9, 12], samples.Select(s => s.GetProperty("step").GetInt32()).Distinct());
        Assert.Equal(16, samples.Length);
        var text = File.ReadAllText(tiny["validation.txt"]);
        Assert.All(samples, s => Assert.StartsWith(s.GetProperty("prompt").GetString()!.TrimStart(), text, StringComparison.Ordinal));
        Assert.All(samples, s => Assert.Equal("validation", s.GetProperty("source").GetString()));
        Assert.Contains(samples, s => s.GetProperty("text").GetString()!.Length > 10);

        // What the model writes does not change what it learns.
        using (var trainer = new Trainer(Recipe, Options("without") with { SampleEvery = 0 }))
            trainer.Run(cancel: TestContext.Current.CancellationToken);
        Assert.Equal(tiny.Metrics("run"), tiny.Metrics("without"));
        Assert.False(File.Exists(Path.Combine(tiny["without"], "samples.jsonl")));
    }

    [Fact]
    public void TheBestModelIsKeptBesideTheNewest()
    {
        // With such a rate it is best before its end.
        using (var trainer = new Trainer(
            Recipe with { Steps = 20, WarmUp = 10, PeakRate = 1, FinalRate = 1 },
            Options("run") with { ValidateEvery = 2, SaveEvery = 5, Keep = 1, SampleEvery = 0 }))
            trainer.Run(cancel: TestContext.Current.CancellationToken);
        var run = RunFolder.Read(tiny["run"]);
        var least = run.Metrics["validation_loss"].MinBy(p => p.Value);
        Assert.True(least.Step < 20);
        Assert.Equal((least.Step, least.Value), (run.Best!.Step, run.Best.Loss));
        Assert.Equal(run.Best, BestModel.Of(tiny["run"]));
        Assert.Equal(
            [run.Best.Folder, "model", "step-00000020"],
            Directory.EnumerateDirectories(tiny["run"]).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));
        using var engine = LandmarkEngine.Load(Path.Combine(tiny["run"], run.Best.Folder));
        using var session = engine.NewSession();
        session.Append("The quiet");
        Assert.Equal(3, session.Generate(new GenerationOptions { MaxTokens = 3 }).Count());
    }

    [Fact]
    public void AKillLeavesAWholeBest()
    {
        var folder = tiny["best"];
        void Write(string path) => File.WriteAllText(Path.Combine(path, "weights"), path);
        Assert.Null(BestModel.Of(folder));
        Assert.Equal(4, new BestModel(4, 3.0).Keep(folder, Write).Step);
        Assert.Equal(4, new BestModel(6, 3.5).Keep(folder, Write).Step);

        // Killed while it writes, and before the old one is gone; a folder of someone's own stays.
        Assert.Throws<TimeZoneNotFoundException>(() => new BestModel(8, 2).Keep(folder, _ => throw new TimeZoneNotFoundException()));
        Assert.Equal(new BestModel(4, 3.0), BestModel.Of(folder));
        Directory.CreateDirectory(Path.Combine(folder, "best-of-all"));
        var before = FolderState.Of(folder);
        new BestModel(8, 2).Keep(folder, Write);
        foreach (var name in before.Keys)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(folder, name))!);
            File.WriteAllText(Path.Combine(folder, name), name.EndsWith("json", StringComparison.Ordinal) ? """{"step":4,"loss":3}""" : "");
        }
        Assert.Equal(new BestModel(8, 2), BestModel.Of(folder));
        new BestModel(10, 1).Keep(folder, Write);
        Assert.Equal(
            ["best-00000010", "best-of-all"],
            Directory.EnumerateDirectories(folder).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal));
        // A later stage's windows are longer or shorter: its losses do not compare.
        Assert.Equal(12, (new BestModel(12, 5) { Stage = 11 }).Keep(folder, Write).Step);
        Assert.Equal(12, (new BestModel(14, 6) { Stage = 11 }).Keep(folder, Write).Step);
        BestModel.Clear(folder);
        Assert.Equal("best-of-all", Path.GetFileName(Assert.Single(Directory.EnumerateDirectories(folder))));
    }

    private TrainingRun Options(string name) => tiny.Into(name) with
    {
        ValidationShards = tiny.Validation,
        ValidateEvery = 4,
        SampleEvery = 3,
    };

    private void Run(string name, long steps, int saveEvery = 1000)
    {
        using var stop = new CancellationTokenSource();
        using var trainer = new Trainer(Recipe, Options(name) with { SaveEvery = saveEvery });
        trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
    }

    private string[] Samples(string name) => File.ReadAllLines(Path.Combine(tiny[name], "samples.jsonl"));

    private List<(long, string, float)> Metrics(string name) =>
    [
        .. tiny.Metrics(name).Select(l => JsonDocument.Parse(l).RootElement).SelectMany(l => l.EnumerateObject()
            .Where(p => p.Name != "step").Select(p => (l.GetProperty("step").GetInt64(), p.Name, p.Value.GetSingle()))),
    ];

    private List<(long, string, float)> Shown(string name) =>
        [.. EventReader.Shown(tiny[name]).Where(s => s.Tag != "positions_per_second")];
}
