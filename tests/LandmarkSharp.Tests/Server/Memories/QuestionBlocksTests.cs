using System.Text.Json;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;
using LandmarkSharp.Server.Page;
using LandmarkSharp.Tests.Cli;
using Microsoft.Extensions.Logging.Abstractions;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>How many blocks each token of a question of a memory reads: the same by the tool, by programs and on the page.</summary>
public sealed class QuestionBlocksTests : IDisposable
{
    private const string Question = "What is the key of box 7?";
    private const int Most = 24;

    private readonly ToolModel made = new();
    private readonly TemporaryFolder model, folder = new();
    private readonly LandmarkEngine engine;

    /// <summary>A model of k = 2 and windows of 2 blocks, which was trained on 6: twice the k leave its window one.</summary>
    public QuestionBlocksTests()
    {
        model = made.Copy();
        var config = File.ReadAllText(model["config.json"]);
        Assert.Contains("\"train_context_length\": 128", config, StringComparison.Ordinal);
        File.WriteAllText(model["config.json"], config.Replace("\"train_context_length\": 128", "\"train_context_length\": 96", StringComparison.Ordinal));
        engine = LandmarkEngine.Load(model.Path);
    }

    public void Dispose()
    {
        engine.Dispose();
        made.Dispose();
        model.Dispose();
        folder.Dispose();
    }

    [Fact]
    public async Task AQuestionIsAnsweredAlikeByEachWay()
    {
        var options = new ServerOptions();
        await using var server = await TestServer.Start(
            engine, new QuestionTemplate(), o => (options, o.Memories, o.MaxAnswerTokens) = (o, folder["library"], Most));
        await Create(server, "notes", "float32");
        await Add(server, "notes", "it.txt", File.ReadAllText(made.Text));
        var answers = new Dictionary<(int?, int?), string>();
        foreach (var focus in (int?[])[null, 8])
            foreach (var (topK, k, window) in ((int?, int, int)[])[(null, 4, 1), (4, 4, 1), (2, 2, 2), (3, 3, 2)])
            {
                var turn = await Page(server, options, new PageReading(topK, focus ?? MemoryFocus.Blocks, focus is null ? null : ReadingWay.Found));
                Assert.Equal((k, focus), (turn.TopK, turn.Focus));

                var said = await Ask(server, Question, ["notes"], $",\"landmark\":{{\"trace\":true{Field("top_k", topK)}{Field("focus", focus)}}}");
                var header = said.GetProperty("choices")[0].GetProperty("landmark_trace").GetProperty("header");
                Assert.Equal((k, window), (header.GetProperty("top_k").GetInt32(), header.GetProperty("window_blocks").GetInt32()));
                // Sessions that have read so go on, whoever asked, and no others.
                var cached = said.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
                Assert.Equal(focus is null, cached > 0);

                var trace = folder["trace.jsonl"];
                var told = (await Tool(
                    ["--memory", Path.Combine(folder["library"], "local", "notes.memory"), "--trace", trace, .. Option("--top-k", topK), .. Option("--focus", focus)]));
                Assert.Equal(k, told.GetProperty("top_k").GetInt32());
                var written = TraceFile.Load(trace).Header;
                Assert.Equal((k, window), (written.TopK, written.WindowBlocks));

                answers[(topK, focus)] = told.GetProperty("answer").GetString()!;
                Assert.Equal((answers[(topK, focus)], answers[(topK, focus)]), (Said(said).Trim(), turn.Answer.Trim()));
            }
        Assert.NotEqual(answers[(2, null)], answers[(null, null)]);
        Assert.NotEqual(answers[(2, 8)], answers[(null, 8)]);

        // Texts are read as the model says, and with a k of their own as the tool reads them.
        foreach (var (topK, k, window) in ((int?, int, int)[])[(null, 2, 2), (4, 4, 1)])
        {
            var text = await server.Complete($"\"prompt\":\"The key\",\"max_tokens\":1,\"landmark\":{{\"trace\":true{Field("top_k", topK)}}}");
            var header = text.GetProperty("choices")[0].GetProperty("landmark_trace").GetProperty("header");
            Assert.Equal((k, window), (header.GetProperty("top_k").GetInt32(), header.GetProperty("window_blocks").GetInt32()));
            Assert.Equal(k, (await Tool(["--text", made.Text, .. Option("--top-k", topK)])).GetProperty("top_k").GetInt32());
        }
    }

    /// <summary>What whoever runs a server says of k holds, and what they say of other things does not make it theirs.</summary>
    [Theory]
    [InlineData(null, null, 4)]
    [InlineData(2, null, 2)]
    [InlineData(3, null, 3)]
    [InlineData(null, 3, 2)]
    public async Task WhoeverRunsTheServerIsHeeded(int? topK, int? keep, int k)
    {
        using var reading = LandmarkEngine.Load(
            model.Path, new EngineOptions { Retrieval = engine.Config.Landmark!.Retrieval(topK) with { KeepBlocks = keep, Mass = 0.9 } });
        await using var server = await TestServer.Start(reading, new QuestionTemplate(), o => o.Memories = folder["library"]);
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", File.ReadAllText(made.Text));
        async Task<int> Read(string field) =>
            (await Ask(server, Question, ["notes"], $",\"max_tokens\":1,\"landmark\":{{\"trace\":true{field}}}")).GetProperty("choices")[0]
                .GetProperty("landmark_trace").GetProperty("header").GetProperty("top_k").GetInt32();
        Assert.Equal(k, await Read(""));
        Assert.Equal(1, await Read(Field("top_k", 1)));
        Assert.Equal(k, await Read(",\"mass\":0.5"));
        string[] said = [.. Option("--top-k", topK), .. Option("--keep-blocks", keep), "--mass", "0.9"];
        var memory = Path.Combine(folder["library"], "local", "notes.memory");
        Assert.Equal(k, (await Tool(["--memory", memory, .. said])).GetProperty("top_k").GetInt32());
    }

    private async Task<PageTurn> Page(TestServer server, ServerOptions options, PageReading reading)
    {
        var (scheduler, library) = (server.Server.Scheduler, server.Server.Library!);
        using var metrics = new ServerMetrics(scheduler, library);
        var parts = new PageParts(
            engine, ServedModel.Name, new QuestionTemplate(), scheduler, library, options, null,
            new AnswerNotes(new ServerLog(NullLogger<ServerLog>.Instance), metrics));
        PageTurn? turn = null;
        await foreach (var step in new PageAnswers(parts, "").Ask(PageSession.About("notes"), Question, reading, TestContext.Current.CancellationToken))
            turn = step.Turn ?? turn;
        return turn!;
    }

    private async Task<JsonElement> Tool(string[] more) => (await LandmarkTool.Run(
        ["ask", Question, "--model", model.Path, "--max-tokens", $"{Most}", "--json", .. more])).Lines[^1];

    private static string Field(string name, int? number) => number is null ? "" : $",\"{name}\":{number}";

    private static string[] Option(string name, int? number) => number is null ? [] : [name, $"{number}"];
}
