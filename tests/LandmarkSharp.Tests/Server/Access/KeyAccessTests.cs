using System.Net;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>Who is let in by a server that has keys.</summary>
public sealed class KeyAccessTests(ServedModel model) : IClassFixture<ServedModel>, IDisposable
{
    private readonly KeyRoom keys = new();

    [Fact]
    public async Task WhoHasAKeyIsLetIn()
    {
        var key = keys.Create("anna");
        await using var server = await Start();
        using var response = await KeyRoom.Complete(server, key, "The sea", 2);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.TryAddWithoutValidation("Authorization", $"bEARER  {key}");
        using var spelled = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, spelled.StatusCode);
    }

    [Theory]
    [InlineData("v1/models")]
    [InlineData("v1/models/landmark-10m")]
    [InlineData("v1/completions")]
    [InlineData("metrics")]
    [InlineData("openapi/v1.json")]
    [InlineData("nowhere")]
    [InlineData("healthz/")]
    [InlineData("healthz/../v1/models")]
    [InlineData("healthz/%2e%2e/v1/models")]
    [InlineData("")]
    public async Task NobodyElseIsLetAnywhere(string path)
    {
        keys.Create("anna");
        await using var server = await Start();
        using var response = await KeyRoom.Ask(server, null, path);
        await IsRefused(response, "A key is needed here");
    }

    [Fact]
    public async Task HealthAsksForNoKey()
    {
        var key = keys.Create("anna");
        await using var server = await Start();
        using var response = await KeyRoom.Ask(server, null, "healthz");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var metrics = await KeyRoom.Ask(server, key, "metrics");
        Assert.Equal(HttpStatusCode.OK, metrics.StatusCode);
    }

    [Theory]
    [InlineData("KEY", "holds no key")]
    [InlineData("Basic KEY", "holds no key")]
    [InlineData("Bearer", "holds no key")]
    [InlineData("Bearer ", "")]
    [InlineData("Bearer anna", "is not known")]                                             // a name
    [InlineData("Bearer local", "is not known")]
    [InlineData("Bearer HASH", "is not known")]                                             // what the file has
    [InlineData("Bearer KEY.", "is not known")]
    [InlineData("Bearer SHORT", "is not known")]
    [InlineData("Bearer UPPER", "is not known")]
    [InlineData("Bearer KEY KEY", "is not known")]
    [InlineData("Bearer KEY, Bearer KEY", "is not known")]
    [InlineData("Bearer OTHER", "is not known")]                                            // of another file
    public async Task WhatIsNoKeyIsRefused(string header, string part)
    {
        var key = keys.Create("anna");
        using var others = new KeyRoom();
        var other = others.Create("anna");
        await using var server = await Start();
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.TryAddWithoutValidation("Authorization", header
            .Replace("KEY", key, StringComparison.Ordinal).Replace("SHORT", key[..^1], StringComparison.Ordinal)
            .Replace("UPPER", key.ToUpperInvariant(), StringComparison.Ordinal).Replace("OTHER", other, StringComparison.Ordinal)
            .Replace("HASH", Convert.ToHexStringLower(KeyFile.Hash(key)), StringComparison.Ordinal));
        using var response = await server.Http.SendAsync(request);
        await IsRefused(response, part);
    }

    [Fact]
    public async Task TwoHeadersAreNoKey()
    {
        var key = keys.Create("anna");
        await using var server = await Start();
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.TryAddWithoutValidation("Authorization", [$"Bearer {key}", $"Bearer {key}"]);
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task AKeyCountsFromWhenItIsMadeToWhenItIsRevoked()
    {
        var first = keys.Create("anna");
        await using var server = await Start();
        using var before = await KeyRoom.Ask(server, first);
        Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        var second = keys.Create("ben");
        await WithinASecond(server, second, HttpStatusCode.OK);
        keys.File.Revoke("anna");
        await WithinASecond(server, first, HttpStatusCode.Unauthorized);
        // Neither a new key of the same name nor the old one sent again brings it back.
        var third = keys.Create("anna");
        await WithinASecond(server, third, HttpStatusCode.OK);
        using var replayed = await KeyRoom.Ask(server, first);
        await IsRefused(replayed, "is not known");
        keys.File.Revoke("anna");
        keys.File.Revoke("ben");
        await WithinASecond(server, third, HttpStatusCode.Unauthorized);
        using var none = await KeyRoom.Ask(server, null);
        await IsRefused(none, "A key is needed");
    }

    [Fact]
    public async Task AnExpiredKeyIsRefused()
    {
        keys.Create("anna");
        var brief = keys.Create("ben", holds: TimeSpan.FromSeconds(2));
        await using var server = await Start();
        using var early = await KeyRoom.Ask(server, brief);
        Assert.Equal(HttpStatusCode.OK, early.StatusCode);
        await Task.Delay(2000);
        using var late = await KeyRoom.Ask(server, brief);
        await IsRefused(late, "The key of 'ben' has expired");
    }

    [Fact]
    public async Task WhileTheFileIsDamagedNobodyIsLetIn()
    {
        var key = keys.Create("anna");
        var whole = File.ReadAllText(keys.File.Path);
        await using var server = await Start();
        File.WriteAllText(keys.File.Path, whole[..^20]);
        await WithinASecond(server, key, HttpStatusCode.ServiceUnavailable);
        File.WriteAllText(keys.File.Path, whole);
        await WithinASecond(server, key, HttpStatusCode.OK);
        File.Delete(keys.File.Path);
        await WithinASecond(server, key, HttpStatusCode.ServiceUnavailable);
    }

    public void Dispose() => keys.Dispose();

    private static async Task IsRefused(HttpResponseMessage response, string part)
    {
        var error = await TestServer.Error(response);
        Assert.Equal((HttpStatusCode.Unauthorized, null, "invalid_api_key"), (error.Status, error.Param, error.Code));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Equal("Bearer", Assert.Single(response.Headers.WwwAuthenticate).ToString());
    }

    private static async Task WithinASecond(TestServer server, string key, HttpStatusCode expected)
    {
        await Task.Delay(500);
        using var response = await KeyRoom.Ask(server, key);
        Assert.Equal(expected, response.StatusCode);
    }

    private Task<TestServer> Start() => model.Start(o => o.Keys = keys.File.Path);
}
