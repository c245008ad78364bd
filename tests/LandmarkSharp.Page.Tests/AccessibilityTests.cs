using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>Nothing that axe finds, on small and wide screens, in both colours, in each state of the page; and nothing that sticks out.</summary>
public sealed class AccessibilityTests(Browsers browsers)
{
    [Theory]
    [InlineData(360, ColorScheme.Light)]
    [InlineData(360, ColorScheme.Dark)]
    [InlineData(1000, ColorScheme.Light)]
    [InlineData(1600, ColorScheme.Light)]
    [InlineData(1600, ColorScheme.Dark)]
    public async Task EachStateIsForEverybody(int width, ColorScheme colours)
    {
        await using var page = await browsers.Open(width, 900, colours);
        await Check("empty");
        await page.Add(page.Notes("notes-with-a-name-that-is-longer-than-the-list-is-wide-on-any-screen-there-is.txt"));
        await Check("a document");
        await page.Ask();
        await Check("an answer");
        await page.Page.Locator(".source").First.ClickAsync();
        await Expect(page.Passage).ToBeVisibleAsync();
        await page.Page.Locator("#token").FillAsync("2");
        await page.Page.GetByText("Other memories").ClickAsync();
        await Check("a passage and a token");
        await page.Page.SetInputFilesAsync("#files", page.Write("picture.png", "none"));
        await Expect(page.Page.Locator(".memory .failure")).ToBeVisibleAsync();
        await Check("a problem");
        Assert.Empty(page.Troubles);

        async Task Check(string state)
        {
            Assert.Empty((await page.Violations()).Select(v => $"{state}: {v}"));
            Assert.True(await page.Overhang() <= 0, $"{state} is {await page.Overhang()} pixels too wide");
        }
    }

    [Fact]
    public async Task ColoursAreTheSystemsOrThoseChosen()
    {
        await using var page = await browsers.Open(colours: ColorScheme.Dark);
        var button = page.Page.GetByRole(AriaRole.Button, new() { Name = "Dark colours" });
        await Expect(button).ToHaveAttributeAsync("aria-pressed", "true");
        var dark = await Background(page);
        await button.ClickAsync();
        await Expect(button).ToHaveAttributeAsync("aria-pressed", "false");
        var light = await Background(page);
        Assert.NotEqual(dark, light);
        await page.Load();
        Assert.Equal(light, await Background(page));
    }

    private static Task<string> Background(OpenPage page) => page.Page.EvaluateAsync<string>("getComputedStyle(document.body).backgroundColor");
}
