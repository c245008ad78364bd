using System.Net;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>A server that is killed while an upload comes, a document is read and an answer is made; eng/server-kills.sh does it many times.</summary>
public sealed class ServerKillsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string text = ServedMemories.Sentences(ServedMemories.Code, 1200);

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task ItGoesOnWhereItWasKilledAndMemoriesAreWhole()
    {
        var (process, http) = Start();
        await Send(http, HttpMethod.Post, "v1/memories", """{"name":"a","block_type":"int8"}""", HttpStatusCode.Created);
        var bytes = Encoding.UTF8.GetBytes(text);
        var begun = await Send(http, HttpMethod.Post, "v1/memories/a/uploads", $$"""{"document":"it.txt","bytes":{{bytes.Length}}}""", HttpStatusCode.Created);
        var upload = $"v1/memories/a/uploads/{begun.GetProperty("id").GetString()}";
        Assert.Equal(5000, (await Piece(http, upload, 0, bytes[..5000])).GetProperty("offset").GetInt32());

        // While a piece comes: the body is longer than what is sent of it.
        using (var half = new HttpRequestMessage(HttpMethod.Patch, upload) { Headers = { { "Upload-Offset", "5000" } } })
        {
            half.Content = new StreamContent(new Stalling(bytes[5000..9000]));
            var coming = http.SendAsync(half);
            await TestServer.Until(() =>
                Directory.EnumerateFiles(folder.Path, "*.part", SearchOption.AllDirectories).Any(p => new FileInfo(p).Length > 5000));
            (process, http) = await Restart(process, http);
            await Assert.ThrowsAnyAsync<Exception>(() => coming);
        }
        var told = TestServer.Parse(await http.GetStringAsync(upload));
        var offset = told.GetProperty("offset").GetInt32();
        Assert.Equal("receiving", told.GetProperty("state").GetString());
        Assert.InRange(offset, 5001, 9000);
        await Piece(http, upload, offset, bytes[offset..]);

        // While it is read.
        await Until(http, d => d.TryGetProperty("reading", out var r) && r.GetProperty("tokens").GetInt64() > 0);
        (process, http) = await Restart(process, http);
        Check();
        await Until(http, d => d.GetProperty("state").GetString() == "ready");
        Assert.Equal(text, await http.GetStringAsync("v1/memories/a/documents/it.txt/text"));

        // While it answers.
        using (var asked = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = new StringContent(
                """{"model":"landmark-10m","prompt":"The","memories":["a"],"max_tokens":4000,"stream":true}""", Encoding.UTF8, "application/json"),
        })
        using (var stream = await http.SendAsync(asked, HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.Equal(HttpStatusCode.OK, stream.StatusCode);
            (process, http) = await Restart(process, http);
        }
        Check();
        var answer = await Send(
            http, HttpMethod.Post, "v1/completions", """{"model":"landmark-10m","prompt":"The","memories":["a"],"max_tokens":2}""", HttpStatusCode.OK);
        Assert.Equal(2, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(0, (await process.Stop()).Code);
        Assert.Empty(Directory.EnumerateFiles(folder["local/.incoming"]));
        await process.DisposeAsync();
        http.Dispose();
    }

    private void Check()
    {
        using var file = MemoryFile.Open(folder["local/a.memory"]);
        Assert.Empty(file.Check(TestContext.Current.CancellationToken));
    }

    private (ServeProcess Process, HttpClient Http) Start()
    {
        var process = ServeProcess.Start("--memories", folder.Path);
        return (process, new HttpClient { BaseAddress = process.Address });
    }

    /// <summary>Kills it, and starts another.</summary>
    private async Task<(ServeProcess Process, HttpClient Http)> Restart(ServeProcess process, HttpClient http)
    {
        await process.DisposeAsync();
        http.Dispose();
        return Start();
    }

    private static async Task Until(HttpClient http, Func<JsonElement, bool> holds)
    {
        var document = "";
        for (var i = 0; i < 3000; i++)
        {
            document = await http.GetStringAsync("v1/memories/a/documents/it.txt");
            if (holds(TestServer.Parse(document))) return;
            await Task.Delay(10);
        }
        Assert.Fail(document);
    }

    private static Task<JsonElement> Piece(HttpClient http, string upload, int offset, byte[] piece) => Send(
        http, new HttpRequestMessage(HttpMethod.Patch, upload) { Content = new ByteArrayContent(piece), Headers = { { "Upload-Offset", $"{offset}" } } },
        HttpStatusCode.OK);

    private static Task<JsonElement> Send(HttpClient http, HttpMethod method, string path, string json, HttpStatusCode status) =>
        Send(http, new HttpRequestMessage(method, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") }, status);

    private static async Task<JsonElement> Send(HttpClient http, HttpRequestMessage request, HttpStatusCode status)
    {
        using (request)
        using (var response = await http.SendAsync(request))
        {
            var body = await response.Content.ReadAsStringAsync();
            Assert.True(response.StatusCode == status, body);
            return TestServer.Parse(body);
        }
    }

    /// <summary>Some bytes, after which nothing comes and no end either.</summary>
    private sealed class Stalling(byte[] bytes) : MemoryStream(bytes)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            if (read == 0) await Task.Delay(Timeout.Infinite, cancellationToken);
            return read;
        }

        public override bool CanSeek => false;
    }
}
