using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Documents of memory files ranked by the tool.</summary>
public sealed class MemorySearchCommandTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task DocumentsAreRanked()
    {
        var (one, two) = (await Memory("one", folder.Write("one.txt", "The door is blue. "), model.Text), await Memory("two", folder.Write("two.txt", "The key is in box 7. ")));
        var found = (await Run("The key is in", one, two, "--json")).Json;
        Assert.Equal(3, found.GetProperty("of").GetInt32());
        var documents = found.GetProperty("documents").EnumerateArray().ToArray();
        Assert.Equal(3, documents.Length);
        Assert.Equal(documents.Select(d => d.GetProperty("mass").GetDouble()).OrderDescending(), documents.Select(d => d.GetProperty("mass").GetDouble()));
        Assert.All(documents, d => Assert.Equal(
            d.GetProperty("name").GetString(), Assert.Single(d.GetProperty("passages").EnumerateArray()).GetProperty("document").GetString()));
        Assert.Single((await Run("The key is in", one, two, "--top", "1", "--layer", "1", "--head", "0", "--json")).Json.GetProperty("documents").EnumerateArray());
        var shown = (await Run("The key is in", two)).Output.Replace("\u00A0", " ", StringComparison.Ordinal);
        Assert.Matches(@"^\[1\] two\.txt \d+\.\d ?%\n +\d+\.\d ?%  two\.txt, tokens \d+ to \d+ ", shown);
        // After an answer, those that it was read from.
        var answer = (await LandmarkTool.Run("ask", "Which?", "--memory", one, "--memory", two, "--model", model.Path, "--max-tokens", "3", "--json")).Lines[^1];
        var read = answer.GetProperty("documents").EnumerateArray().Select(d => d.GetProperty("name").GetString()).ToArray();
        Assert.NotEmpty(read);
        Assert.Subset(new HashSet<string?> { "one.txt", "text.txt", "two.txt" }, read.ToHashSet());
    }

    /// <summary>An answer from few blocks, which are told as they stand in the documents.</summary>
    [Fact]
    public async Task AnAnswerIsReadFromFewBlocks()
    {
        var memory = await Memory("one", folder.Write("one.txt", string.Concat(Enumerable.Repeat("The door is blue. ", 60))), model.Text);
        async Task<System.Text.Json.JsonElement> Ask(params string[] more) =>
            (await LandmarkTool.Run(["ask", "Which?", "--memory", memory, "--model", model.Path, "--max-tokens", "3", "--json", "--cite", "--passages", "99", .. more])).Lines[^1];
        var few = await Ask("--focus", "2");
        var cited = few.GetProperty("passages").EnumerateArray().Where(p => p.TryGetProperty("document", out var d) && d.GetString() == "one.txt").ToArray();
        Assert.InRange(few.GetProperty("passages").EnumerateArray().Count(), 1, 4);     // and the end of the last document, and what was asked
        Assert.All(cited, p => Assert.Contains(p.GetProperty("text").GetString()!, string.Concat(Enumerable.Repeat("The door is blue. ", 60)), StringComparison.Ordinal));
        Assert.Equal((await Ask()).GetProperty("tokens").GetInt64(), few.GetProperty("tokens").GetInt64());
    }

    [Fact]
    public async Task BlocksOfALongMemoryAreFoundFirstWhereNobodySays()
    {
        var memory = await Memory("long", folder.Write("long.txt", string.Concat(Enumerable.Repeat("The door is blue. ", 600))));
        async Task<long?> Found(params string[] more) =>
            (await LandmarkTool.Run(["ask", "Which?", "--memory", memory, "--model", model.Path, "--max-tokens", "2", "--json", .. more])).Lines
            .First(l => l.GetProperty("event").GetString() == "answer").TryGetProperty("focus", out var found)
                && found.ValueKind == System.Text.Json.JsonValueKind.Number ? found.GetInt64() : null;
        Assert.InRange((await Found())!.Value, 6, MemoryFocus.Blocks);           // of those that were read
        Assert.Equal(5, await Found("--focus", "5"));
        Assert.Null(await Found("--focus", "0"));
        Assert.Null(await Found("--session", "kept"));
    }

    [Fact]
    public async Task WhatCannotBeRankedIsRefused()
    {
        var memory = await Memory("a", model.Text);
        (await Run("  ", memory)).Says("The question is empty; write it in quotes");
        (await Run("Which?", memory, "--top", "0")).Says("The number of documents is 0; it must be 1 or more");
        (await Run("Which?", memory, "--passages=-1")).Says("The number of passages is -1; it must be 0 or more");
        (await Run("Which?", memory, "--layer", "9", "--json")).SaysAsJson("There is no layer 9; they are numbered from 0 to 1");
        (await Run("Which?", memory, folder["none"])).Says($"There is no memory file {folder["none"]}; check the path");
    }

    private Task<ToolRun> Run(params string[] arguments) => LandmarkTool.Run(["memory", "search", .. arguments, "--model", model.Path]);

    private async Task<string> Memory(string name, params string[] documents)
    {
        var path = folder[name];
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", path, "--model", model.Path)).Code);
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "add", path, .. documents, "--model", model.Path])).Code);
        return path;
    }
}
