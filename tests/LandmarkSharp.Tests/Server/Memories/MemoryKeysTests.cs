using System.Net;
using System.Net.Sockets;
using System.Text;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Server.Access;

namespace LandmarkSharp.Tests.Server.Memories;

/// <summary>Documents of keys: what their reading costs, and bodies that do not come as they should.</summary>
public sealed class MemoryKeysTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly ServedMemories memories = new(model);
    private readonly KeyRoom keys = new();

    [Fact]
    public async Task TokensOfDocumentsCountForTheirOwnersDay()
    {
        var key = keys.Create("anna", new CallerLimits { TokensADay = 3000 });
        await using (var server = await memories.Start(o => o.Keys = keys.File.Path))
        {
            server.Http.DefaultRequestHeaders.Authorization = new("Bearer", key);
            await ServedMemories.Create(server, "stones");
            await ServedMemories.Add(server, "stones", "short", ServedMemories.Sentences(ServedMemories.Code, 20));
            using var put = await ServedMemories.Put(
                server, "stones", "long", Encoding.UTF8.GetBytes(ServedMemories.Sentences(ServedMemories.Code, 1000)));
            Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
            var failed = await ServedMemories.Settled(server, "stones", "long");
            Assert.Equal("failed", failed.GetProperty("state").GetString());
            Assert.Contains("tokens left for today", failed.GetProperty("error").GetString(), StringComparison.Ordinal);
            var left = await ServedMemories.Get(server, "stones");
            Assert.DoesNotContain(left.GetProperty("documents").EnumerateArray(), d =>
                d.GetProperty("name").GetString() == "long" && d.GetProperty("state").GetString() == "ready");
        }
        Assert.InRange(keys.File.TokensToday()["anna"], 300, 3000);
    }

    [Fact]
    public async Task AReadingGoesOnAfterARestartWithinTheLimitsOfItsKey()
    {
        var (anna, ben) = (keys.Create("anna"), keys.Create("ben"));
        await using (var first = await memories.Start(o => o.Keys = keys.File.Path))
            foreach (var key in (string[])[anna, ben])
            {
                first.Http.DefaultRequestHeaders.Authorization = new("Bearer", key);
                await ServedMemories.Create(first, "stones");
                using var put = await ServedMemories.Put(first, "stones", "long", Encoding.UTF8.GetBytes(ServedMemories.Sentences("", 1200)));
                Assert.Equal(HttpStatusCode.Accepted, put.StatusCode);
            }
        foreach (var name in (string[])["anna", "ben"])
        {
            Assert.Single(Records(name));
            keys.File.Revoke(name);
        }
        // Nobody asks for it: what its reading takes is limited by the key that there is now, and who has none has nothing read.
        keys.Create("anna", new CallerLimits { TokensADay = 1000 });
        await using var server = await memories.Start(o => o.Keys = keys.File.Path);
        await TestServer.Until(() => Records("anna").Any(r => r.Contains("tokens left for today", StringComparison.Ordinal)));
        Assert.DoesNotContain("\"error\":\"", Assert.Single(Records("ben")), StringComparison.Ordinal);
        Assert.Equal(0, server.Server.Scheduler.State.Active);
    }

    [Theory]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nffffffff\r\na", "400")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\nx", "400")]
    [InlineData("Content-Length: 100000\r\n\r\na", "408")]
    public async Task ABodyThatDoesNotComeAsAnnouncedIsRefused(string rest, string status)
    {
        await using var server = await memories.Start();
        await ServedMemories.Create(server, "stones");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Server.Address.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
            $"PUT /v1/memories/stones/documents/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{rest}{new string('\n', 50)}"));
        using var told = new StreamReader(client.GetStream());
        Assert.Contains($" {status} ", await told.ReadLineAsync(), StringComparison.Ordinal);
        Assert.Empty((await ServedMemories.Get(server, "stones")).GetProperty("documents").EnumerateArray());
    }

    /// <summary>What is noted on the disk of a caller's documents that are on their way.</summary>
    private string[] Records(string caller) =>
        [.. Directory.EnumerateFiles(memories.Folder[$"library/{caller}/.incoming"], "*.json").Select(File.ReadAllText)];

    public void Dispose()
    {
        memories.Dispose();
        keys.Dispose();
    }
}
