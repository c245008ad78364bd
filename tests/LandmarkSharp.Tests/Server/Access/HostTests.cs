using System.Net;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>By what names a server is asked.</summary>
public sealed class HostTests(ServedModel model) : IClassFixture<ServedModel>
{
    [Theory]
    [InlineData("0.0.0.0", "127.0.0.1", HttpStatusCode.OK)]
    [InlineData("0.0.0.0", "10.0.0.1:8080", HttpStatusCode.OK)]                             // an address leads where it says
    [InlineData("0.0.0.0", "[2001:db8::1]", HttpStatusCode.OK)]
    [InlineData("0.0.0.0", "localhost", HttpStatusCode.OK)]
    [InlineData("0.0.0.0", "LLM.example.org:443", HttpStatusCode.OK)]
    [InlineData("0.0.0.0", "example.org", HttpStatusCode.Forbidden)]
    [InlineData("0.0.0.0", "llm.example.org.evil.example", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1", "llm.example.org", HttpStatusCode.OK)]                         // a proxy of this machine
    [InlineData("127.0.0.1", "llm.example.org", HttpStatusCode.OK, "https://llm.example.org")]
    [InlineData("127.0.0.1", "llm.example.org", HttpStatusCode.OK, "http://llm.example.org")]
    [InlineData("127.0.0.1", "llm.example.org", HttpStatusCode.Forbidden, "https://evil.example")]
    [InlineData("127.0.0.1", "llm.example.org", HttpStatusCode.Forbidden, "https://llm.example.org:8443")]
    [InlineData("127.0.0.1", "10.0.0.1", HttpStatusCode.Forbidden)]
    [InlineData("127.0.0.1", "evil.example", HttpStatusCode.Forbidden)]
    public async Task ItIsAskedByItsOwnNamesAlone(string address, string host, HttpStatusCode expected, string? origin = null)
    {
        using var keys = new KeyRoom();
        var key = keys.Create("anna");
        await using var server = await model.Start(o => (o.Address, o.Hosts, o.Keys) = (address, ["llm.example.org"], keys.File.Path));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{server.Server.Address.Port}/v1/models"));
        request.Headers.Host = host;
        if (origin is not null) request.Headers.Add("Origin", origin);
        request.Headers.Authorization = new("Bearer", key);
        using var response = await server.Http.SendAsync(request);
        Assert.Equal(expected, response.StatusCode);
        if (expected == HttpStatusCode.Forbidden) Assert.Equal(origin is null ? "wrong_host" : "wrong_origin", (await TestServer.Error(response)).Code);
    }
}
