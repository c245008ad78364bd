using System.Net;
using System.Text;
using LandmarkSharp.Server.Chat;

namespace LandmarkSharp.Tests.Server;

/// <summary>What is not followed is refused, with the field's name; nothing is ignored.</summary>
public sealed class RefusedRequestsTests(ServedModel model) : IClassFixture<ServedModel>
{
    private const string Chat = "v1/chat/completions", Completions = "v1/completions", Signs = "{}[]\",:0123456789.eE-+\\u dtfn";

    [Theory]
    [InlineData(Completions, "\"prompt\":\"a\",\"temperature\":3", "temperature")]
    [InlineData(Completions, "\"prompt\":\"a\",\"temperature\":\"hot\"", "temperature")]
    [InlineData(Completions, "\"prompt\":\"a\",\"top_p\":0", "top_p")]
    [InlineData(Completions, "\"prompt\":\"a\",\"n\":0", "n")]
    [InlineData(Completions, "\"prompt\":\"a\",\"n\":1.5", "n")]
    [InlineData(Completions, "\"prompt\":[\"a\",\"b\"],\"n\":65", "n")]
    [InlineData(Completions, "\"prompt\":\"a\",\"max_tokens\":0", "max_tokens")]
    [InlineData(Completions, "\"prompt\":\"a\",\"max_tokens\":1000000", "max_tokens")]
    [InlineData(Completions, "\"prompt\":\"a\",\"max_tokens\":99999999999", "max_tokens")]
    [InlineData(Completions, "\"prompt\":\"a\",\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "stop")]
    [InlineData(Completions, "\"prompt\":\"a\",\"stop\":\"\"", "stop")]
    [InlineData(Completions, "\"prompt\":\"a\",\"stop\":7", "stop")]
    [InlineData(Completions, "\"prompt\":\"a\",\"logprobs\":6", "logprobs")]
    [InlineData(Completions, "\"prompt\":\"a\",\"logprobs\":5,\"n\":128,\"max_tokens\":4096", "logprobs")]
    [InlineData(Completions, "\"prompt\":\"a\",\"best_of\":3", "best_of")]
    [InlineData(Completions, "\"prompt\":\"a\",\"echo\":true", "echo")]
    [InlineData(Completions, "\"prompt\":\"a\",\"suffix\":\"b\"", "suffix")]
    [InlineData(Completions, "\"prompt\":\"a\",\"presence_penalty\":2.1", "presence_penalty")]
    [InlineData(Completions, "\"prompt\":\"a\",\"frequency_penalty\":-2.1", "frequency_penalty")]
    [InlineData(Completions, "\"prompt\":\"a\",\"logit_bias\":{\"5\":1}", "logit_bias")]
    [InlineData(Completions, "\"prompt\":\"a\",\"stream_options\":{\"include_usage\":true}", "stream_options")]
    [InlineData(Completions, "\"prompt\":\"a\",\"stream\":true,\"stream_options\":{\"other\":1}", "stream_options.other")]
    [InlineData(Completions, "\"prompt\":\"a\",\"colour\":1", "colour")]
    [InlineData(Completions, "\"prompt\":\"a\",\"user\":1", "user")]
    [InlineData(Completions, "\"temperature\":1", "prompt")]
    [InlineData(Completions, "\"prompt\":[]", "prompt")]
    [InlineData(Completions, "\"prompt\":{}", "prompt")]
    [InlineData(Completions, "\"prompt\":[1,\"a\"]", "prompt")]
    [InlineData(Completions, "\"prompt\":[-1]", "prompt")]
    [InlineData(Completions, "\"prompt\":[8191]", "prompt")]
    [InlineData(Completions, "\"prompt\":[99999999]", "prompt")]
    [InlineData(Completions, "\"prompt\":\"\\ud800\"", "prompt")]
    [InlineData(Chat, "\"messages\":[]", "messages")]
    [InlineData(Chat, "\"messages\":[null]", "messages[0]")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"tool\",\"content\":\"a\",\"tool_call_id\":\"b\"}]", "messages[0].role")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "stream_options.include_obfuscation")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\"}]", "messages[0].content")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]", "messages[0].content")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"name\":\"b\"}]", "messages[0].name")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[{}]", "tools")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"store\":true", "store")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"response_format\":{\"type\":\"json_object\"}", "response_format")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"top_logprobs\":2", "top_logprobs")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"logprobs\":true,\"top_logprobs\":20,\"n\":4", "top_logprobs")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"logprobs\":true,\"n\":128,\"stream\":true", "logprobs")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":1,\"max_completion_tokens\":1", "max_tokens")]
    [InlineData(Chat, "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_completion_tokens\":-1", "max_completion_tokens")]
    public async Task AFieldIsNamed(string path, string fields, string param)
    {
        await using var server = await model.Start();
        using var response = await server.Post(path, $$"""{"model":"{{ServedModel.Name}}",{{fields}}}""");
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.BadRequest, param), (error.Status, error.Param));
    }

    [Fact]
    public async Task FieldsThatAskForNothingAreAccepted()
    {
        await using var server = await model.Start();
        using var response = await server.Post(Chat, $$"""
            {"model":"{{ServedModel.Name}}","messages":[{"role":"user","content":[{"type":"text","text":"What is it?"}],"name":null},
              {"role":"assistant","content":"A stone.","refusal":null,"tool_calls":[],"annotations":[]},{"role":"developer","content":"a"},
              {"role":"user","content":"Who?"}],
             "max_completion_tokens":3,"n":1,"stream":false,"stop":null,"user":"u","store":false,"tools":[],"tool_choice":"none",
             "presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},"metadata":{},"response_format":{"type":"text"},
             "modalities":["text"],"service_tier":"auto","stream_options":null,"logprobs":false,"seed":null,"reasoning_effort":"none",
             "prompt_cache_key":"k","function_call":"none","functions":[]}
            """);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task OtherModelsAndPathsAreNotFound()
    {
        await using var server = await model.Start();
        using var other = await server.Post(Completions, """{"model":"gpt-4o","prompt":"a"}""");
        Assert.Equal((HttpStatusCode.NotFound, "model", "model_not_found"), Known(await TestServer.Error(other)));
        using var none = await server.Post(Completions, """{"prompt":"a"}""");
        Assert.Equal((HttpStatusCode.BadRequest, "model", null), Known(await TestServer.Error(none)));
        using var path = await server.Http.GetAsync("v1/embeddings");
        Assert.Equal((HttpStatusCode.NotFound, null, null), Known(await TestServer.Error(path)));
        using var method = await server.Http.GetAsync(Completions);
        Assert.Equal((HttpStatusCode.MethodNotAllowed, null, null), Known(await TestServer.Error(method)));
        using var text = await server.Http.PostAsync(Completions, new StringContent("{}", Encoding.UTF8, "text/plain"));
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, null, null), Known(await TestServer.Error(text)));
    }

    [Fact]
    public async Task MalformedBodiesAreRefused()
    {
        await using var server = await model.Start(o => o.MaxAnswerTokens = 2);
        byte[][] whole =
        [
            Encoding.UTF8.GetBytes($$"""
                {"model":"{{ServedModel.Name}}","prompt":["It was ä dark night","é"],"temperature":0.5,"stop":["x","\u00e9"],"n":2,"seed":3,"echo":7}
                """),
            Encoding.UTF8.GetBytes($$$"""
                {"model":"{{{ServedModel.Name}}}","messages":[{"role":"user","content":[{"type":"text","text":"Who? ä"}]}],"stream":true,
                 "stream_options":{"include_usage":true},"logit_bias":{"1":2}}
                """),
        ];
        var random = new Random(1);
        foreach (var i in Enumerable.Range(0, 400))
        {
            // Each asks for something that is refused, so that what survives the damage is refused as well.
            var body = (byte[])whole[i % 2].Clone();
            for (var n = random.Next(4); n >= 0; n--)
            {
                var at = random.Next(body.Length);
                if (random.Next(4) == 0) body = body[..at];
                else if (random.Next(3) == 0) body = [.. body[..at], .. body[random.Next(body.Length)..]];
                else body[at] = random.Next(3) == 0 ? (byte)random.Next(256) : (byte)Signs[random.Next(Signs.Length)];
                if (body.Length == 0) break;
            }
            using var response = await server.Post(i % 2 == 0 ? Completions : Chat, body);
            Assert.InRange((int)response.StatusCode, 400, 499);
            await TestServer.Error(response);
        }
    }

    private static (HttpStatusCode Status, string? Param, string? Code) Known((HttpStatusCode Status, string? Param, string? Code, string Message) error) =>
        (error.Status, error.Param, error.Code);
}
