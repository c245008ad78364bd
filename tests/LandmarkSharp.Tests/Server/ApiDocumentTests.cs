using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Server.Memories;

namespace LandmarkSharp.Tests.Server;

/// <summary>What is answered is what the OpenAPI document says.</summary>
public sealed class ApiDocumentTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private const string Notes = "v1/memories/notes", Document = "v1/memories/{name}/documents/{document}", Uploads = "v1/memories/{name}/uploads";

    private readonly ServedMemories memories = new(model);

    public void Dispose() => memories.Dispose();

    [Fact]
    public async Task AnswersAreAsItSays()
    {
        await using var server = await memories.Start();
        var document = await Get(server);
        await ServedMemories.Create(server, "notes");
        await ServedMemories.Add(server, "notes", "it.txt", ServedMemories.Sentences(ServedMemories.Code, 40));
        const string asked = $$"""
            {"model":"{{ServedModel.Name}}","temperature":0,"max_tokens":4,"memories":["notes"],"landmark":{"trace":true,"session":"a"},
             "logprobs":true,"top_logprobs":2,"messages":[{"role":"user","content":"What is the code of the archive?"}]}
            """;
        var id = JsonDocument.Parse(await Answered("POST", Uploads, $"{Notes}/uploads", """{"document":"b","bytes":4}""")).RootElement.GetProperty("id").GetString();
        await Answered("PATCH", Uploads + "/{id}", $"{Notes}/uploads/{id}", "The ", ("Upload-Offset", "0"));
        await Answered("GET", Uploads + "/{id}", $"{Notes}/uploads/none");
        await Answered("POST", "v1/chat/completions", "v1/chat/completions", asked);
        await Answered("POST", "v1/chat/completions", "v1/chat/completions", asked.Replace("\"logprobs\"", "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"logprobs\"", StringComparison.Ordinal));
        await Answered("POST", "v1/chat/completions", "v1/chat/completions", """{"model":"other"}""");
        await Answered(
            "POST", "v1/completions", "v1/completions", $$$"""{"model":"{{{ServedModel.Name}}}","prompt":"The sea","max_tokens":2,"logprobs":2,"landmark":{"trace":true}}""");
        foreach (var path in (string[])["v1/models", "healthz", "v1/memories"]) await Answered("GET", path, path);
        await Answered("GET", "v1/models/{id}", $"v1/models/{ServedModel.Name}");
        await Answered("POST", "v1/memories", "v1/memories", """{"name":"more"}""");
        await Answered("GET", "v1/memories/{name}", Notes);
        await Answered("POST", "v1/memories/{name}/search", $"{Notes}/search", """{"query":"What is the code of the archive?"}""");
        await Answered("GET", "v1/memories/{name}/sessions", $"{Notes}/sessions");
        await Answered("GET", "v1/memories/{name}/sessions/{session}", $"{Notes}/sessions/a");
        await Answered("PATCH", "v1/memories/{name}/sessions/{session}", $"{Notes}/sessions/a", """{"name":"b"}""");
        await Answered("PUT", Document, $"{Notes}/documents/c.txt", "The sea.");
        await Answered("GET", Document, $"{Notes}/documents/it.txt");
        await Answered("GET", Document + "/events", $"{Notes}/documents/it.txt/events");
        await Answered("GET", Document + "/text", $"{Notes}/documents/it.txt/text?from=five");

        async Task<string> Answered(string method, string path, string url, string? body = null, (string Name, string Value)? header = null)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), url);
            if (body is not null)
                request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue(body[0] == '{' ? "application/json" : "text/plain") } };
            if (header is { } given) request.Headers.Add(given.Name, given.Value);
            using var response = await server.Http.SendAsync(request);
            var operation = document.GetProperty("paths").GetProperty($"/{path}").GetProperty(method.ToLowerInvariant());
            var responses = operation.GetProperty("responses");
            var told = responses.TryGetProperty(((int)response.StatusCode).ToString(), out var known) ? known : responses.GetProperty("default");
            Assert.True(response.IsSuccessStatusCode == (known.ValueKind != JsonValueKind.Undefined), $"{method} {url}: {response.StatusCode}");
            if (body is not null) Assert.True(operation.TryGetProperty("requestBody", out _), path);
            var text = await response.Content.ReadAsStringAsync();
            var type = response.Content.Headers.ContentType!.MediaType!;
            var schema = told.GetProperty("content").GetProperty(type).GetProperty("schema");
            string[] all = type == "application/json" ? [text] : [.. text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Select(e => e["data: ".Length..]).Where(e => e != "[DONE]")];
            foreach (var one in all) Assert.Empty(Differences(TestServer.Parse(one), schema, $"{method} {url}"));
            return text;
        }

        IEnumerable<string> Differences(JsonElement value, JsonElement schema, string at)
        {
            if (schema.TryGetProperty("$ref", out var reference))
                return Differences(value, document.GetProperty("components").GetProperty("schemas").GetProperty(reference.GetString()!["#/components/schemas/".Length..]), at);
            if (schema.TryGetProperty("oneOf", out var several))
                return several.EnumerateArray().Select(one => Differences(value, one, at).ToArray()).MinBy(found => found.Length)!;
            var kind = value.ValueKind switch
            {
                JsonValueKind.Number => value.TryGetInt64(out _) ? "integer" : "number",
                JsonValueKind.True or JsonValueKind.False => "boolean",
                var other => other.ToString().ToLowerInvariant(),
            };
            string[] kinds = !schema.TryGetProperty("type", out var type) ? [kind]
                : type.ValueKind == JsonValueKind.Array ? [.. type.EnumerateArray().Select(t => t.GetString()!)] : [type.GetString()!];
            if (!kinds.Contains(kind) && !(kind == "integer" && kinds.Contains("number"))) return [$"{at} is {kind}, not {string.Join(" or ", kinds)}"];
            if (kind == "array") return value.EnumerateArray().SelectMany((item, i) => Differences(item, schema.GetProperty("items"), $"{at}[{i}]"));
            if (kind != "object") return [];
            var missing = schema.TryGetProperty("required", out var required)
                ? required.EnumerateArray().Select(r => r.GetString()!).Where(r => !value.TryGetProperty(r, out _)).Select(r => $"{at}.{r} is missing") : [];
            return missing.Concat(value.EnumerateObject().SelectMany(field =>
                schema.TryGetProperty("properties", out var fields) && fields.TryGetProperty(field.Name, out var of) ? Differences(field.Value, of, $"{at}.{field.Name}")
                : schema.TryGetProperty("additionalProperties", out var rest) ? Differences(field.Value, rest, $"{at}.{field.Name}")
                : [$"{at}.{field.Name} is not told of"]));
        }
    }

    [Fact]
    public async Task NumbersAreNumbersAndFieldsAreThoseThatAreRead()
    {
        await using var server = await memories.Start();
        var document = await Get(server);
        Assert.DoesNotContain("\"pattern\"", document.GetRawText(), StringComparison.Ordinal);                     // numbers as strings are refused
        var fields = document.GetProperty("components").GetProperty("schemas").GetProperty("ChatRequest").GetProperty("properties");
        foreach (var field in (string[])["frequency_penalty", "max_completion_tokens", "memories", "landmark"]) Assert.True(fields.TryGetProperty(field, out _), field);
        Assert.False(fields.TryGetProperty("others", out _));
        Assert.False(document.TryGetProperty("security", out _));
    }

    [Fact]
    public async Task WhereKeysAreNeededItSaysSo()
    {
        var keys = memories.Folder["keys.json"];
        var key = new KeyFile(keys).Create("anna", new CallerLimits(), null);
        await using var server = await memories.Start(options => options.Keys = keys);
        server.Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        var document = await Get(server);
        Assert.Equal("bearer", document.GetProperty("components").GetProperty("securitySchemes").GetProperty("key").GetProperty("scheme").GetString());
        Assert.True(document.GetProperty("security")[0].TryGetProperty("key", out _));
    }

    private static async Task<JsonElement> Get(TestServer server) => TestServer.Parse(await server.Http.GetStringAsync("openapi/v1.json"));
}
