using System.Net;
using System.Net.Sockets;
using System.Text;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>How much a key's holder may ask, whatever others do.</summary>
public sealed class KeyLimitsTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly KeyRoom keys = new();

    [Fact]
    public async Task RequestsOfAKeyAreLimitedAndThoseOfOthersAreNot()
    {
        var (narrow, wide) = (keys.Create("narrow", new CallerLimits { Concurrency = 1, QueueLength = 1 }), keys.Create("wide"));
        await using var server = await model.Start(o => (o.Keys, o.Concurrency, o.MaxAnswerTokens) = (keys.File.Path, 3, 100_000));
        using var gone = new CancellationTokenSource();
        var busy = Enumerable.Range(0, 2).Select(_ => Endless(server, narrow, gone.Token)).ToArray();
        await TestServer.Until(() => server.Server.Scheduler.State is { Active: 1, Waiting: 1 });
        using var refused = await KeyRoom.Complete(server, narrow, "a", 1);
        var error = await TestServer.Error(refused);
        Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded"), (error.Status, error.Code));
        Assert.Contains("of this key", error.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        using var other = await KeyRoom.Complete(server, wide, "a", 1);
        Assert.Equal(HttpStatusCode.OK, other.StatusCode);
        Assert.Equal((1, 1), (server.Server.Scheduler.State.Active, server.Server.Scheduler.State.Waiting));
        await End(server, gone, busy);
    }

    [Fact]
    public async Task WhoFillsTheServerKeepsNoOtherKeyOut()
    {
        var (many, one) = (keys.Create("many"), keys.Create("one"));
        await using var server = await model.Start(
            o => (o.Keys, o.Concurrency, o.QueueLength, o.MaxAnswerTokens) = (keys.File.Path, 2, 2, 100_000));
        using var gone = new CancellationTokenSource();
        var busy = Enumerable.Range(0, 4).Select(_ => Endless(server, many, gone.Token)).ToArray();
        await TestServer.Until(() => server.Server.Scheduler.State is { Active: 2, Waiting: 2 });
        using var fifth = await KeyRoom.Complete(server, many, "a", 1);
        Assert.Equal(HttpStatusCode.TooManyRequests, fifth.StatusCode);
        var waits = Endless(server, one, gone.Token);
        await TestServer.Until(() => server.Server.Scheduler.State.Waiting == 3);
        using var second = await KeyRoom.Complete(server, one, "a", 1);
        Assert.Equal(HttpStatusCode.TooManyRequests, second.StatusCode);
        await End(server, gone, [.. busy, waits]);
    }

    [Fact]
    public async Task TokensOfADayAreThoseThatAreComputed()
    {
        var key = keys.Create("anna", new CallerLimits { TokensADay = 140 });
        var other = keys.Create("ben", new CallerLimits { TokensADay = 140 });
        var (prompt, longer) = (new string('7', 80), new string('8', 90));
        int first, second;
        await using (var server = await model.Start(o => o.Keys = keys.File.Path))
        {
            first = await Used(server, key, prompt, 2);
            Assert.InRange(first, 80, 90);
            // The same once more is read from what was kept, but for its last block.
            second = await Used(server, key, prompt, 2);
            Assert.InRange(second, 1, 30);
            using var refused = await KeyRoom.Complete(server, key, longer, 1);
            await IsSpent(refused);
        }
        Assert.Equal(first + second, keys.File.TokensToday()["anna"]);
        // After a restart nothing is kept but the count.
        await using var restarted = await model.Start(o => o.Keys = keys.File.Path);
        using var again = await KeyRoom.Complete(restarted, key, longer, 1);
        await IsSpent(again);
        await Used(restarted, other, longer, 1);
    }

    [Fact]
    public async Task AStreamWhoseTokensEndSaysSo()
    {
        var key = keys.Create("anna", new CallerLimits { TokensADay = 20 });
        await using var server = await model.Start(o => o.Keys = keys.File.Path);
        using var response = await KeyRoom.Complete(server, key, "The sea", 100, streams: true);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.InRange(events.Length, 10, 20);
        Assert.Equal("insufficient_quota", TestServer.Parse(events[^1]["data: ".Length..]).GetProperty("error").GetProperty("code").GetString());
        using var next = await KeyRoom.Complete(server, key, "a", 1);
        await IsSpent(next);
    }

    [Fact]
    public async Task AllKeysTogetherHaveALimit()
    {
        var (anna, ben) = (keys.Create("anna"), keys.Create("ben"));
        await using var server = await model.Start(o => (o.Keys, o.TokensADay) = (keys.File.Path, 10));
        using var first = await KeyRoom.Complete(server, anna, "The sea", 4);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        using var second = await KeyRoom.Complete(server, ben, "The sea was dark", 9);
        await IsSpent(second);
    }

    [Fact]
    public async Task LongBodiesThatDoNotComeKeepOutNobodyElse()
    {
        var (slow, other) = (keys.Create("slow"), keys.Create("other"));
        await using var server = await model.Start(o => (o.Keys, o.Concurrency, o.MaxBodyBytes) = (keys.File.Path, 1, 4096));
        using (var stalled = new TcpClient())
        {
            await stalled.ConnectAsync(IPAddress.Loopback, server.Server.Address.Port);
            await stalled.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {slow}\r\nContent-Type: application/json\r\n"
                + $"Content-Length: 4000\r\n\r\n{new string(' ', 3000)}"));
            await Eventually(HttpStatusCode.TooManyRequests);
            using var response = await KeyRoom.Complete(server, other, "The sea", 1);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            // Who sends nothing more has not got the room for ever.
            using var told = new StreamReader(stalled.GetStream());
            Assert.Contains("408", await told.ReadLineAsync(), StringComparison.Ordinal);
        }
        await Eventually(HttpStatusCode.OK);

        async Task Eventually(HttpStatusCode expected)
        {
            for (var i = 0; i < 100; i++)
            {
                using var response = await KeyRoom.Complete(server, slow, new string('a', 3000), 1);
                if (response.StatusCode == expected) return;
                await Task.Delay(50);
            }
            Assert.Fail($"It is never answered with {expected}.");
        }
    }

    public void Dispose() => keys.Dispose();

    private static Task<HttpResponseMessage> Endless(TestServer server, string key, CancellationToken cancel) =>
        KeyRoom.Ask(server, key, "v1/completions", "\"prompt\":\"The sea\",\"max_tokens\":100000,\"seed\":1", cancel);

    private static async Task End(TestServer server, CancellationTokenSource gone, Task<HttpResponseMessage>[] busy)
    {
        await gone.CancelAsync();
        foreach (var request in busy) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await TestServer.Until(() => server.Server.Scheduler.State is { Active: 0, Waiting: 0 });
    }

    /// <summary>Tokens that a completion says were computed.</summary>
    private static async Task<int> Used(TestServer server, string key, string prompt, int tokens)
    {
        using var response = await KeyRoom.Complete(server, key, prompt, tokens);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var usage = TestServer.Parse(await response.Content.ReadAsStringAsync()).GetProperty("usage");
        return usage.GetProperty("total_tokens").GetInt32() - usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32();
    }

    private static async Task IsSpent(HttpResponseMessage response)
    {
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.TooManyRequests, "insufficient_quota"), (error.Status, error.Code));
        var midnight = DateTimeOffset.UtcNow.Date.AddDays(1) - DateTimeOffset.UtcNow.UtcDateTime;
        Assert.InRange(response.Headers.RetryAfter!.Delta!.Value, midnight - TimeSpan.FromSeconds(1), midnight + TimeSpan.FromSeconds(30));
    }
}
