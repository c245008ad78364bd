using System.Net;
using LandmarkSharp.Server.Access;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>The page of a server that asks for keys.</summary>
public sealed class KeyTests(Browsers browsers) : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("landmark-keys-");

    private KeyFile Keys => new(Path.Combine(folder.FullName, "keys.json"));

    [Fact]
    public async Task AKeyIsGivenOnceAndForgotten()
    {
        var key = Keys.Create("anna", new CallerLimits(), expires: null);
        var other = Keys.Create("bert", new CallerLimits(), expires: null);
        await using var page = await browsers.Open(width: 360, change: options => options.Keys = Keys.Path);
        await page.Page.GotoAsync(page.Server.Address.ToString());
        Assert.Empty(await page.Violations());

        await Give("lmk-none");
        await Expect(page.Page.Locator(".failure")).ToContainTextAsync("not known");
        Assert.Empty(await page.Violations());
        await Give(key);
        await page.Page.Locator("#work:not([inert])").WaitForAsync();
        var cookie = Assert.Single(await page.Page.Context.CookiesAsync(), c => c.Value == key);
        Assert.True(cookie is { HttpOnly: true, SameSite: SameSiteAttribute.Strict, Expires: -1 });
        await page.Add(page.Notes());
        Assert.Equal("Answer: 4711.", await page.Ask());

        // Another one sees nothing of it.
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Forget the key" }).ClickAsync();
        await Expect(page.Page.GetByLabel("Key")).ToBeVisibleAsync();
        Assert.DoesNotContain(await page.Page.Context.CookiesAsync(), c => c.Value == key);
        await Give(other);
        await page.Page.Locator("#work:not([inert])").WaitForAsync();
        await Expect(page.Page.Locator(".documents li")).ToHaveCountAsync(0);
        await Expect(page.Page.Locator(".sessions li")).ToHaveCountAsync(0);
        Assert.Empty(page.Troubles);

        async Task Give(string given)
        {
            await page.Page.GetByLabel("Key").FillAsync(given);
            await page.Page.GetByRole(AriaRole.Button, new() { Name = "Go on" }).ClickAsync();
        }
    }

    [Fact]
    public async Task AKeyThatIsRevokedEndsAPageThatIsOpen()
    {
        var key = Keys.Create("anna", new CallerLimits(), expires: null);
        Keys.Create("bert", new CallerLimits(), expires: null);
        await using var page = await browsers.Open(change: options => options.Keys = Keys.Path);
        await page.Page.Context.AddCookiesAsync([new Microsoft.Playwright.Cookie { Name = "landmark-key", Value = key, Url = page.Server.Address.ToString() }]);
        await page.Load();
        await page.Add(page.Notes());
        Keys.Revoke("anna");
        await Task.Delay(500, TestContext.Current.CancellationToken);
        await page.Page.FillAsync("#question", OpenPage.Question);
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Page.Locator(".talk .failure")).ToContainTextAsync("does not hold any more");
    }

    [Theory]
    [InlineData("/_blazor/negotiate?negotiateVersion=1", HttpStatusCode.Unauthorized)]
    [InlineData("/page/conversations/0123456789abcdef0123456789abcdef.json", HttpStatusCode.Unauthorized)]
    [InlineData("/v1/memories", HttpStatusCode.Unauthorized)]
    [InlineData("/page/assets/0123456789abcdef/page.css", HttpStatusCode.NotFound)]
    public async Task WithoutAKeyThereIsTheFormAlone(string path, HttpStatusCode status)
    {
        Keys.Create("anna", new CallerLimits(), expires: null);
        await using var page = await browsers.Open(change: options => options.Keys = Keys.Path);
        using var http = new HttpClient { BaseAddress = page.Server.Address };
        using var response = await http.GetAsync(path);
        Assert.Equal(status, response.StatusCode);
        var html = await http.GetStringAsync("/");
        Assert.Contains("This server asks for a key", html, StringComparison.Ordinal);
        Assert.DoesNotContain("Blazor:", html, StringComparison.Ordinal);
    }

    public void Dispose() => folder.Delete(recursive: true);
}
