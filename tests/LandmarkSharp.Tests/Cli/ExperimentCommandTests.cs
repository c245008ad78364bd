using LandmarkSharp.Tests.Evaluation.Experiments;

namespace LandmarkSharp.Tests.Cli;

/// <summary><c>landmark experiment</c>: a page and a picture, or one sentence.</summary>
public sealed class ExperimentCommandTests : IDisposable
{
    private readonly TinyLaboratory tiny = new();

    public ExperimentCommandTests() => File.WriteAllText(tiny.Tiny["recipe.json"], TinyLaboratory.Recipe.ToJson());

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task APageAndAPictureAreLeft()
    {
        // A thousandth of a second trains nothing; the same command goes on.
        var stopped = (await Run("figure6", "--limit", "0.001", "--json")).Lines[^1];
        Assert.Equal(("end", false), (stopped.GetProperty("event").GetString(), stopped.GetProperty("done").GetBoolean()));
        var told = await Run("figure6", "--limit", "0.001");
        Assert.Equal(0, told.Code);
        Assert.EndsWith("Stopped; the same command goes on from there.\n", told.Output, StringComparison.Ordinal);

        var lines = (await Run("figure6", "--json")).Lines;
        Assert.Contains(lines, l => l.GetProperty("event").GetString() == "doing");
        var end = lines[^1];
        Assert.True(end.GetProperty("done").GetBoolean());
        Assert.Equal((8, 4), (end.GetProperty("rows").GetArrayLength(), end.GetProperty("claims").GetArrayLength()));
        var page = File.ReadAllLines(end.GetProperty("page").GetString()!);
        Assert.StartsWith("| landmark model | ", page[4], StringComparison.Ordinal);
        Assert.Contains("| device | cpu, float32 |", page);
        Assert.Equal("![Perplexity of texts read in one piece, with and without position jumps](figure6.svg)", page[^1]);
        Assert.StartsWith("<svg", File.ReadAllText(Path.Combine(tiny.Folder, "figure6.svg")), StringComparison.Ordinal);

        var again = await Run("figure6");
        Assert.Equal((0, ""), (again.Code, again.Error));
        Assert.StartsWith("Perplexity of texts read in one piece", again.Output, StringComparison.Ordinal);     // nothing is done again
        Assert.EndsWith($"Written to {Path.Combine(tiny.Folder, "figure6.md")}.\n", again.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsWrongIsSaidInASentence()
    {
        (await Run("table1", "--seeds", "1", "1")).Says("The seed 1 is given more than once");
        (await Run("figure5", "--seeds", "1", "2")).Says("figure5 is of one seed");
        (await Run("figure3", "--json")).SaysAsJson("has task_share 0");
        (await Run("table1", "--held-out", "0")).Says("A perplexity of 0 held-out tokens");
        (await Run("figure3", "--trials", "0")).Says("A test of 0 prompts");
        (await Run("table1", "--limit", "0")).Says("The limit is 0 seconds");
        Directory.Delete(tiny.Tiny.Validation, recursive: true);
        (await Run("table1")).Says("There are no token shards");
        Assert.Equal(2, (await Run("table9")).Code);
        Assert.Equal(2, (await Run("table1", "--seeds", "one")).Code);
        Assert.Equal(2, (await Run("table1", "--seeds")).Code);
        Assert.False(Directory.Exists(tiny.Folder));
    }

    private Task<ToolRun> Run(string name, params string[] more) => LandmarkTool.Run(
    [
        "experiment", name, "--recipe", tiny.Tiny["recipe.json"], "--tokenizer", tiny.Tiny.Tokenizer, "--shards", tiny.Tiny.Shards,
        "--validation", tiny.Tiny.Validation, "--out", tiny.Folder, "--device", "cpu", .. more.Contains("--held-out") ? more : [.. more, "--held-out", "640"],
    ]);
}
