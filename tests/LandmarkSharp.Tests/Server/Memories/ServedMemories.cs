using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>A server with memories, and what clients do with them.</summary>
internal sealed class ServedMemories(ServedModel model) : IDisposable
{
    public const string Code = "The code of the archive is 4711.", Keeper = "The keeper of the lighthouse is Anna Berg.";

    public TemporaryFolder Folder { get; } = new();

    /// <summary>Sentences about nothing, with one in the middle.</summary>
    public static string Sentences(string fact, int sentences, int seed = 1) => string.Concat(Enumerable.Range(0, sentences).Select(
        i => (i == sentences / 2 ? $"{fact} " : "") + $"Nº {seed * 100 + i} has {(seed * 7919 + i * 37) % 1000} lamps; the grass is green.\n"));

    public Task<TestServer> Start(Action<ServerOptions>? change = null) => model.Start(options =>
    {
        options.Memories = Folder["library"];
        change?.Invoke(options);
    });

    /// <summary>The file of a memory of whoever has no key.</summary>
    public string File(string name) => Path.Combine(Folder["library"], "local", $"{name}.memory");

    public static async Task Create(TestServer server, string name, string blockType = "int8")
    {
        using var made = await server.Post("v1/memories", $$"""{"name":"{{name}}","block_type":"{{blockType}}"}""");
        Assert.True(made.StatusCode == HttpStatusCode.Created, await made.Content.ReadAsStringAsync());
    }

    public static Task<HttpResponseMessage> Put(TestServer server, string memory, string document, byte[] text, string type = "text/plain") => server.Http.PutAsync(
        $"v1/memories/{memory}/documents/{Uri.EscapeDataString(document)}",
        new ByteArrayContent(text) { Headers = { ContentType = MediaTypeHeaderValue.Parse(type) } });

    /// <summary>Adds a document, and waits until it can be asked.</summary>
    public static async Task Add(TestServer server, string memory, string document, string text)
    {
        using var put = await Put(server, memory, document, Encoding.UTF8.GetBytes(text));
        Assert.True(put.StatusCode == HttpStatusCode.Accepted, await put.Content.ReadAsStringAsync());
        Assert.Equal("ready", (await Settled(server, memory, document)).GetProperty("state").GetString());
    }

    /// <summary>A document when nothing is to happen to it any more, as its events tell.</summary>
    public static async Task<JsonElement> Settled(TestServer server, string memory, string document) => (await Events(server, memory, document))[^1];

    public static async Task<JsonElement[]> Events(TestServer server, string memory, string document)
    {
        var events = await server.Http.GetStringAsync($"v1/memories/{memory}/documents/{Uri.EscapeDataString(document)}/events");
        return [.. events.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => TestServer.Parse(e["data: ".Length..]))];
    }

    public static async Task<JsonElement> Get(TestServer server, string path) => TestServer.Parse(await server.Http.GetStringAsync($"v1/memories/{path}"));

    /// <summary>Asks a question of memories; more fields are JSON that begins with a comma.</summary>
    public static Task<HttpResponseMessage> Asked(TestServer server, string question, string[] memories, string more = "") => server.Post(
        "v1/chat/completions", $$"""
        {"model":"{{ServedModel.Name}}","temperature":0,"memories":{{JsonSerializer.Serialize(memories)}},
        "messages":[{"role":"user","content":{{JsonSerializer.Serialize(question)}}}]{{more}}}
        """);

    public static async Task<JsonElement> Ask(TestServer server, string question, string[] memories, string more = "")
    {
        using var response = await Asked(server, question, memories, more);
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return TestServer.Parse(body);
    }

    /// <summary>What an answer says.</summary>
    public static string Said(JsonElement answer) => answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;

    /// <summary>The passages that an answer cites.</summary>
    public static JsonElement[] Cited(JsonElement answer) => !answer.GetProperty("choices")[0].GetProperty("message").TryGetProperty("annotations", out var all)
        ? [] : [.. all.EnumerateArray().Select(a => a.GetProperty("landmark_passage"))];

    /// <summary>A file as the tool makes it.</summary>
    public string Made(string name, params (string Name, string Text)[] documents)
    {
        using var writer = MemoryFileWriter.Create(Folder[name], model.Engine.MemoryModel(), ScalarType.Int8);
        var maker = new MemoryMaker(model.Engine, writer);
        foreach (var (document, text) in documents) maker.Add(document, new StringReader(text));
        writer.Commit();
        return Folder[name];
    }

    /// <summary>What the engine itself answers from memory files, as 'landmark ask' asks.</summary>
    public string Own(LandmarkEngine engine, string question, int? focus, params string[] paths)
    {
        var prompt = $"\n\nQuestion: {question}\nAnswer:";
        using var memory = engine.OpenMemory(paths);
        using var part = focus is { } blocks ? engine.Focus(memory, prompt, blocks) : null;
        using var session = engine.NewSession(part ?? memory);
        session.Append(prompt);
        return string.Concat(session.Generate(new GenerationOptions { MaxTokens = 40, Stop = ["\n"] }).Select(t => t.Text)).TrimStart();
    }

    public void Dispose() => Folder.Dispose();
}
