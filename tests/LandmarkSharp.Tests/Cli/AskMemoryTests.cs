using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Questions about memory files: the answers are those about the text, and passages are quoted by document.</summary>
public sealed class AskMemoryTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task AMemoryOfOneDocumentAnswersAsItsText()
    {
        var memory = await Memory("a.memory", model.Text);
        string[] line = ["ask", "Which?", "--model", model.Path, "--max-tokens", "8", "--stop", "\u0001", "--cite", "--passages", "30", "--top-k", "2", "--json"];
        var expected = (await LandmarkTool.Run([.. line, "--text", model.Text])).Lines[^1];
        foreach (var hot in (string[][])[[], ["--hot", "0"], ["--hot", "64MiB"]])
        {
            var found = (await LandmarkTool.Run([.. line, "--memory", memory, .. hot])).Lines[^1];
            foreach (var field in (string[])["answer", "tokens"])
                Assert.Equal(expected.GetProperty(field).ToString(), found.GetProperty(field).ToString());
            Assert.True(found.GetProperty("first_token_seconds").GetDouble() >= found.GetProperty("prefill_seconds").GetDouble());
            var (told, passages) = (Passages(expected), Passages(found));
            Assert.Equal(told.Select(p => p.GetProperty("block").GetInt64()).Order(), passages.Select(p => p.GetProperty("block").GetInt64()).Order());
            foreach (var passage in passages.Where(p => p.TryGetProperty("first_byte", out _)))
            {
                var same = told.Single(p => p.GetProperty("block").GetInt64() == passage.GetProperty("block").GetInt64());
                foreach (var field in (string[])["first_token", "tokens", "first_byte", "bytes", "text"])
                    Assert.Equal(same.GetProperty(field).ToString(), passage.GetProperty(field).ToString());
                Assert.Equal("text.txt", passage.GetProperty("document").GetString());
            }
        }
    }

    [Fact]
    public async Task DocumentsOfSeveralMemoriesAreQuotedByName()
    {
        var (one, two) = (folder.Write("one.txt", "The Kästchen 日本 is blue. Nothing else is known of it, or was."), folder.Write("two.txt", File.ReadAllText(model.Text)));
        var (first, second) = (await Memory("first", one), await Memory("second", two, one));
        var path = folder["trace.jsonl"];
        var answer = (await LandmarkTool.Run(
            "ask", "Which?", "--memory", first, "--memory", second, "--model", model.Path, "--max-tokens", "5", "--stop", "\u0001", "--top-k", "6",
            "--cite", "--passages", "90", "--trace", path, "--json")).Lines[^1];
        var passages = Passages(answer);
        Assert.Equal(["one.txt", "two.txt"], passages.Select(p => p.TryGetProperty("document", out var d) ? d.GetString() : null).OfType<string>().Distinct().Order());
        // Both have a document of the same name.
        (string, string)[] both = [("one.txt", first), ("one.txt", second), ("two.txt", second)];
        Assert.Equal(both, Named(passages.Where(p => p.TryGetProperty("document", out _)), "document").Order());
        Assert.Equal(both, Named(answer.GetProperty("documents").EnumerateArray(), "name").Order());
        Assert.Equal(both, Named((await LandmarkTool.Run(
            "memory", "search", "Which?", first, second, "--model", model.Path, "--json")).Json.GetProperty("documents").EnumerateArray(), "name").Order());
        foreach (var passage in passages.Where(p => p.TryGetProperty("document", out _)))
        {
            var bytes = File.ReadAllBytes(folder[passage.GetProperty("document").GetString()!]);
            var text = passage.GetProperty("text").GetString()!;
            var at = (int)passage.GetProperty("first_byte").GetInt64();
            var length = Math.Min(bytes.Length - at, passage.GetProperty("bytes").GetInt32());
            Assert.StartsWith(Encoding.UTF8.GetString(bytes, at, length), text, StringComparison.Ordinal);
        }
        var header = TraceFile.Load(path).Header;
        Assert.Equal($"{first}, {second}", header.Text);
        Assert.Contains(header.Passages, p => p is { Document: "one.txt", FirstByte: 0, FirstToken: 0, Block: 0 } && p.File == first);
        var words = (await LandmarkTool.Run("ask", "Which?", "--memory", first, "--model", model.Path, "--max-tokens", "2", "--cite")).Output;
        Assert.Matches(@"\[\d\] .* one\.txt, tokens \d+ to \d+", words.Replace("\u00A0", " ", StringComparison.Ordinal));
        Assert.Contains($"{second}: one.txt, tokens", (await LandmarkTool.Run("trace", path, "--passages", "90")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsDamagedOrAnothersIsSaid()
    {
        var memory = await Memory("a.memory", model.Text);
        var bytes = await File.ReadAllBytesAsync(memory, TestContext.Current.CancellationToken);
        using (var other = new ToolModel(layers: 3))
            (await LandmarkTool.Run("ask", "Which?", "--memory", memory, "--model", other.Path)).Says("holds the memory of another model");
        (await LandmarkTool.Run("ask", "Which?", "--memory", memory, "--model", model.Path, "--block-type", "int8")).Says("keeps blocks as Float32");
        for (var at = 5 * 4096; at < bytes.Length - 4096; at += 4096) bytes[at + 100] ^= 1;
        await File.WriteAllBytesAsync(memory, bytes, TestContext.Current.CancellationToken);
        (await LandmarkTool.Run("ask", "Which?", "--memory", memory, "--model", model.Path)).Says("of 'text.txt'");
    }

    [Fact]
    public async Task AMemoryIsAskedOnce()
    {
        var memory = await Memory("a.memory", model.Text);
        var again = Path.Combine(folder["."], "a.memory");
        (await LandmarkTool.Run("ask", "Which?", "--memory", memory, "--memory", again, "--model", model.Path)).Says("is given twice; give each once");
        (await LandmarkTool.Run("memory", "search", "Which?", memory, memory, "--model", model.Path)).Says("is given twice; give each once");
    }

    private static IEnumerable<(string, string)> Named(IEnumerable<JsonElement> told, string name) =>
        told.Select(t => (t.GetProperty(name).GetString()!, t.GetProperty("memory").GetString()!)).Distinct();

    private static JsonElement[] Passages(JsonElement answer) => [.. answer.GetProperty("passages").EnumerateArray()];

    private async Task<string> Memory(string name, params string[] documents)
    {
        var path = folder[name];
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", path, "--model", model.Path)).Code);
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "add", path, .. documents, "--model", model.Path])).Code);
        return path;
    }
}
