using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>The page that shows what programs can ask.</summary>
public sealed class ApiPageTests(Browsers browsers)
{
    [Theory]
    [InlineData(360, ColorScheme.Light)]
    [InlineData(1600, ColorScheme.Dark)]
    public async Task ItShowsWhatIsAskedAndAnswered(int width, ColorScheme colours)
    {
        await using var page = await browsers.Open(width, 800, colours);
        await page.Page.GotoAsync($"{page.Server.Address}openapi");
        var chat = page.Page.Locator("details", new() { HasText = "/v1/chat/completions" });
        await chat.Locator("summary").ClickAsync();
        await chat.GetByRole(AriaRole.Link, new() { Name = "ChatRequest" }).ClickAsync();
        await Expect(page.Page.Locator("#ChatRequest + .fields, #ChatRequest ~ .fields").First).ToContainTextAsync("max_completion_tokens");
        await Expect(page.Page.Locator("#ChatRequest")).ToBeInViewportAsync();
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Dark colours" }).ClickAsync();
        await Expect(page.Page.Locator("html")).ToHaveAttributeAsync("data-theme", colours == ColorScheme.Dark ? "light" : "dark");
        Assert.Empty(await page.Violations());
        Assert.Equal(0, await page.Overhang());
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task AServerWithoutMemoriesHasItToo()
    {
        await using var server = await LandmarkServer.Start(
            browsers.Engine, "landmark-10m", new ServerOptions { Port = 0 }, new QuestionTemplate());
        using var http = new HttpClient { BaseAddress = server.Address };
        using var response = await http.GetAsync("openapi");
        var html = await response.Content.ReadAsStringAsync();
        Assert.Contains("/v1/completions", html, StringComparison.Ordinal);
        Assert.DoesNotContain("/v1/memories", html, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
    }
}
