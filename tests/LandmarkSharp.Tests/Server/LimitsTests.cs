using System.Net;
using System.Net.Http.Headers;
using OpenAI.Chat;

namespace LandmarkSharp.Tests.Server;

/// <summary>What is more than the server takes on, and who goes away or is sent away.</summary>
public sealed class LimitsTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Endless = $$"""{"model":"{{ServedModel.Name}}","prompt":"The sea","max_tokens":100000,"stream":true}""";

    [Fact]
    public async Task OneMoreThanMayWaitIsToldToComeAgain()
    {
        await using var server = await model.Start(o => (o.Concurrency, o.QueueLength, o.MaxAnswerTokens) = (1, 0, 100_000));
        using var gone = new CancellationTokenSource();
        var busy = server.Post("v1/completions", Endless, gone.Token);
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 1);
        using var refused = await server.Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":"a"}""");
        var error = await TestServer.Error(refused);
        Assert.Equal((HttpStatusCode.TooManyRequests, "rate_limit_exceeded"), (error.Status, error.Code));
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter!.Delta);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => busy);
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 0);
        Assert.Single((await server.Complete("\"prompt\":\"a\",\"max_tokens\":1")).GetProperty("choices").EnumerateArray());
    }

    [Fact]
    public async Task AClientThatGoesAwayInAStreamEndsItsAnswer()
    {
        await using var server = await model.Start(o => o.MaxAnswerTokens = 100_000);
        using var gone = new CancellationTokenSource();
        var said = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            var options = new ChatCompletionOptions { Temperature = 1.5f, StopSequences = { "never said" } };
            // Most answers end at their line's end: again until one is long enough to be left.
            while (true)
                await foreach (var _ in server.Chat.CompleteChatStreamingAsync([new UserChatMessage("Who?")], options, gone.Token))
                    if (++said == 5) await gone.CancelAsync();
        });
        await TestServer.Until(() => server.Server.Scheduler.State.Active == 0);
    }

    [Fact]
    public async Task ALongBodyIsRefused()
    {
        await using var server = await model.Start(o => o.MaxBodyBytes = 4096);
        using var response = await server.Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":"{{new string('a', 5000)}}"}""");
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "too_large"), (error.Status, error.Code));
    }

    [Fact]
    public async Task ALongPromptIsRefused()
    {
        await using var server = await model.Start(o => o.MaxPromptTokens = 20);
        using var response = await server.Post("v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":"{{new string('1', 21)}}"}""");
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.BadRequest, "prompt", "context_length_exceeded"), (error.Status, error.Param, error.Code));
    }

    [Theory]
    [InlineData(24, true)]
    [InlineData(23, false)]
    public async Task LogProbabilitiesThatMayComeAreBound(int most, bool fits)
    {
        await using var server = await model.Start(o => o.MaxLogprobs = most);
        using var response = await server.Post(
            "v1/completions", $$"""{"model":"{{ServedModel.Name}}","prompt":["a","b"],"n":2,"max_tokens":2,"logprobs":2}""");
        if (fits) Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        else Assert.Equal((HttpStatusCode.BadRequest, "logprobs"), (await TestServer.Error(response)) is var e ? (e.Status, e.Param) : default);
        await server.Complete("\"prompt\":\"a\",\"max_tokens\":40");                        // they cost nothing where nobody asks for them
    }

    [Fact]
    public async Task AStreamThatDoesNotEndInTimeEndsWithAnError()
    {
        await using var server = await model.Start(o => (o.GraceSeconds, o.MaxAnswerTokens) = (0, 100_000));
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions")
        {
            Content = new StringContent(Endless, new MediaTypeHeaderValue("application/json")),
        };
        using var response = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await server.Server.Stop();
        var last = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.Equal("stopping", TestServer.Parse(last["data: ".Length..]).GetProperty("error").GetProperty("code").GetString());
    }
}
