using System.Net;
using LandmarkSharp.Tests.Cli;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary><c>landmark keys</c>, and <c>landmark serve</c> with them, as people run them.</summary>
public sealed class KeysProcessTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Keys => folder["keys.json"];

    [Fact]
    public async Task KeysAreMadeListedAndRevoked()
    {
        string[] home = ["env", $"XDG_CONFIG_HOME={folder.Path}"];
        (await LandmarkTool.RunBy(home, "keys", "list")).Says($"There is no key file {folder["landmark/keys.json"]}");
        var shown = await LandmarkTool.RunBy(home, "keys", "create", "anna", "--expires", "90d", "--tokens-a-day", "5000", "--upload", "2MiB");
        Assert.Equal((0, ""), (shown.Code, shown.Error));
        var key = shown.Output.Split('\n')[^2];
        Assert.StartsWith("lmk-", key);
        Assert.True(File.Exists(folder["landmark/keys.json"]));
        var ben = (await LandmarkTool.RunBy(home, "keys", "create", "ben", "--json")).Json;
        Assert.Equal(["name", "key", "file"], ben.EnumerateObject().Select(p => p.Name));
        var listed = await LandmarkTool.RunBy(home, "keys", "list", "--json");
        var entries = listed.Json.GetProperty("keys").EnumerateArray().ToArray();
        Assert.Equal(["anna", "ben"], entries.Select(e => e.GetProperty("name").GetString()));
        Assert.Equal((5000, 2 << 20, 0), (
            entries[0].GetProperty("limits").GetProperty("tokens_a_day").GetInt32(),
            entries[0].GetProperty("limits").GetProperty("upload_bytes").GetInt32(), entries[0].GetProperty("tokens_today").GetInt32()));
        Assert.InRange(entries[0].GetProperty("expires").GetDateTimeOffset() - DateTimeOffset.UtcNow, TimeSpan.FromDays(89.9), TimeSpan.FromDays(90));
        var table = await LandmarkTool.RunBy(home, "keys", "list");
        Assert.Contains("5,000 tokens a day", table.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(key[4..], listed.Output + table.Output, StringComparison.Ordinal);
        Assert.Equal("anna", (await LandmarkTool.RunBy(home, "keys", "revoke", "anna", "--json")).Json.GetProperty("revoked").GetString());
        (await LandmarkTool.RunBy(home, "keys", "revoke", "anna")).Says("There is no key 'anna'");
    }

    [Theory]
    [InlineData("Anna", "is no name for a key")]
    [InlineData("anna --expires soon", "'soon' is no time that a key can hold for; --expires takes such as 12h, 90d or 8w")]
    [InlineData("anna --expires 0d", "'0d' is no time")]
    [InlineData("anna --expires 99999999w", "is no time")]
    [InlineData("anna --concurrency 0", "Concurrency must be at least 1")]
    [InlineData("anna --tokens-a-day 0", "TokensADay must be at least 1")]
    [InlineData("anna --disk much", "'much' is no number of bytes")]
    public async Task WhatMakesNoSenseIsSaid(string line, string part)
    {
        (await LandmarkTool.Run(["keys", "create", "--keys", Keys, .. line.Split(' ')])).Says(part);
        Assert.False(File.Exists(Keys));
    }

    [Fact]
    public async Task AServerWithKeysIsReachedFromElsewhereAndWarnsOfPlainHttp()
    {
        var key = await Create("anna");
        await using var process = ServeProcess.Start("--address", "0.0.0.0", "--keys", Keys, "--host", "llm.example.org");
        Assert.Equal(HttpStatusCode.OK, await Ask(process, key));
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(process, null));
        Assert.Equal(HttpStatusCode.OK, await Ask(process, key, "llm.example.org"));
        Assert.Equal(HttpStatusCode.Forbidden, await Ask(process, key, "evil.example"));
        var (code, notes) = await process.Stop();
        Assert.Equal(0, code);
        Assert.Contains("in the clear", notes, StringComparison.Ordinal);
        Assert.DoesNotContain(key, notes, StringComparison.Ordinal);
    }

    [Fact]
    public async Task KeysAreNeededOnThisMachineWhereTheyAre()
    {
        var key = await Create("anna");
        await using var process = ServeProcess.Start("--keys", Keys);
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(process, null));
        var second = await Create("ben");
        await Task.Delay(500);
        Assert.Equal(HttpStatusCode.OK, await Ask(process, second));
        Assert.Equal(0, (await LandmarkTool.Run("keys", "revoke", "anna", "--keys", Keys)).Code);
        await Task.Delay(500);
        Assert.Equal(HttpStatusCode.Unauthorized, await Ask(process, key));
        Assert.DoesNotContain("in the clear", (await process.Stop()).Notes, StringComparison.Ordinal);
        Assert.Equal(0, (await LandmarkTool.Run("keys", "revoke", "ben", "--keys", Keys)).Code);
        (await LandmarkTool.Run("serve", "--keys", Keys, "--model", "nowhere")).Says("No key in");
    }

    [Fact]
    public async Task AKilledServerHasCountedTheDaysTokens()
    {
        const string Fields = "\"prompt\":\"7777777777777777777777777777777777777777\",\"max_tokens\":1";
        var key = await Create("anna", "--tokens-a-day", "50");
        await using (var process = ServeProcess.Start("--keys", Keys))
        {
            Assert.Equal(HttpStatusCode.OK, await Ask(process, key, fields: Fields));
            await TestServer.Until(() => File.Exists(folder["keys.tokens.json"]));
        }
        Assert.InRange(
            (await LandmarkTool.Run("keys", "list", "--keys", Keys, "--json")).Json.GetProperty("keys")[0].GetProperty("tokens_today").GetInt32(),
            40, 50);
        await using var again = ServeProcess.Start("--keys", Keys);
        Assert.Equal(HttpStatusCode.TooManyRequests, await Ask(again, key, fields: Fields));
    }

    public void Dispose() => folder.Dispose();

    private async Task<string> Create(string name, params string[] limits) =>
        (await LandmarkTool.Run(["keys", "create", name, "--keys", Keys, "--json", .. limits])).Json.GetProperty("key").GetString()!;

    private static async Task<HttpStatusCode> Ask(ServeProcess process, string? key, string? host = null, string? fields = null)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(
            fields is null ? HttpMethod.Get : HttpMethod.Post,
            new Uri($"http://127.0.0.1:{process.Address.Port}/v1/{(fields is null ? "models" : "completions")}"));
        if (fields is not null)
            request.Content = new StringContent($$"""{"model":"{{ServedModel.Name}}",{{fields}}}""", new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
        if (key is not null) request.Headers.Authorization = new("Bearer", key);
        request.Headers.Host = host;
        using var response = await http.SendAsync(request);
        return response.StatusCode;
    }
}
