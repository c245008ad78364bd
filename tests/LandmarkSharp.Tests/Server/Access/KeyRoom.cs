using System.Net.Http.Headers;
using System.Text;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>A key file of its own for a test, and requests with its keys.</summary>
internal sealed class KeyRoom : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public KeyFile File => new(folder["keys.json"]);

    public string this[string name] => folder[name];

    /// <summary>Makes a key.</summary>
    public string Create(string name, CallerLimits? limits = null, TimeSpan? holds = null) =>
        File.Create(name, limits ?? new CallerLimits(), DateTimeOffset.UtcNow + holds);

    /// <summary>Asks a server with a key: posts where there are fields of JSON, else gets.</summary>
    public static async Task<HttpResponseMessage> Ask(
        TestServer server, string? key, string path = "v1/models", string? fields = null, CancellationToken cancel = default)
    {
        using var request = new HttpRequestMessage(fields is null ? HttpMethod.Get : HttpMethod.Post, path);
        if (fields is not null)
            request.Content = new StringContent($$"""{"model":"{{ServedModel.Name}}",{{fields}}}""", Encoding.UTF8, "application/json");
        if (key is not null) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    /// <summary>Completes a prompt with a key.</summary>
    public static Task<HttpResponseMessage> Complete(
        TestServer server, string key, string prompt, int tokens, bool streams = false) =>
        Ask(server, key, "v1/completions",
            $"\"prompt\":\"{prompt}\",\"max_tokens\":{tokens},\"temperature\":0,\"stream\":{(streams ? "true" : "false")}");

    public void Dispose() => folder.Dispose();
}
