using System.ClientModel.Primitives;
using System.Net;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using OpenAI.Chat;
using static LandmarkSharp.Tests.Server.Memories.ServedMemories;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>Answers from memories: the engine's own, with the passages that they were read from.</summary>
public sealed class AskedMemoryTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private const string Question = "What is the code of the archive?";

    private readonly ServedMemories memories = new(model);

    public void Dispose() => memories.Dispose();

    [Theory]
    [InlineData("", null, null)]
    [InlineData(",\"landmark\":{\"focus\":8}", 8, null)]
    [InlineData(",\"landmark\":{\"top_k\":2,\"mass\":0.9}", null, 2)]
    public async Task AnAnswerIsTheEnginesOwnFromTheToolsFile(string fields, int? focus, int? topK)
    {
        var text = Sentences(Code, 40);
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", text);
        var made = memories.Made("own", ("it.txt", text));
        using (MemoryFile mine = MemoryFile.Open(memories.File("notes")), tools = MemoryFile.Open(made))
            Assert.Equal(tools.Documents.Select(d => d.Version), mine.Documents.Select(d => d.Version));
        var engine = model.Engine.With(topK is { } k ? model.Engine.MemoryRetrieval(k) with { Mass = 0.9 } : model.Engine.MemoryRetrieval());
        foreach (var again in (bool[])[false, true])
        {
            var answer = await Ask(server, Question, ["notes"], $",\"max_tokens\":40{fields}");
            Assert.Equal(memories.Own(engine, Question, focus, made), Said(answer));
            if (focus is null) continue;
            Assert.Equal("4711.", Said(answer));
            var cited = Cited(answer);
            Assert.InRange(cited.Length, 1, 8);
            Assert.Contains(cited, c => c.GetProperty("text").GetString()!.Contains("4711", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task BlocksOfALongMemoryAreFoundFirstWhereNobodySays()
    {
        var engine = model.Engine.With(model.Engine.MemoryRetrieval());
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 1900));
        var file = memories.File("notes");
        await TestServer.Until(() => server.Server.Library!.OpenBytes > 0);                 // for whoever asks first
        using (var memory = model.Engine.OpenMemory([file])) Assert.InRange(memory.Blocks, MemoryFocus.LongFrom + 1, 2 * MemoryFocus.LongFrom);
        // What is looked for is the question, whatever is said before it.
        var said = await Ask(server, $"Nº 7 has lamps.\n\n{Question}", ["notes"], ",\"max_tokens\":40");
        using (var memory = model.Engine.OpenMemory([file]))
        using (var part = engine.Focus(memory, $"Question: {Question}\nAnswer:", MemoryFocus.Blocks))
        using (var session = engine.NewSession(part))
        {
            session.Append($"\n\nNº 7 has lamps.\n\nQuestion: {Question}\nAnswer:");
            Assert.Equal(string.Concat(session.Generate(new GenerationOptions { MaxTokens = 40, Stop = ["\n"] }).Select(t => t.Text)).TrimStart(), Said(said));
        }
        Assert.Equal(memories.Own(engine, Question, MemoryFocus.Blocks, file), Said(await Ask(server, Question, ["notes"], ",\"max_tokens\":40")));
        Assert.Equal(
            memories.Own(engine, Question, null, file),
            Said(await Ask(server, Question, ["notes"], ",\"max_tokens\":40,\"landmark\":{\"focus\":0}")));
    }

    [Fact]
    public async Task PassagesStandWhereTheySayAndNoneReachesPastItsDocument()
    {
        var text = Sentences(Code, 12);
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", text);
        // A long question has the document's last block read from memory, and its own blocks.
        var question = string.Concat(Enumerable.Range(0, 40).Select(i => $"Lamp {i} is lit. ")) + Question;
        var cited = Cited(await Ask(server, question, ["notes"], ",\"max_tokens\":8,\"landmark\":{\"passages\":64,\"top_k\":16}"));
        // That one stands last, for it is read for the question too; the most read of the others first.
        Assert.NotEmpty(cited);
        Assert.Equal(cited[..^1].OrderByDescending(c => c.GetProperty("mass").GetDouble()).Select(c => c.GetRawText()), cited[..^1].Select(c => c.GetRawText()));
        foreach (var passage in cited)
        {
            Assert.Equal(("notes", "it.txt"), (passage.GetProperty("memory").GetString(), passage.GetProperty("document").GetString()));
            var (from, bytes) = (passage.GetProperty("first_byte").GetInt64(), passage.GetProperty("bytes").GetInt64());
            Assert.Equal(
                passage.GetProperty("text").GetString(),
                await server.Http.GetStringAsync($"v1/memories/notes/documents/it.txt/text?from={from}&to={from + bytes}"));
            Assert.Equal(passage.GetRawText() == cited[^1].GetRawText(), from + bytes == Encoding.UTF8.GetByteCount(text));
        }
        Assert.Empty(Cited(await Ask(server, question, ["notes"], ",\"max_tokens\":8,\"landmark\":{\"passages\":0}")));
    }

    [Fact]
    public async Task SeveralMemoriesAreReadInTheirOrder()
    {
        var (one, two) = (Sentences(Code, 30), Sentences(Keeper, 30, 2));
        await using var server = await memories.Start();
        foreach (var (name, text) in (IEnumerable<(string, string)>)[("one", one), ("two", two)])
        {
            await Create(server, name);
            await Add(server, name, "it.txt", text);
        }
        string[] own = [memories.Made("a", ("it.txt", one)), memories.Made("b", ("it.txt", two))];
        foreach (var question in (string[])[Question, "Who is the keeper of the lighthouse?"])
        {
            // All blocks are read: both memories' are among the passages.
            var answer = await Ask(server, question, ["one", "two"], ",\"max_tokens\":40,\"landmark\":{\"top_k\":32,\"passages\":64}");
            Assert.Equal(memories.Own(model.Engine.With(model.Engine.MemoryRetrieval(32)), question, null, own), Said(answer));
            var (memory, fact) = question == Question ? ("one", "4711") : ("two", "Anna Berg");
            Assert.Contains(Cited(answer), c =>
                c.GetProperty("memory").GetString() == memory && c.GetProperty("text").GetString()!.Contains(fact, StringComparison.Ordinal));
        }
        foreach (var (names, code, status) in (IEnumerable<(string[], string?, HttpStatusCode)>)[
            (["one", "none"], "memory_not_found", HttpStatusCode.NotFound), (["one", "one"], null, HttpStatusCode.BadRequest),
            ([], null, HttpStatusCode.BadRequest)])
        {
            using var refused = await Asked(server, Question, names);
            var error = await TestServer.Error(refused);
            Assert.Equal((status, "memories", code), (error.Status, error.Param, error.Code));
        }
    }

    /// <summary>A long memory about what is asked leaves a short one none of what is found together; each can have its own.</summary>
    [Fact]
    public async Task EachMemoryCanHaveABudgetOfItsOwn()
    {
        var (much, little) = (string.Concat(Enumerable.Range(0, 60).Select(i => $"The code of box {i} is {1000 + i}. ")), Sentences(Keeper, 20, 2));
        await using var server = await memories.Start();
        foreach (var (name, text) in (IEnumerable<(string, string)>)[("much", much), ("little", little)])
        {
            await Create(server, name);
            await Add(server, name, "it.txt", text);
        }
        async Task<string?[]> Read(string focus) =>
            [.. Cited(await Ask(server, "What is the code of box 7?", ["much", "little"], $",\"max_tokens\":12,\"landmark\":{{\"focus\":{focus},\"top_k\":32,\"passages\":64}}"))
                .Where(c => c.GetProperty("block").GetInt64() < 6).Select(c => c.GetProperty("memory").GetString()).Order()];
        // Six blocks are two windows: all of them are read from memory.
        Assert.Equal(["little", "little", "much", "much", "much", "much"], await Read("[4,2]"));
        Assert.Equal(["little", "little", "little", "little", "little", "much"], await Read("[1,5]"));
        Assert.Equal(6, (await Read("6")).Length);
    }

    [Fact]
    public async Task AConversationGoesOnWithoutReadingItAgainUntilTheMemoryChanges()
    {
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 30));
        var said = string.Concat(Enumerable.Range(0, 30).Select(i => $"Box {i} holds {i * 37} coins. ")) + "\n\nWhat is blue?";
        static int Cached(JsonElement answer) =>
            answer.GetProperty("usage").GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
        async Task<int> CachedAfter(string first)
        {
            var body = $$"""
                {"model":"{{ServedModel.Name}}","temperature":0,"memories":["notes"],"messages":[{"role":"user","content":{{JsonSerializer.Serialize(said)}}},
                {"role":"assistant","content":{{JsonSerializer.Serialize(first)}}},{"role":"user","content":"{{Question}}"}]}
                """;
            using var response = await server.Post("v1/chat/completions", body);
            return Cached(TestServer.Parse(await response.Content.ReadAsStringAsync()));
        }
        var answer = await Ask(server, said, ["notes"], ",\"max_tokens\":20");
        var read = answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt32();
        Assert.InRange(await CachedAfter(Said(answer)), read - 64, read + 40);
        var plain = await server.Complete($"\"prompt\":{JsonSerializer.Serialize(said)}");
        Assert.Equal(0, Cached(plain));
        // Sessions of what the memory was are none of what it is.
        await Add(server, "notes", "other.txt", Sentences(Keeper, 5, 2));
        Assert.Equal(0, await CachedAfter(Said(answer)));
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 0);
    }

    [Fact]
    public async Task AMemoryCanBeAskedWhileADocumentIsRead()
    {
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 20));
        var before = await Ask(server, Question, ["notes"], ",\"max_tokens\":40");
        using (var put = await Put(server, "notes", "long.txt", Encoding.UTF8.GetBytes(Sentences("", 600, 3)))) Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
        var during = await Ask(server, Question, ["notes"], ",\"max_tokens\":40");
        Assert.Equal("reading", (await Get(server, "notes/documents/long.txt")).GetProperty("state").GetString());
        Assert.Equal(Said(before), Said(during));
        Assert.Equal("ready", (await Settled(server, "notes", "long.txt")).GetProperty("state").GetString());
        var after = await Ask(server, "Which?", ["notes"], ",\"max_tokens\":8,\"landmark\":{\"passages\":64,\"top_k\":32}");
        Assert.Contains(Cited(after), c => c.GetProperty("document").GetString() == "long.txt");
    }

    [Fact]
    public async Task TheOfficialClientReadsAnswersWithPassages()
    {
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 20));
        using var whole = await Asked(server, Question, ["notes"], ",\"landmark\":{\"focus\":4,\"trace\":true}");
        var answer = ModelReaderWriter.Read<ChatCompletion>(BinaryData.FromStream(await whole.Content.ReadAsStreamAsync()))!;
        Assert.Equal(("4711.", ChatFinishReason.Stop), (answer.Content[0].Text, answer.FinishReason));
        using var stream = await Asked(server, Question, ["notes"], ",\"landmark\":{\"focus\":4,\"trace\":true},\"stream\":true");
        var events = (await stream.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e["data: ".Length..]).ToArray();
        Assert.Equal("[DONE]", events[^1]);
        var chunks = events[..^1];
        Assert.Equal("4711.", string.Concat(chunks.Select(c => ModelReaderWriter.Read<StreamingChatCompletionUpdate>(BinaryData.FromString(c))!)
            .SelectMany(u => u.ContentUpdate).Select(p => p.Text)));
        var last = Assert.Single(chunks, c => c.Contains("annotations", StringComparison.Ordinal));
        Assert.Equal(chunks[^1], last);
        Assert.Contains("4711", TestServer.Parse(last).GetProperty("choices")[0].GetProperty("delta").GetProperty("annotations").GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ATraceIsTheToolsOwn()
    {
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", Sentences(Code, 40));
        var trace = (await Ask(server, Question, ["notes"], ",\"landmark\":{\"trace\":true}")).GetProperty("choices")[0].GetProperty("landmark_trace");
        var path = memories.Folder.Write("trace.jsonl", string.Concat(
            trace.GetProperty("tokens").EnumerateArray().Prepend(trace.GetProperty("header")).Select(line => line.GetRawText() + "\n")));
        var loaded = TraceFile.Load(path);
        Assert.Equal(("notes", ServedModel.Name, 8, 3), (loaded.Header.Text, loaded.Header.Model, loaded.Header.TopK, loaded.Header.WindowBlocks));
        Assert.All(loaded.Header.Passages.Where(p => p.Document is not null), p => Assert.Equal(("it.txt", "notes"), (p.Document, p.File)));
        loaded.Save(memories.Folder["again.jsonl"]);
        Assert.Equal(File.ReadAllText(path), File.ReadAllText(memories.Folder["again.jsonl"]));
        // Without a memory there is one too.
        var plain = await server.Complete("\"prompt\":\"The sea\",\"max_tokens\":2,\"landmark\":{\"trace\":true}");
        Assert.Equal(2, plain.GetProperty("choices")[0].GetProperty("landmark_trace").GetProperty("tokens").GetArrayLength());
    }

    [Fact]
    public async Task CompletionsGoOnAfterMemoriesToo()
    {
        var text = Sentences(Code, 20);
        await using var server = await memories.Start();
        await Create(server, "notes");
        await Add(server, "notes", "it.txt", text);
        using var memory = model.Engine.OpenMemory([memories.Made("own", ("it.txt", text))]);
        using var session = model.Engine.With(model.Engine.MemoryRetrieval()).NewSession(memory);
        session.Append("The code of");
        var expected = string.Concat(session.Generate(new GenerationOptions { MaxTokens = 8 }).Select(t => t.Text));
        foreach (var prompt in (string[])["\"The code of\"", JsonSerializer.Serialize(model.Engine.Tokenizer.Encode("The code of", atStart: false))])
        {
            var answer = await server.Complete($"\"prompt\":{prompt},\"max_tokens\":8,\"temperature\":0,\"memories\":[\"notes\"]");
            Assert.Equal(expected, answer.GetProperty("choices")[0].GetProperty("text").GetString());
        }
    }

    [Theory]
    [InlineData("\"landmark\":{\"top_k\":0}", "landmark.top_k", null)]
    [InlineData("\"landmark\":{\"mass\":1.5}", "landmark.mass", null)]
    [InlineData("\"landmark\":{\"focus\":4}", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":-1},\"memories\":[\"a\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":1.5},\"memories\":[\"a\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":[]},\"memories\":[\"a\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":[4]},\"memories\":[\"a\",\"b\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":[4,0]},\"memories\":[\"a\",\"b\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"focus\":[4,\"4\"]},\"memories\":[\"a\",\"b\"]", "landmark.focus", null)]
    [InlineData("\"landmark\":{\"passages\":4}", "landmark.passages", null)]
    [InlineData("\"landmark\":{\"passages\":65},\"memories\":[\"a\"]", "landmark.passages", null)]
    [InlineData("\"landmark\":{\"depth\":4}", "landmark.depth", "unknown_field")]
    [InlineData("\"landmark\":{\"trace\":true,\"top_k\":14},\"max_tokens\":4096", "landmark.trace", null)]
    [InlineData("\"landmark\":{\"trace\":true},\"max_tokens\":1024,\"n\":13", "landmark.trace", null)]
    [InlineData("\"memories\":[\"../a\"]", "memories", "invalid_name")]
    [InlineData("\"memories\":\"a\"", "memories", "invalid_json")]
    public async Task WhatCannotBeFollowedIsRefused(string fields, string param, string? code)
    {
        await using var server = await memories.Start();
        using var response = await server.Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":"a",{{fields}}}""");
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.BadRequest, param, code), (error.Status, error.Param, error.Code));
    }

    [Fact]
    public async Task AServerWithoutMemoriesSaysSo()
    {
        await using var server = await model.Start();
        using var asked = await server.Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":"a","memories":["a"]}""");
        Assert.Equal((HttpStatusCode.BadRequest, "memories", "unsupported_field"), (await TestServer.Error(asked)) is var e ? (e.Status, e.Param, e.Code) : default);
        using var list = await server.Http.GetAsync("v1/memories");
        Assert.Equal(HttpStatusCode.NotFound, list.StatusCode);
    }
}
