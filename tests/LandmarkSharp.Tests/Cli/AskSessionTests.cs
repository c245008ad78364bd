using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Questions that follow each other, kept as sessions in memory files by the tool.</summary>
public sealed class AskSessionTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task ASessionGoesOnAndForks()
    {
        var memory = await Memory("a.memory", model.Text);
        var first = await Ask(memory, "Which?", "--session", "boxes", "--json");
        var kept = first.Lines[^1];
        Assert.Equal(("session", "boxes", memory), (Text(kept, "event"), Text(kept, "name"), Text(kept, "file")));
        Assert.False(kept.TryGetProperty("from", out _));
        var fork = (await Ask(memory, "And then?", "--session", "boxes", "--fork", "others", "--json")).Lines[^1];
        Assert.Equal(("others", "boxes"), (Text(fork, "name"), Text(fork, "from")));
        var second = await Ask(memory, "And then?", "--session", "boxes", "--json");
        Assert.Equal(fork.GetProperty("tokens").GetInt64(), second.Lines[^1].GetProperty("tokens").GetInt64());

        // The same, asked in one go.
        using (var loaded = LandmarkEngine.Load(model.Path))
        using (var engine = loaded.With(loaded.MemoryRetrieval()))
        using (var opened = engine.OpenMemory([memory]))
        using (var session = engine.NewSession(opened))
        {
            Assert.Equal(Answer(session, "Which?"), Text(first.Lines[^2], "answer"));
            Assert.Equal(Answer(session, "And then?"), Text(second.Lines[^2], "answer"));
            Assert.Equal(session.Tokens.Count, second.Lines[^1].GetProperty("tokens").GetInt32());
            using var saved = engine.OpenSession(opened, "others");
            Assert.Equal(session.Tokens, saved.Tokens);
        }
        var listed = (await LandmarkTool.Run("memory", "list", memory, "--json")).Json.GetProperty("sessions").EnumerateArray().ToArray();
        Assert.Equal(["boxes", "others"], listed.Select(s => Text(s, "name")));
        Assert.All(listed, s => Assert.Equal("text.txt", Assert.Single(s.GetProperty("read").EnumerateArray()).GetString()));
        Assert.Matches(@"boxes +\d+ [\s\S]*others +\d+ .*went on from 'boxes'", (await LandmarkTool.Run("memory", "list", memory)).Output);
        Assert.Contains("2 sessions removed", (await LandmarkTool.Run("memory", "remove", memory, "--session", "boxes", "--session", "others")).Output, StringComparison.Ordinal);
        Assert.Equal(0, (await LandmarkTool.Run("memory", "info", memory, "--json")).Json.GetProperty("sessions").GetInt32());
    }

    [Fact]
    public async Task OtherDocumentsAreSaid()
    {
        var memory = await Memory("a.memory", model.Text);
        Assert.Matches(@"\d+ tokens are kept as the session 'boxes'", (await Ask(memory, "Which?", "--session", "boxes")).Output);
        var more = folder.Write("more.txt", "The door is blue. ");
        Assert.Equal(0, (await LandmarkTool.Run("memory", "add", memory, more, "--model", model.Path)).Code);
        var changed = await Ask(memory, "Which?", "--session", "boxes", "--json");
        Assert.Equal(
            "Since the session 'boxes' was kept, 'more.txt' was added; it goes on as if it had read the documents of now.",
            Text(ToolRun.Parse(changed.Error), "warning"));
        Assert.Equal("", (await Ask(memory, "Which?", "--session", "boxes")).Error);
    }

    [Fact]
    public async Task AnAnswerIsThereThoughItsSessionCannotBeKept()
    {
        var memory = await Memory("a.memory", model.Text);
        using var writer = MemoryFileWriter.Open(memory);
        var run = await Ask(memory, "Which?", "--session", "boxes", "--json");
        Assert.Equal(1, run.Code);
        Assert.Equal("answer", Text(ToolRun.Parse(run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1]), "event"));
        Assert.Matches(
            "^The answer is whole, but the session 'boxes' was not kept: .*is being written by another writer; wait until that has ended, or end it\\.$",
            Text(ToolRun.Parse(run.Error), "error"));
    }

    [Fact]
    public async Task ASessionLiesWhereItWasKept()
    {
        var (one, two) = (await Memory("one", model.Text), await Memory("two", folder.Write("two.txt", "The door is blue. ")));
        Assert.Equal(two, Text((await Ask(two, "Which?", "--session", "doors", "--json")).Lines[^1], "file"));
        Assert.Equal(one, Text((await Ask(one, "Which?", "--memory", two, "--session", "both", "--json")).Lines[^1], "file"));
        var both = await Ask(one, "Which?", "--memory", two, "--session", "doors", "--json");
        Assert.Contains("'text.txt' was added", both.Error, StringComparison.Ordinal);
        Assert.Contains($"\"file\":\"{two}\"", both.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatCannotBeKeptIsRefused()
    {
        var memory = await Memory("a.memory", model.Text);
        (await LandmarkTool.Run("ask", "Which?", "--text", model.Text, "--model", model.Path, "--session", "a"))
            .Says("A session is kept in a memory file; give one by --memory");
        (await Ask(memory, "Which?", "--focus", "3", "--session", "a")).Says("leave out --focus or --session");
        (await Ask(memory, "Which?", "--fork", "a")).Says("--fork is of a session that is there; give it by --session");
        (await Ask(memory, "Which?", "--session", "a", "--fork", "b")).Says("There is no session 'a' to fork; check the name");
        (await Ask(memory, "Which?", "--session", "")).Says("A session needs a name; give one");
        Assert.Equal(0, (await Ask(memory, "Which?", "--session", "a")).Code);
        (await Ask(memory, "Which?", "--session", "a", "--fork", "a", "--json")).SaysAsJson("There is a session 'a' already; choose another name");
        (await LandmarkTool.Run("memory", "remove", memory)).Says("Nothing is named; give names of documents to remove, or of sessions by --session");
        (await LandmarkTool.Run("memory", "remove", memory, "text.txt", "--session", "b")).Says("There is no session 'b' in the memory");
        Assert.Equal(1, (await LandmarkTool.Run("memory", "info", memory, "--json")).Json.GetProperty("documents").GetInt32());
    }

    private static string Text(JsonElement of, string field) => of.GetProperty(field).GetString()!;

    private static string Answer(Session session, string question)
    {
        session.Append($"\n\nQuestion: {question}\nAnswer:");
        return string.Concat(session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 8, Stop = ["\u0001"] }).Select(t => t.Text)).Trim();
    }

    private Task<ToolRun> Ask(string memory, string question, params string[] more) => LandmarkTool.Run(
        ["ask", question, "--memory", memory, "--model", model.Path, "--max-tokens", "8", "--stop", "\u0001", .. more]);

    private async Task<string> Memory(string name, params string[] documents)
    {
        var path = folder[name];
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", path, "--model", model.Path)).Code);
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "add", path, .. documents, "--model", model.Path])).Code);
        return path;
    }
}
