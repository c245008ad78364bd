using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;
using OpenAI;
using OpenAI.Chat;

namespace LandmarkSharp.Tests.Server;

/// <summary>The model that ships, loaded once, and servers of it on ports that are free.</summary>
public sealed class ServedModel : IDisposable
{
    public const string Name = "landmark-10m";

    public LandmarkEngine Engine { get; } = LandmarkEngine.Load(Path.Combine(AppContext.BaseDirectory, "models", Name));

    /// <summary>A server of the model.</summary>
    internal Task<TestServer> Start(Action<ServerOptions>? change = null) => TestServer.Start(Engine, new QuestionTemplate(), change);

    /// <summary>What the model's own session says, greedily.</summary>
    internal string Own(string prompt, int tokens, params string[] stop)
    {
        using var session = Engine.NewSession();
        session.Append(prompt);
        return string.Concat(session.Generate(new GenerationOptions { MaxTokens = tokens, Stop = stop }).Select(t => t.Text));
    }

    public void Dispose() => Engine.Dispose();
}

/// <summary>A running server and its clients.</summary>
internal sealed class TestServer : IAsyncDisposable
{
    private readonly LandmarkServer server;

    private TestServer(LandmarkServer server)
    {
        this.server = server;
        Http = new HttpClient { BaseAddress = server.Address };
        Chat = new ChatClient(ServedModel.Name, new ApiKeyCredential("none"), new OpenAIClientOptions
        {
            Endpoint = new Uri(server.Address, "v1"),
            RetryPolicy = new ClientRetryPolicy(0),
        });
    }

    public LandmarkServer Server => server;

    public HttpClient Http { get; }

    public ChatClient Chat { get; }

    public static async Task<TestServer> Start(LandmarkEngine engine, IChatTemplate template, Action<ServerOptions>? change = null)
    {
        var options = new ServerOptions { Port = 0, GraceSeconds = 1 };
        change?.Invoke(options);
        return new TestServer(await LandmarkServer.Start(engine, ServedModel.Name, options, template));
    }

    /// <summary>Posts JSON.</summary>
    public Task<HttpResponseMessage> Post(string path, string json, CancellationToken cancel = default) =>
        Post(path, Encoding.UTF8.GetBytes(json), cancel);

    /// <summary>Posts bytes that are said to be JSON.</summary>
    public Task<HttpResponseMessage> Post(string path, byte[] body, CancellationToken cancel = default) => Http.PostAsync(
        path, new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } }, cancel);

    /// <summary>Completes prompts; fields are JSON without the outer braces.</summary>
    public async Task<JsonElement> Complete(string fields)
    {
        using var response = await Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}",{{fields}}}""");
        var body = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, body);
        return Parse(body);
    }

    /// <summary>The error that a request is answered with, checked for its form.</summary>
    public static async Task<(HttpStatusCode Status, string? Param, string? Code, string Message)> Error(HttpResponseMessage response)
    {
        var error = Parse(await response.Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal(["message", "type", "param", "code"], error.EnumerateObject().Select(p => p.Name));
        var message = error.GetProperty("message").GetString()!;
        Assert.EndsWith(".", message);
        Assert.DoesNotContain("Exception", message, StringComparison.Ordinal);
        Assert.DoesNotContain("System.", message, StringComparison.Ordinal);
        var type = error.GetProperty("type").GetString();
        Assert.Equal((int)response.StatusCode switch { 429 => "rate_limit_error", >= 500 => "server_error", _ => "invalid_request_error" }, type);
        return (response.StatusCode, error.GetProperty("param").GetString(), error.GetProperty("code").GetString(), message);
    }

    public static JsonElement Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }

    /// <summary>Waits until something holds, which it must soon.</summary>
    public static async Task Until(Func<bool> holds)
    {
        for (var i = 0; i < 2000 && !holds(); i++) await Task.Delay(10);
        Assert.True(holds());
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await server.DisposeAsync();
    }
}
