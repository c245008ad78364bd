using System.Net;
using System.Text.RegularExpressions;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;

namespace LandmarkSharp.Page.Tests;

/// <summary>What the page is served with.</summary>
public sealed class HostingTests(Browsers browsers) : IAsyncLifetime
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("landmark-page-");
    private LandmarkServer server = null!;
    private HttpClient http = null!;

    public async ValueTask InitializeAsync()
    {
        server = await LandmarkServer.Start(
            browsers.Engine, "landmark-10m", new ServerOptions { Port = 0, GraceSeconds = 1, Memories = folder.FullName }, new QuestionTemplate());
        http = new HttpClient { BaseAddress = server.Address };
    }

    [Fact]
    public async Task ThePageMayUseThisServerAloneAndHasNothingWithinItself()
    {
        using var response = await http.GetAsync("/");
        var policy = response.Headers.GetValues("Content-Security-Policy").Single();
        Assert.Contains("default-src 'none'; script-src 'self'; style-src 'self'", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        var html = await response.Content.ReadAsStringAsync();
        Assert.DoesNotContain(" style=", html, StringComparison.Ordinal);
        Assert.DoesNotContain("http:", html, StringComparison.Ordinal);
        Assert.DoesNotContain("https:", html, StringComparison.Ordinal);
        Assert.All(Regex.Matches(html, "<script[^>]*>").Select(m => m.Value), script => Assert.Matches("^<script (type=\"module\" )?src=\"/page/assets/[0-9a-f]{16}/[a-z.]+\">$", script));
    }

    [Fact]
    public async Task AssetsHaveTheirAddressesForGood()
    {
        var html = await http.GetStringAsync("/");
        var urls = Regex.Matches(html, "(?:src|href)=\"(/page/assets/[^\"]+)\"").Select(m => m.Groups[1].Value).Distinct().ToArray();
        Assert.Equal(5, urls.Length);                                                       // the icon, the style, three scripts
        foreach (var url in urls)
        {
            using var asset = await http.GetAsync(url);
            Assert.Equal(HttpStatusCode.OK, asset.StatusCode);
            Assert.Contains("immutable", asset.Headers.CacheControl!.ToString(), StringComparison.Ordinal);
            using var other = await http.GetAsync(Regex.Replace(url, "[0-9a-f]{16}", "0123456789abcdef"));
            Assert.Equal(HttpStatusCode.NotFound, other.StatusCode);
            Assert.DoesNotContain("immutable", other.Headers.CacheControl?.ToString() ?? "", StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/_blazor")]
    [InlineData("/_blazor/negotiate?negotiateVersion=1")]
    public async Task PagesOfOtherSitesGetNoConnection(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Headers = { { "Origin", "http://elsewhere.example" } } };
        using var response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task WithoutMemoriesThePageSaysWhatItNeeds()
    {
        await using var without = await LandmarkServer.Start(browsers.Engine, "landmark-10m", new ServerOptions { Port = 0 }, new QuestionTemplate());
        using var response = await http.GetAsync(without.Address);
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("start the server with --memories FOLDER.", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef.json")]
    [InlineData("..%2F..%2Fsecret.json")]
    [InlineData("%2e%2e.json")]
    public async Task ThereAreNoConversationsButThoseKept(string name)
    {
        using var response = await http.GetAsync($"/page/conversations/{name}");
        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await server.DisposeAsync();
        folder.Delete(recursive: true);
    }
}
