using System.Text.Json;

namespace LandmarkSharp.Tests.Server;

/// <summary>Texts that are gone on with.</summary>
public sealed class CompletionTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Begin = "It was a dark night, and";

    [Fact]
    public async Task AGreedyCompletionIsTheSessionsOwn()
    {
        await using var server = await model.Start();
        var answer = await server.Complete($$"""
            "prompt":"{{Begin}}","temperature":0,"max_tokens":30
            """);
        Assert.Equal((model.Own(Begin, 30), "length"), Only(answer));
        Assert.Equal("text_completion", answer.GetProperty("object").GetString());
        Assert.Equal(30, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
    }

    [Fact]
    public async Task PromptsComeAsTextOrTokensAndSeveralAtOnce()
    {
        await using var server = await model.Start();
        var tokens = JsonSerializer.Serialize(model.Engine.Tokenizer.Encode(Begin, addSpecial: true));
        foreach (var prompt in (string[])[$"[\"{Begin}\"]", tokens, $"[{tokens}]"])
            Assert.Equal((model.Own(Begin, 8), "length"), Only(await server.Complete($"\"prompt\":{prompt},\"temperature\":0,\"max_tokens\":8")));
        var two = Texts(await server.Complete($"\"prompt\":[\"{Begin}\",\"The sea\"],\"temperature\":0,\"max_tokens\":8,\"n\":2"));
        Assert.Equal([model.Own(Begin, 8), model.Own(Begin, 8), model.Own("The sea", 8), model.Own("The sea", 8)], two);
    }

    [Fact]
    public async Task StopsEndIt()
    {
        await using var server = await model.Start();
        var own = model.Own(Begin, 30);
        var word = own.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3];
        foreach (var stop in (string[])[$"\"{word}\"", $"[\"none of it\",\"{word}\"]"])
            Assert.Equal(
                (own[..own.IndexOf(word, StringComparison.Ordinal)], "stop"),
                Only(await server.Complete($"\"prompt\":\"{Begin}\",\"temperature\":0,\"max_tokens\":30,\"stop\":{stop}")));
    }

    [Fact]
    public async Task EqualSeedsGiveEqualAnswersAndAnswersDiffer()
    {
        await using var server = await model.Start();
        string Fields(long seed) => $"\"prompt\":\"{Begin}\",\"max_tokens\":12,\"n\":3,\"seed\":{seed}";
        var first = Texts(await server.Complete(Fields(5)));
        Assert.Equal(3, first.Distinct().Count());
        Assert.Equal(first, Texts(await server.Complete(Fields(5))));
        Assert.NotEqual(first, Texts(await server.Complete(Fields(1L << 40))));
        Assert.NotEqual(
            Texts(await server.Complete($"\"prompt\":\"{Begin}\",\"max_tokens\":12")),
            Texts(await server.Complete($"\"prompt\":\"{Begin}\",\"max_tokens\":12")));
    }

    /// <summary>Each token is the likeliest when what was chosen before has been penalized; told are the model's own likelihoods.</summary>
    [Theory]
    [InlineData(1.5, 0)]
    [InlineData(0, 1.5)]
    [InlineData(0.7, 0.7)]
    public async Task PenaltiesMakeWhatWasSaidLessLikely(double frequency, double presence)
    {
        await using var server = await model.Start();
        var answer = await server.Complete(
            $"\"prompt\":\"One and one and one and one and\",\"temperature\":0,\"max_tokens\":24,\"logprobs\":5,\"frequency_penalty\":{frequency},\"presence_penalty\":{presence}");
        var told = answer.GetProperty("choices")[0].GetProperty("logprobs");
        var (texts, counts, changed) = (Strings(told.GetProperty("tokens")), new Dictionary<string, int>(), 0);
        double Penalized(string text, double logprob) =>
            counts.TryGetValue(text, out var count) ? logprob - (count * frequency) - presence : logprob;
        for (var i = 0; i < texts.Length; i++)
        {
            var own = told.GetProperty("token_logprobs")[i].GetDouble();
            foreach (var other in told.GetProperty("top_logprobs")[i].EnumerateObject())
            {
                Assert.True(Penalized(texts[i], own) >= Penalized(other.Name, other.Value.GetDouble()) - 1e-4, $"{i}: '{texts[i]}' and '{other.Name}'");
                if (other.Value.GetDouble() > own) changed++;
            }
            counts[texts[i]] = counts.GetValueOrDefault(texts[i]) + 1;
        }
        Assert.True(changed > 0);
    }

    [Fact]
    public async Task TokensComeWithTheirLikelihood()
    {
        await using var server = await model.Start();
        var answer = await server.Complete($"\"prompt\":\"{Begin}\",\"temperature\":0,\"max_tokens\":6,\"logprobs\":2");
        var told = answer.GetProperty("choices")[0].GetProperty("logprobs");
        var (texts, offsets) = (Strings(told.GetProperty("tokens")), told.GetProperty("text_offset").EnumerateArray().Select(o => o.GetInt32()).ToArray());
        Assert.Equal(Only(answer).Text, string.Concat(texts));
        Assert.Equal(texts.Select((_, i) => texts[..i].Sum(t => t.Length)), offsets);
        foreach (var (i, likeliest) in told.GetProperty("top_logprobs").EnumerateArray().Index())
        {
            Assert.Equal(2, likeliest.EnumerateObject().Count());
            Assert.Equal(told.GetProperty("token_logprobs")[i].GetDouble(), likeliest.GetProperty(texts[i]).GetDouble());
        }
        Assert.Equal(JsonValueKind.Null, (await server.Complete($"\"prompt\":\"{Begin}\",\"max_tokens\":1"))
            .GetProperty("choices")[0].GetProperty("logprobs").ValueKind);
    }

    [Fact]
    public async Task AStreamTellsEachAnswersTokensAndEnds()
    {
        await using var server = await model.Start();
        using var response = await server.Post("v1/completions", $$$"""
            {"model":"{{{ServedModel.Name}}}","prompt":"{{{Begin}}}","temperature":0,"max_tokens":9,"n":2,"stream":true,"logprobs":0,
             "stream_options":{"include_usage":true}}
            """);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var events = (await response.Content.ReadAsStringAsync()).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.All(events, e => Assert.StartsWith("data: ", e, StringComparison.Ordinal));
        Assert.Equal("data: [DONE]", events[^1]);
        var chunks = events[..^1].Select(e => TestServer.Parse(e["data: ".Length..])).ToArray();
        Assert.Equal(18, chunks[^1].GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        Assert.Equal(0, chunks[^1].GetProperty("choices").GetArrayLength());
        var choices = chunks[..^1].Select(c => Assert.Single(c.GetProperty("choices").EnumerateArray())).ToArray();
        foreach (var answer in choices.GroupBy(c => c.GetProperty("index").GetInt32()))
        {
            Assert.Equal(9, answer.Count());
            Assert.Equal(model.Own(Begin, 9), string.Concat(answer.Select(c => c.GetProperty("text").GetString())));
            Assert.Equal([.. Enumerable.Repeat<string?>(null, 8), "length"], answer.Select(c => c.GetProperty("finish_reason").GetString()));
            var offsets = answer.Select(c => c.GetProperty("logprobs").GetProperty("text_offset")[0].GetInt32()).ToArray();
            Assert.Equal((0, 9), (offsets[0], offsets.Distinct().Count()));
        }
    }

    [Fact]
    public async Task RequestsAtOnceAreAnsweredAsAlone()
    {
        await using var server = await model.Start(o => o.Concurrency = 5);
        string[] begins = [Begin, "The sea", "A king had", string.Join(' ', Enumerable.Repeat("The stone is red.", 300)), "Once there lived"];
        var answers = await Task.WhenAll(begins.Select(b => server.Complete($"\"prompt\":\"{b}\",\"temperature\":0,\"max_tokens\":24")));
        Assert.Equal(begins.Select(b => model.Own(b, 24)), answers.Select(a => Only(a).Text));
    }

    [Fact]
    public async Task TheModelIsListed()
    {
        await using var server = await model.Start();
        var list = TestServer.Parse(await server.Http.GetStringAsync("v1/models"));
        var one = TestServer.Parse(await server.Http.GetStringAsync($"v1/models/{ServedModel.Name}"));
        Assert.Equal(one.GetRawText(), Assert.Single(list.GetProperty("data").EnumerateArray()).GetRawText());
        Assert.Equal(ServedModel.Name, one.GetProperty("id").GetString());
        Assert.Equal("ok", TestServer.Parse(await server.Http.GetStringAsync("healthz")).GetProperty("status").GetString());
        var document = TestServer.Parse(await server.Http.GetStringAsync("openapi/v1.json"));
        Assert.Equal(
            ["/healthz", "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/models/{id}"],
            document.GetProperty("paths").EnumerateObject().Select(p => p.Name).Order(StringComparer.Ordinal));
        var fields = document.GetProperty("components").GetProperty("schemas").GetProperty("ChatRequest").GetProperty("properties");
        Assert.True(fields.TryGetProperty("max_completion_tokens", out _));
    }

    [Fact]
    public async Task WhatWasDoneIsCounted()
    {
        await using var server = await model.Start();
        await server.Complete("\"prompt\":\"The sea\",\"max_tokens\":3");
        using var refused = await server.Post("v1/completions", "{}");
        var counted = await server.Http.GetStringAsync("metrics");
        double Value(string name, string labels = "") => counted.Split('\n')
            .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Contains(labels, StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf('}') + 1)..].Trim().Split(' ')[0]));
        // Servers of other tests in this process are counted with it.
        Assert.True(Value("landmark_tokens_generated_total") >= 3);
        Assert.True(Value("landmark_first_token_seconds_count") >= 1);
        Assert.True(Value("http_server_request_duration_seconds_count", "status_code=\"400\"") >= 1);
        Assert.DoesNotContain("The sea", counted, StringComparison.Ordinal);
    }

    private static (string Text, string Finish) Only(JsonElement answer)
    {
        var choice = Assert.Single(answer.GetProperty("choices").EnumerateArray());
        return (choice.GetProperty("text").GetString()!, choice.GetProperty("finish_reason").GetString()!);
    }

    private static string[] Texts(JsonElement answer)
    {
        var choices = answer.GetProperty("choices").EnumerateArray().ToArray();
        Assert.Equal(Enumerable.Range(0, choices.Length), choices.Select(c => c.GetProperty("index").GetInt32()));
        return [.. choices.Select(c => c.GetProperty("text").GetString()!)];
    }

    private static string[] Strings(JsonElement array) => [.. array.EnumerateArray().Select(s => s.GetString()!)];
}
