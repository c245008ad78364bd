using System.Text.Json;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training.Distributed;

/// <summary><c>mpirun landmark train</c>: two processes train as one does, stop together, and fail together.</summary>
public sealed class MpiTests : IDisposable
{
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Steps = 24,
        Stages =
        [
            new TrainingStage { Window = 96, Rows = 2, Accumulate = 4, TaskShare = 0 },
            new TrainingStage { FromStep = 16, Window = 512, Rows = 2, Accumulate = 2, TaskShare = 0.5 },
        ],
    };

    private static readonly TrainingOptions Long = Recipe with { Steps = 5000, Stages = [Recipe.Stages[0]] };

    private readonly TinyRun tiny = new();

    public MpiTests() => Mpirun.Needed();

    public void Dispose() => tiny?.Dispose();

    [Fact]
    public async Task TwoTrainAsOneDoes()
    {
        One("one", Recipe, validate: 12);
        var (code, output, error) = await Mpirun.Two(
            null,
            [.. Arguments("two", Recipe), "--save-every", "15", "--validation", tiny.Validation, "--validate-every", "12", "--sample-every", "12"]);
        Assert.True(code == 0, error);
        SameCurve("one", "two", 1e-4);
        // One process alone tells and writes.
        var steps = output.Split('\n').Where(l => l.Contains("\"event\":\"step\"", StringComparison.Ordinal)).ToArray();
        Assert.Equal(24, steps.Length);
        Assert.Equal(8, File.ReadAllLines(Path.Combine(tiny["two"], "samples.jsonl")).Length);
        string[] left = ["best-00000024", "model", "step-00000015", "step-00000024"];
        Assert.Equal(left, Directory.EnumerateDirectories(tiny["two"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(2, RunRecord.Load(tiny["two"]).Sessions[^1].Processes);
    }

    [Fact]
    public async Task TheyStopTogetherAndAnyNumberGoesOn()
    {
        var stopped = await TwoUntil("moved", 6);
        One("moved", Long, until: stopped + 4);
        var end = await TwoUntil("moved", stopped + 8);
        Assert.Equal([2, null, 2], RunRecord.Load(tiny["moved"]).Sessions.Select(s => s.Processes));
        One("whole", Long, until: end);
        SameCurve("whole", "moved", 1e-4);
    }

    [Fact]
    public async Task OneThatIsKilledEndsTheOther()
    {
        var killed = false;
        var (code, _, _) = await Mpirun.Two(
            (line, run) =>
            {
                if (killed || !line.Contains("\"step\":25,", StringComparison.Ordinal)) return;
                killed = true;
                run.Signal("KILL", rank: 1);
            },
            [.. Arguments("killed", Long), "--save-every", "10"]);
        Assert.NotEqual(0, code);
        Assert.False(Directory.Exists(Path.Combine(tiny["killed"], "model")));
        Assert.InRange(new TrainingCheckpoints(tiny["killed"]).Latest!.Value.Step, 20, Long.Steps - 10);
        // mpirun ends the first process, and does not wait until it is gone.
        Assert.True(SpinWait.SpinUntil(() => RunRecord.Load(tiny["killed"]).State == RunState.Killed, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task OneThatFailsSaysWhyAndEndsTheOther()
    {
        await Fails(
            "Process 1 would go on from step 0, and the first process from step 0 or with another recipe",
            Arguments("other", Recipe with { Seed = 8 }));
        await Fails(
            "Process 1 has other token shards",
            [.. Arguments("other", Recipe).Select(a => a == tiny.Shards ? Shards() : a)]);
        await Fails("Process 1 has other token shards", [.. Arguments("other", Recipe), "--validation", tiny.Validation]);

        async Task Fails(string part, string[] second)
        {
            var (code, _, error) = await Mpirun.Each(Arguments("other", Recipe), second);
            Assert.Equal(1, code);
            Assert.Contains(part, error, StringComparison.Ordinal);
            Assert.False(File.Exists(Path.Combine(tiny["other"], "metrics.jsonl")));
        }

        // As many tokens of the same tokenizer and source, and one of them another.
        string Shards()
        {
            var folder = tiny["changed"];
            Directory.CreateDirectory(folder);
            foreach (var file in Directory.EnumerateFiles(tiny.Shards)) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
            var tokens = Directory.EnumerateFiles(folder, "*.bin").First();
            var bytes = File.ReadAllBytes(tokens);
            (bytes[0], bytes[2]) = (bytes[2], bytes[0]);
            Assert.NotEqual(bytes[0], bytes[2]);
            File.WriteAllBytes(tokens, bytes);
            return folder;
        }
    }

    [Fact]
    public async Task WhatTheyCannotShareAlikeIsSaid()
    {
        var odd = Recipe with { Stages = [Recipe.Stages[0] with { Accumulate = 3 }] };
        var (code, _, error) = await Mpirun.Two(null, Arguments("odd", odd));
        Assert.Equal(1, code);
        Assert.Contains("accumulates 3 batches, which 2 processes cannot share alike", error, StringComparison.Ordinal);
    }

    /// <summary>Trains in two processes until a step is reported, then asks the second to stop; the first learns of it from that.</summary>
    /// <returns>Steps done.</returns>
    private async Task<long> TwoUntil(string name, long step)
    {
        var asked = false;
        var (code, _, error) = await Mpirun.Two(
            (line, run) =>
            {
                if (asked || !line.Contains($"\"step\":{step},", StringComparison.Ordinal)) return;
                asked = true;
                run.Signal("TERM", rank: 1);
            },
            Arguments(name, Long));
        Assert.True(code == 130, error);
        var done = tiny.Metrics(name).Length;
        Assert.InRange(done, step, Long.Steps - 1);
        Assert.Equal(done, new TrainingCheckpoints(tiny[name]).Latest!.Value.Step);
        Assert.Equal(RunState.Stopped, RunRecord.Load(tiny[name]).State);
        return done;
    }

    /// <summary>Trains in this process.</summary>
    private void One(string name, TrainingOptions recipe, int validate = 1000, long? until = null)
    {
        using var stop = new CancellationTokenSource();
        using var trainer = new Trainer(recipe, tiny.Into(name) with
        {
            ValidationShards = validate < 1000 ? tiny.Validation : null,
            ValidateEvery = validate,
            ValidationBatches = 8,
            ValidationRows = 32,
        });
        Assert.Equal(until is null, trainer.Run(p => { if (p.Line.Step == until) stop.Cancel(); }, stop.Token));
    }

    private string[] Arguments(string output, TrainingOptions recipe)
    {
        var path = tiny[$"recipe-{recipe.Steps}-{recipe.Stages[0].Accumulate}-{recipe.Seed}.json"];
        File.WriteAllText(path, recipe.ToJson());
        return
        [
            "train", path, "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--out", tiny[output], "--report-every", "1", "--json",
        ];
    }

    private void SameCurve(string one, string other, double tolerance)
    {
        var (expected, found) = (tiny.Metrics(one), tiny.Metrics(other));
        Assert.Equal(expected.Length, found.Length);
        foreach (var (a, b) in expected.Zip(found))
        {
            using var x = JsonDocument.Parse(a);
            using var y = JsonDocument.Parse(b);
            Assert.Equal(x.RootElement.EnumerateObject().Select(p => p.Name), y.RootElement.EnumerateObject().Select(p => p.Name));
            foreach (var field in x.RootElement.EnumerateObject().Where(p => !p.NameEquals("gradient_norm")))
                Assert.Equal(field.Value.GetDouble(), y.RootElement.GetProperty(field.Name).GetDouble(), tolerance);
        }
    }
}
