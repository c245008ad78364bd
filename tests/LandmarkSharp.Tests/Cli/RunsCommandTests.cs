using System.Text.Json;
using System.Xml.Linq;
using LandmarkSharp.Cli;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;
using Spectre.Console;

namespace LandmarkSharp.Tests.Cli;

/// <summary><c>landmark runs</c> on folders of all kinds.</summary>
public sealed class RunsCommandTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task RunsAreListedAndBrokenOnesNamed()
    {
        Train("runs/first", 4);
        Train("runs/deep/second", 12);
        Write("runs/alone/metrics.jsonl", """{"step":3,"loss":2.5,"positions":300}""" + "\n{\"step\":4,\"lo");
        Write("runs/empty/run.json", "");
        Write("runs/foreign/run.json", """{"name": "of something else"}""");
        Write("runs/damaged/metrics.jsonl", "{\"step\":1}\nno line\n");

        var run = await LandmarkTool.Run("runs", tiny["runs"]);
        Assert.Equal(0, run.Code);
        Assert.Equal(3, run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("damaged/metrics.jsonl is damaged in line 2; remove", run.Error, StringComparison.Ordinal);
        Assert.Contains("empty/run.json is no record of a run, by its line 1; train", run.Error, StringComparison.Ordinal);
        Assert.Contains("foreign/run.json is no record of a run, by its line 1; train", run.Error, StringComparison.Ordinal);
        Assert.Contains("stopped", run.Output, StringComparison.Ordinal);

        var json = await LandmarkTool.Run("runs", tiny["runs"], "--json");
        var told = ToolRun.Parse(json.Output).GetProperty("runs").EnumerateArray().ToArray();
        Assert.Equal(["alone", "second", "first"], told.Select(r => Path.GetFileName(r.GetProperty("path").GetString())));
        Assert.Equal(["unknown", "done", "stopped"], told.Select(r => r.GetProperty("state").GetString()));
        Assert.Equal([3, 12, 4], told.Select(r => r.GetProperty("step").GetInt32()));
        Assert.Equal(2.5, told[0].GetProperty("loss").GetDouble());
        Assert.Equal(
            RunFolder.Read(tiny["runs/deep/second"]).Metrics["validation_loss"].Min(p => p.Value),
            told[1].GetProperty("best").GetProperty("loss").GetDouble());
        foreach (var name in (string[])["steps", "positions", "validation_loss", "positions_per_second", "parameters", "begun", "seconds"])
            Assert.True(told[1].TryGetProperty(name, out _), name);

        (await LandmarkTool.Run("runs", tiny["nowhere"])).Says("There is no folder");
        Assert.Empty((await LandmarkTool.Run("runs", tiny.Shards, "--json")).Json.GetProperty("runs").EnumerateArray());
    }

    [Fact]
    public async Task RunsAreComparedWhereTheyDiffer()
    {
        Train("a", 12);
        Train("b", 12, TinyRun.Recipe with { PeakRate = 5e-3, Stages = [new TrainingStage { Window = 96, Rows = 2, TaskShare = 0 }] });
        var told = (await LandmarkTool.Run("runs", "compare", tiny["a"], tiny["b"], "--svg", tiny["c.svg"], "--json")).Json;
        var differences = told.GetProperty("differences").EnumerateObject()
            .ToDictionary(p => p.Name, p => p.Value.EnumerateArray().Select(v => v.GetString()).ToArray());
        Assert.Equal(["peak_rate", "stages[0].window"], differences.Keys.Order());
        Assert.Equal(["0.01", "0.005"], differences["peak_rate"]);
        Assert.Equal(["done", "done"], told.GetProperty("results").GetProperty("state").EnumerateArray().Select(v => v.GetString()));
        Assert.Equal(12, told.GetProperty("curves")[1].GetProperty("points").GetArrayLength());
        Assert.Equal("svg", XDocument.Load(tiny["c.svg"]).Root!.Name.LocalName);

        var shown = await LandmarkTool.Run(
            "runs", "compare", tiny["a"], tiny["b"], "--metric", "validation_loss", "--by", "positions", "--log");
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        Assert.Contains("validation_loss by positions", shown.Output, StringComparison.Ordinal);
        Assert.Contains('┬', shown.Output);
        (await LandmarkTool.Run("runs", "compare", tiny["a"], "--metric", "lost")).Says("No run has a metric 'lost'; give one of");
        (await LandmarkTool.Run("runs", "compare", tiny.Shards)).Says("is no folder of a run");
    }

    [Fact]
    public async Task RunsDifferInTheModelAndTheAdapter()
    {
        using var from = new BaseFolder(tiny, "llama");
        foreach (var (name, lora) in new[] { ("whole", ""), ("adapted", """, "lora": {"rank": 3}""") })
        {
            var run = from.Into(tiny, name) with { Base = name == "whole" ? from.Path : from.Path + "/" };
            using var trainer = new Trainer(FineTuneTests.Recipe(from, 1, lora), run);
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        }
        var told = (await LandmarkTool.Run("runs", "compare", tiny["whole"], tiny["adapted"], "--json")).Json.GetProperty("differences");
        Assert.Equal([from.Path, from.Path + "/"], told.GetProperty("fine-tuned from").EnumerateArray().Select(v => v.GetString()));
        Assert.Equal([null, "3"], told.GetProperty("lora.rank").EnumerateArray().Select(v => v.GetString()));
        Assert.False(told.TryGetProperty("lora", out _));
    }

    [Fact]
    public async Task SamplesNeedHeldOutTexts()
    {
        File.WriteAllText(tiny["recipe.json"], TinyRun.Recipe.ToJson());
        (await LandmarkTool.Run("train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards,
            "--out", tiny["new"], "--sample-every", "5")).Says("Samples go on with held-out texts");
        Assert.False(Directory.Exists(tiny["new"]));
    }

    [Fact]
    public void WhoWatchesSeesHowFarItIs()
    {
        var (run, screen) = (Run("watched"), new StringWriter());
        var terminal = AnsiConsole.Create(
            new AnsiConsoleSettings { Out = new AnsiConsoleOutput(screen), ColorSystem = ColorSystemSupport.NoColors });
        using var trainer = new Trainer(TinyRun.Recipe, run);
        var display = new TrainingDisplay(trainer, TinyRun.Recipe, run);
        trainer.Run(p => terminal.Write(display.See(p)), TestContext.Current.CancellationToken);
        var last = screen.ToString();
        last = last[last.LastIndexOf("step  ", StringComparison.Ordinal)..];
        Assert.Matches(@"12 of 12 .*100 %, 00:00:00 left", last);
        Assert.Matches(@"loss +\d\.\d{4}, text \d\.\d{3} \(perplexity \d+\.\d\d\)", last);
        Assert.Matches(@"held out +loss \d\.\d{4}.*best \d\.\d{4}", last);
        Assert.Matches(@"speed +[\d.,]+ k positions/s *\n", last);
        Assert.Matches(@"memory +\d+\.\d GB resident", last);
        Assert.Contains('└', last);
    }

    private TrainingRun Run(string name) => tiny.Into(name) with { ValidationShards = tiny.Validation, ValidateEvery = 4 };

    private void Train(string name, long steps, TrainingOptions? recipe = null)
    {
        using var stop = new CancellationTokenSource();
        using var trainer = new Trainer(recipe ?? TinyRun.Recipe, Run(name));
        trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
    }

    private void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(tiny[path])!);
        File.WriteAllText(tiny[path], content);
    }
}
