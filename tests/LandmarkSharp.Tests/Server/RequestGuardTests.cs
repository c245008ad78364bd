using System.Net;

namespace LandmarkSharp.Tests.Server;

/// <summary>Pages of other sites are kept out.</summary>
public sealed class RequestGuardTests(ServedModel model) : IClassFixture<ServedModel>
{
    [Theory]
    [InlineData("Host", "evil.example", HttpStatusCode.Forbidden)]
    [InlineData("Host", "localhost.evil.example:80", HttpStatusCode.Forbidden)]
    [InlineData("Host", "10.0.0.1", HttpStatusCode.Forbidden)]
    [InlineData("Host", "localhost", HttpStatusCode.OK)]
    [InlineData("Host", "127.0.0.1:1", HttpStatusCode.OK)]
    [InlineData("Host", "[::1]:1", HttpStatusCode.OK)]
    [InlineData("Origin", "https://evil.example", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "null", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "http://127.0.0.1:1", HttpStatusCode.Forbidden)]
    [InlineData("Origin", "", HttpStatusCode.OK)]                                           // its own
    public async Task OnlyThisMachinesNamesAndPagesPass(string header, string value, HttpStatusCode expected)
    {
        await using var server = await model.Start();
        using var request = new HttpRequestMessage(HttpMethod.Get, "v1/models");
        request.Headers.TryAddWithoutValidation(header, value.Length > 0 ? value : server.Server.Address.GetLeftPart(UriPartial.Authority));
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
        if (expected == HttpStatusCode.Forbidden) await TestServer.Error(response);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        Assert.Contains("default-src 'none'", Assert.Single(response.Headers.GetValues("Content-Security-Policy")), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Server"));
        Assert.False(response.Headers.Contains("Access-Control-Allow-Origin"));
    }
}
