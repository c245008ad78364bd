using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Passages with their places, and traces, as the tool tells of them.</summary>
public sealed class TraceCommandTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    /// <summary>What is cited stands at these bytes of the file, also where a mark comes first or text is piped in.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("\uFEFF")]
    public async Task CitedPassagesStandWhereTheySay(string mark)
    {
        var path = folder.Write("text.txt", mark + File.ReadAllText(model.Text).Replace("Box", "Kästchen 日本", StringComparison.Ordinal));
        var bytes = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        string[] line = ["ask", "Which?", "--model", model.Path, "--max-tokens", "4", "--cite", "--passages", "5", "--json"];
        var answer = (await LandmarkTool.Run([.. line, "--text", path])).Lines[^1];
        var passages = answer.GetProperty("passages").EnumerateArray().ToArray();
        Assert.Equal(5, passages.Length);
        foreach (var passage in passages.Where(p => End(p, "first_token", "tokens") <= answer.GetProperty("tokens").GetInt64()))
        {
            var (first, end) = ((int)passage.GetProperty("first_byte").GetInt64(), (int)End(passage, "first_byte", "bytes"));
            Assert.Equal(passage.GetProperty("text").GetString(), Encoding.UTF8.GetString(bytes.AsSpan(first..end)));
        }
        var piped = (await LandmarkTool.RunOn(bytes, line)).Lines[^1];
        Assert.Equal(answer.GetProperty("passages").ToString(), piped.GetProperty("passages").ToString());
    }

    /// <summary>A long question is read from memory too, with the end of the text: after what is the text's alone, of which the most read comes first.</summary>
    [Fact]
    public async Task WhatReachesIntoTheQuestionStandsLast()
    {
        var question = string.Concat(Enumerable.Range(0, 40).Select(i => $"Lamp {i} is lit. ")) + "Which?";
        var answer = (await LandmarkTool.Run(
            "ask", question, "--text", model.Text, "--model", model.Path, "--max-tokens", "4", "--cite", "--passages", "999", "--json")).Lines[^1];
        var passages = answer.GetProperty("passages").EnumerateArray().ToArray();
        var inText = passages.TakeWhile(p => End(p, "first_token", "tokens") <= answer.GetProperty("tokens").GetInt64()).ToArray();
        Assert.NotEmpty(inText);
        Assert.NotEqual(passages.Length, inText.Length);
        Assert.All(passages[inText.Length..], p => Assert.True(End(p, "first_token", "tokens") > answer.GetProperty("tokens").GetInt64()));
        Assert.Equal(inText.OrderByDescending(p => p.GetProperty("mass").GetDouble()), inText);
    }

    [Fact]
    public async Task PlacesThatAreNotKnownAreNotTold()
    {
        var text = File.ReadAllText(model.Text);
        foreach (var (name, bytes) in (IEnumerable<(string, byte[])>)[
            ("utf16", [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(text)]), ("stray", [.. Encoding.UTF8.GetBytes(text), 0xC7, .. "end of it"u8])])
        {
            string[] line = ["ask", "Which?", "--text", folder.Write(name, bytes), "--model", model.Path, "--max-tokens", "2", "--cite"];
            var run = await LandmarkTool.Run([.. line, "--json"]);
            Assert.Equal(0, run.Code);
            Assert.Contains("no place in bytes", ToolRun.Parse(run.Error).GetProperty("warning").GetString(), StringComparison.Ordinal);
            var passages = ToolRun.Parse(run.Output.Trim().Split('\n')[^1]).GetProperty("passages").EnumerateArray().ToArray();
            Assert.NotEmpty(passages);
            Assert.All(passages, p => Assert.False(p.TryGetProperty("first_byte", out _) || p.TryGetProperty("bytes", out _)));
            var words = (await LandmarkTool.Run(line)).Output;
            Assert.Contains("[1] ", words, StringComparison.Ordinal);
            Assert.DoesNotContain("bytes", words, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task PeopleReadPassagesInFull()
    {
        string[] line = ["ask", "Which?", "--text", model.Text, "--model", model.Path, "--max-tokens", "2", "--passages", "3"];
        var (whole, brief) = ((await LandmarkTool.Run([.. line, "--cite"])).Output, (await LandmarkTool.Run(line)).Output);
        Assert.Matches(@"\[3\] \d+\.\d %, tokens [\d,]+ to [\d,]+, bytes [\d,]+ to [\d,]+", whole.Replace("\u00A0", " ", StringComparison.Ordinal));
        Assert.DoesNotContain("[4]", whole, StringComparison.Ordinal);
        Assert.DoesNotContain("bytes", brief, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnAnswersTraceIsReadBackAndDrawn()
    {
        var (path, page) = (folder["trace.jsonl"], folder["page.html"]);
        var answer = (await LandmarkTool.Run(
            "ask", "Which?", "--text", model.Text, "--model", model.Path, "--max-tokens", "5", "--stop", "\u0001", "--trace", path, "--json")).Lines[^1];
        Assert.Equal(path, answer.GetProperty("trace").GetString());
        var trace = TraceFile.Load(path);
        var header = trace.Header;
        Assert.Equal((model.Text, "\n\nQuestion: Which?\nAnswer:"), (header.Text, header.Prompt));
        Assert.Equal(answer.GetProperty("answer").GetString(), header.Answer);
        Assert.Equal(answer.GetProperty("tokens").GetInt64(), header.TextTokens);
        Assert.Equal((header.Generated, header.Generated), (trace.Tokens.Count, 5));
        var whole = File.ReadAllText(model.Text);
        foreach (var passage in header.Passages.Where(p => p.FirstToken + p.Tokens <= header.TextTokens))
            Assert.Equal(passage.Text, whole.Substring((int)passage.FirstCharacter!, passage.Text.Length));

        var told = (await LandmarkTool.Run("trace", path, "--html", page, "--json")).Json;
        Assert.Equal(
            ["answer", "block_count", "blocks_read", "generated", "html", "layers", "model", "passages", "prompt", "text", "text_tokens", "window_mass"],
            told.EnumerateObject().Select(p => p.Name).Order());
        Assert.Equal(answer.GetProperty("window_mass").GetDouble(), told.GetProperty("window_mass").GetDouble(), 1e-5);
        // The account has what reaches into the question where it stands by its mass, the answer last.
        var inText = Blocks(told).Where(b => b < header.TextTokens / header.BlockTokens).ToArray();
        Assert.Equal(Blocks(answer).Take(inText.Length), inText);
        Assert.Equal(header.Layers, told.GetProperty("layers").GetArrayLength());
        Assert.Contains(trace.ToJson(), File.ReadAllText(page), StringComparison.Ordinal);

        var words = (await LandmarkTool.Run("trace", path)).Output;
        Assert.Contains("[1] ", words, StringComparison.Ordinal);
        Assert.Contains("from memory", words, StringComparison.Ordinal);
        Assert.Contains($"of {header.BlockCount} blocks read for 5 tokens", words, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WhatIsGeneratedIsTracedToo()
    {
        var path = folder["trace.jsonl"];
        string[] line = ["generate", "--model", model.Path, "--trace", path, "--json"];
        var end = (await LandmarkTool.Run([.. line, "--text", model.Text, "And so", "--max-tokens", "3"])).Lines[^1];
        Assert.Equal(path, end.GetProperty("trace").GetString());
        var trace = TraceFile.Load(path);
        Assert.Equal((end.GetProperty("text").GetString(), "And so", model.Text), (trace.Header.Answer, trace.Header.Prompt, trace.Header.Text));
        Assert.Contains(trace.Header.Passages, p => p.FirstByte is not null);

        // A prompt alone is no file in which a passage could stand.
        await LandmarkTool.Run([.. line, File.ReadAllText(model.Text), "--max-tokens", "3"]);
        trace = TraceFile.Load(path);
        Assert.Equal((null, 0), (trace.Header.Text, trace.Header.TextTokens));
        Assert.NotEmpty(trace.Header.Passages);
        Assert.All(trace.Header.Passages, p => Assert.Null(p.FirstByte));

        // Nothing generated is nothing read.
        await LandmarkTool.Run([.. line, "Once", "--max-tokens", "0"]);
        Assert.Equal(0, (await LandmarkTool.Run("trace", path, "--html", folder["page.html"], "--json")).Json.GetProperty("generated").GetInt32());
    }

    [Fact]
    public async Task AFileThatIsNoTraceIsRefused()
    {
        (await LandmarkTool.Run("trace", model.Text)).Says("is no trace: its first line is not JSON");
        (await LandmarkTool.Run("trace", model.Path, "--json")).SaysAsJson("is a folder");
        Assert.False(File.Exists(folder["page.html"]));
    }

    [Fact]
    public async Task AModelWithoutLandmarksHasNothingToTrace()
    {
        using var copy = model.Copy();
        var config = JsonNode.Parse(File.ReadAllText(copy["config.json"]))!.AsObject();
        foreach (var field in (string[])["mem_id", "mem_freq", "train_context_length", "include_landmark_in_loss", "inference"]) config.Remove(field);
        File.WriteAllText(copy["config.json"], config.ToJsonString());
        string[] ask = ["ask", "Which?", "--text", model.Text, "--model", copy.Path];
        (await LandmarkTool.Run([.. ask, "--trace", folder["t.jsonl"]])).Says("is a model without landmarks, which reads no blocks; leave out --trace");
        (await LandmarkTool.Run([.. ask, "--cite"])).Says("leave out --cite");
        (await LandmarkTool.Run("generate", "Once", "--model", copy.Path, "--trace", folder["t.jsonl"])).Says("leave out --trace");
    }

    private static long End(JsonElement passage, string first, string count) =>
        passage.GetProperty(first).GetInt64() + passage.GetProperty(count).GetInt64();

    private static IEnumerable<long> Blocks(JsonElement told) =>
        told.GetProperty("passages").EnumerateArray().Select(p => p.GetProperty("block").GetInt64());
}
