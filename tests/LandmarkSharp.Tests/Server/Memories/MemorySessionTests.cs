using System.Net;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Server.Access;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>Sessions that are kept in memories: begun, gone on with, forked, renamed and removed over HTTP.</summary>
public sealed class MemorySessionTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private const string Question = "What is the code of the archive?", Second = "Who is the keeper of the lighthouse?";

    private static readonly string[] Notes = ["notes"];

    private readonly ServedMemories memories = new(model);
    private readonly KeyRoom keys = new();

    public void Dispose()
    {
        memories.Dispose();
        keys.Dispose();
    }

    [Fact]
    public async Task AConversationGoesOnAsTheToolsDoesAlsoAfterARestart()
    {
        var text = Sentences(Code, 30) + Sentences(Keeper, 30, 2);
        var (tools, tokens) = (memories.Made("own", ("it.txt", text)), (IReadOnlyList<int>)[]);
        await using (var server = await memories.Start())
        {
            await Create(server, "notes");
            await Add(server, "notes", "it.txt", text);
            Assert.Empty((await Get(server, "notes/sessions")).GetProperty("data").EnumerateArray());
            await Same(server, Question);
            await Same(server, Second);
        }
        await using (var server = await memories.Start())
        {
            await Same(server, "What is green?");
            var listed = Assert.Single((await Get(server, "notes/sessions")).GetProperty("data").EnumerateArray());
            Assert.Equal(["object", "name", "memory", "tokens", "documents"], listed.EnumerateObject().Select(p => p.Name));
            Assert.Equal("it.txt", Assert.Single(listed.GetProperty("documents").EnumerateArray()).GetString());
            var spelled = (await Get(server, "notes/sessions/talk")).GetProperty("text").GetString()!;
            Assert.EndsWith(Spelled(tokens), spelled, StringComparison.Ordinal);
            Assert.Contains($"Question: {Question}\nAnswer:", spelled, StringComparison.Ordinal);
        }
        // The tool's sessions are these.
        using var newest = model.Engine.OpenMemory([memories.File("notes")]);
        using var opened = model.Engine.OpenSession(newest, "talk");
        Assert.Equal(tokens, opened.Tokens);
        Assert.True(opened.Changes!.IsNone);

        async Task Same(TestServer server, string question)
        {
            using var memory = model.Engine.OpenMemory([tools]);
            var asked = model.Engine.With(model.Engine.MemoryRetrieval());
            using var own = tokens.Count == 0 ? asked.NewSession(memory) : asked.OpenSession(memory, "talk");
            own.Append($"\n\nQuestion: {question}\nAnswer:");
            var said = string.Concat(own.Generate(new GenerationOptions { MaxTokens = 40, Stop = ["\n"] }).Select(t => t.Text)).TrimStart();
            using (var writer = MemoryFileWriter.Open(tools))
            {
                own.Save(writer, "talk");
                writer.Commit();
            }
            tokens = own.Tokens;
            var answer = await Ask(server, question, Notes, ",\"max_tokens\":40,\"landmark\":{\"session\":\"talk\"}");
            Assert.Equal(said, Said(answer));
            var kept = answer.GetProperty("landmark_session");
            Assert.Equal(("talk", "notes", tokens.Count), (kept.GetProperty("name").GetString(), kept.GetProperty("memory").GetString(), kept.GetProperty("tokens").GetInt32()));
            Assert.False(kept.TryGetProperty("changes", out _));
        }
    }

    [Fact]
    public async Task AForkLeavesWhatItCameFrom()
    {
        await using var server = await Begun();
        var before = (await Get(server, "notes/sessions/talk")).GetProperty("text").GetString();
        var forked = (await Ask(server, "What is green?", Notes, ",\"max_tokens\":8,\"landmark\":{\"session\":\"talk\",\"fork\":\"a/b\"}")).GetProperty("landmark_session");
        Assert.Equal(("a/b", "talk"), (forked.GetProperty("name").GetString(), forked.GetProperty("from").GetString()));
        Assert.Equal(before, (await Get(server, "notes/sessions/talk")).GetProperty("text").GetString());
        Assert.StartsWith(before!, (await Get(server, "notes/sessions/a%2Fb")).GetProperty("text").GetString(), StringComparison.Ordinal);

        using (var renamed = await Rename(server, "a%2Fb", "green")) Assert.Equal("green", TestServer.Parse(await renamed.Content.ReadAsStringAsync()).GetProperty("name").GetString());
        using (var removed = await server.Http.DeleteAsync("v1/memories/notes/sessions/talk")) Assert.Equal(HttpStatusCode.NoContent, removed.StatusCode);
        Assert.Equal(["green"], (await Get(server, "notes/sessions")).GetProperty("data").EnumerateArray().Select(s => s.GetProperty("name").GetString()));
        await Ask(server, "What is green?", Notes, ",\"max_tokens\":8,\"landmark\":{\"session\":\"green\"}");
        using var file = MemoryFile.Open(memories.File("notes"));
        Assert.Empty(file.Check(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task AStreamTellsTheSessionLastAndWhatHasChanged()
    {
        await using var server = await Begun();
        await Add(server, "notes", "more.txt", Sentences(Keeper, 5, 3));
        using var stream = await Asked(server, Second, Notes, ",\"stream\":true,\"max_tokens\":8,\"landmark\":{\"session\":\"talk\"}");
        var events = (await stream.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e["data: ".Length..]).ToArray();
        Assert.Equal("[DONE]", events[^1]);
        var last = TestServer.Parse(events[^2]);
        Assert.Empty(last.GetProperty("choices").EnumerateArray());
        Assert.False(last.TryGetProperty("usage", out _));
        Assert.Contains("more.txt", last.GetProperty("landmark_session").GetProperty("changes").GetString(), StringComparison.Ordinal);
        Assert.All(events[..^2], e => Assert.DoesNotContain("landmark_session", e, StringComparison.Ordinal));
        // It has read the documents of now, from now on.
        var again = await Ask(server, Second, Notes, ",\"max_tokens\":8,\"landmark\":{\"session\":\"talk\"}");
        Assert.False(again.GetProperty("landmark_session").TryGetProperty("changes", out _));
    }

    [Fact]
    public async Task CompletionsGoOnInTheMiddleOfALine()
    {
        await using var server = await Begun();
        var before = (await Get(server, "notes/sessions/talk")).GetProperty("tokens").GetInt32();
        var answer = await server.Complete("\"prompt\":\"The code of\",\"max_tokens\":3,\"temperature\":0,\"memories\":[\"notes\"],\"landmark\":{\"session\":\"talk\"}");
        var prompt = answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
        Assert.Equal(model.Engine.Tokenizer.Encode("The code of", atStart: false).Length, prompt);
        Assert.Equal(before + prompt + 3, answer.GetProperty("landmark_session").GetProperty("tokens").GetInt32());
    }

    [Fact]
    public async Task OneRequestAtATimeGoesOnWithASession()
    {
        await using var server = await Begun(o => o.MaxAnswerTokens = 100_000);
        using var gone = new CancellationTokenSource();
        var body = $$$"""{"model":"{{{ServedModel.Name}}}","prompt":"The sea","max_tokens":100000,"stream":true,"memories":["notes"],"landmark":{"session":"talk"}}""";
        var busy = server.Post("v1/completions", body, gone.Token);
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 1);
        using (var refused = await Asked(server, Question, Notes, ",\"landmark\":{\"session\":\"talk\"}")) await Refuses(refused, HttpStatusCode.Conflict, "session_busy");
        using (var refused = await server.Http.DeleteAsync("v1/memories/notes/sessions/talk")) await Refuses(refused, HttpStatusCode.Conflict, "session_busy");
        // What it came from may be forked meanwhile.
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\",\"fork\":\"other\"}");
        var tokens = (await Get(server, "notes/sessions/talk")).GetProperty("tokens").GetInt32();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => (await busy).Dispose());
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 0);
        // Who goes away leaves it as it was, and free.
        for (var i = 0; ; i++)
        {
            using var next = await Asked(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
            if (next.StatusCode == HttpStatusCode.Conflict && i < 200) await Task.Delay(10, TestContext.Current.CancellationToken);
            else
            {
                Assert.Equal(HttpStatusCode.OK, next.StatusCode);
                break;
            }
        }
        Assert.InRange((await Get(server, "notes/sessions/talk")).GetProperty("tokens").GetInt32(), tokens + 5, tokens + 40);
    }

    [Fact]
    public async Task WhileADocumentIsReadNoneIsKept()
    {
        await using var server = await Begun();
        using (var put = await Put(server, "notes", "long.txt", Encoding.UTF8.GetBytes(Sentences("", 600, 3)))) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        using (var refused = await Asked(server, Question, Notes, ",\"landmark\":{\"session\":\"talk\"}")) await Refuses(refused, HttpStatusCode.Conflict, "memory_busy");
        await Settled(server, "notes", "long.txt");
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
    }

    [Fact]
    public async Task WhatAnotherProgramWritesIsNotOverwritten()
    {
        await using var server = await Begun();
        using (MemoryFileWriter.Open(memories.File("notes")))
        {
            using var refused = await Asked(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
            var error = await TestServer.Error(refused);
            Assert.Equal((HttpStatusCode.Conflict, "session_not_kept"), (error.Status, error.Code));
            Assert.DoesNotContain(memories.Folder["library"], error.Message, StringComparison.Ordinal);
        }
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
    }

    [Theory]
    [InlineData("\"session\":\"none\",\"fork\":\"a\"", HttpStatusCode.NotFound, "landmark.session", "session_not_found")]
    [InlineData("\"session\":\"talk\",\"fork\":\"talk\"", HttpStatusCode.Conflict, "landmark.fork", "session_exists")]
    [InlineData("\"session\":\"\"", HttpStatusCode.BadRequest, "landmark.session", "invalid_name")]
    [InlineData("\"session\":\"talk\",\"fork\":\"a\\nb\"", HttpStatusCode.BadRequest, "landmark.fork", "invalid_name")]
    [InlineData("\"fork\":\"a\"", HttpStatusCode.BadRequest, "landmark.fork", null)]
    [InlineData("\"session\":\"talk\",\"focus\":4", HttpStatusCode.BadRequest, "landmark.focus", null)]
    public async Task WhatCannotBeFollowedIsRefused(string fields, HttpStatusCode status, string param, string? code)
    {
        await using var server = await Begun();
        using var response = await Asked(server, Question, Notes, $",\"landmark\":{{{fields}}}");
        var error = await TestServer.Error(response);
        Assert.Equal((status, param, code), (error.Status, error.Param, error.Code));
        // Nothing of it stays, and nothing is left that would keep others from it.
        Assert.Equal(["talk"], (await Get(server, "notes/sessions")).GetProperty("data").EnumerateArray().Select(s => s.GetProperty("name").GetString()));
        await Ask(server, Question, Notes, ",\"max_tokens\":2,\"landmark\":{\"session\":\"talk\"}");
    }

    [Fact]
    public async Task SeveralAnswersMemoriesOfNoneAndNamesThatAreTakenAreRefused()
    {
        await using var server = await Begun();
        using (var several = await Asked(server, Question, Notes, ",\"n\":2,\"landmark\":{\"session\":\"talk\"}"))
            Assert.Equal("landmark.session", (await TestServer.Error(several)).Param);
        using (var without = await server.Post("v1/completions", $$$"""{"model":"{{{ServedModel.Name}}}","prompt":"a","landmark":{"session":"a"}}"""))
            Assert.Equal("landmark.session", (await TestServer.Error(without)).Param);
        using (var taken = await Rename(server, "talk", "talk")) await Refuses(taken, HttpStatusCode.Conflict, "session_exists");
        using (var none = await Rename(server, "none", "other")) await Refuses(none, HttpStatusCode.NotFound, "session_not_found");
        using (var name = await Rename(server, "talk", "..")) await Refuses(name, HttpStatusCode.BadRequest, "invalid_name");
        using (var none = await server.Http.DeleteAsync("v1/memories/notes/sessions/none")) await Refuses(none, HttpStatusCode.NotFound, "session_not_found");
        using (var none = await server.Http.GetAsync("v1/memories/notes/sessions/none")) await Refuses(none, HttpStatusCode.NotFound, "session_not_found");
        using (var none = await server.Http.GetAsync("v1/memories/none/sessions")) await Refuses(none, HttpStatusCode.NotFound, "memory_not_found");
        var paths = TestServer.Parse(await server.Http.GetStringAsync("openapi/v1.json")).GetProperty("paths");
        Assert.Equal(["get"], paths.GetProperty("/v1/memories/{name}/sessions").EnumerateObject().Select(m => m.Name));
        Assert.Equal(["get", "patch", "delete"], paths.GetProperty("/v1/memories/{name}/sessions/{session}").EnumerateObject().Select(m => m.Name));
    }

    [Fact]
    public async Task SessionsAreTheirKeysAndTakeOfItsDisk()
    {
        var anna = keys.Create("anna", new CallerLimits { DiskBytes = 12_000_000 });
        var bert = keys.Create("bert");
        await using var server = await memories.Start(o => o.Keys = keys.File.Path);
        foreach (var key in (string[])[anna, bert])
        {
            server.Http.DefaultRequestHeaders.Authorization = new("Bearer", key);
            await Create(server, "notes");
            await Add(server, "notes", "it.txt", Sentences(Code, 5));
        }
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
        server.Http.DefaultRequestHeaders.Authorization = new("Bearer", anna);
        Assert.Empty((await Get(server, "notes/sessions")).GetProperty("data").EnumerateArray());
        using (var none = await server.Http.GetAsync("v1/memories/notes/sessions/talk")) await Refuses(none, HttpStatusCode.NotFound, "session_not_found");
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
        var said = string.Concat(Enumerable.Range(0, 260).Select(i => $"Box {i} holds {i * 37} coins. "));
        using (var full = await Asked(server, said, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}"))
            await Refuses(full, HttpStatusCode.InsufficientStorage, "insufficient_storage");
        await Ask(server, Question, Notes, ",\"max_tokens\":4,\"landmark\":{\"session\":\"talk\"}");
    }

    private async Task<TestServer> Begun(Action<LandmarkSharp.Server.ServerOptions>? change = null)
    {
        var server = await memories.Start(change);
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 12));
        await Ask(server, Question, Notes, ",\"max_tokens\":8,\"landmark\":{\"session\":\"talk\"}");
        return server;
    }

    private static Task<HttpResponseMessage> Rename(TestServer server, string session, string to) => server.Http.PatchAsync(
        $"v1/memories/notes/sessions/{session}", new StringContent(JsonSerializer.Serialize(new { name = to }), Encoding.UTF8, "application/json"));

    private static async Task Refuses(HttpResponseMessage response, HttpStatusCode status, string code)
    {
        var error = await TestServer.Error(response);
        Assert.Equal((status, code), (error.Status, error.Code));
    }

    private string Spelled(IEnumerable<int> tokens)
    {
        var decoder = model.Engine.Tokenizer.CreateDecoder(atStart: false);
        return string.Concat(tokens.Select(decoder.Push)) + decoder.Flush();
    }
}
