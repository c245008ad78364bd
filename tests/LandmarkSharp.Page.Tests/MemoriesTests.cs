using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>Questions about several memories at once.</summary>
public sealed class MemoriesTests(Browsers browsers)
{
    [Theory]
    [InlineData(360, ColorScheme.Light)]
    [InlineData(360, ColorScheme.Dark)]
    [InlineData(1000, ColorScheme.Light)]
    [InlineData(1600, ColorScheme.Light)]
    [InlineData(1600, ColorScheme.Dark)]
    public async Task EachIsLabelledAndNamedWhereItWasRead(int width, ColorScheme colours)
    {
        await using var page = await Two(width, colours);
        // The one that was made last is asked alone, until another is ticked.
        await Expect(Box(page, "second")).ToBeCheckedAsync();
        await Expect(Box(page, "second")).ToBeDisabledAsync();
        await Expect(page.Page.Locator(".strip-label")).ToHaveCountAsync(0);
        await Box(page, "documents").CheckAsync();
        await Expect(page.Page.Locator(".strip-label")).ToHaveTextAsync(["documents", "second"]);
        await Expect(page.Page.Locator("#band-title")).ToHaveTextAsync("The memories, block by block");

        Assert.Equal("Answer: 4711.", await page.Ask());
        var source = page.Page.Locator(".source", new() { HasText = "4711" }).First;
        await Expect(source.Locator(".document")).ToHaveTextAsync("documents · notes.txt");
        await source.ClickAsync();
        await Expect(page.Page.Locator(".place")).ToHaveTextAsync(new Regex(@"^documents · notes\.txt · tokens "));
        await Expect(page.Strip).ToHaveAttributeAsync("aria-valuetext", new Regex(@"^Block 27 of [0-9]+, documents, notes\.txt, [0-9.]+ % of the attention$"));
        Assert.Empty(await page.Violations());
        Assert.Equal(0, await page.Overhang());

        // The strip's last block is the other memory's.
        await page.Strip.FocusAsync();
        await page.Page.Keyboard.PressAsync("End");
        await Expect(page.Page.Locator(".place")).ToHaveTextAsync(new Regex(@"^second · lamps\.txt · tokens "));
        var (canvas, box) = (page.Page.Locator("#strip canvas").Last, await page.Page.Locator("#strip canvas").Last.BoundingBoxAsync());
        await canvas.ClickAsync(new() { Position = new Position { X = 3, Y = Math.Min(3, box!.Height / 2) } });
        await Expect(page.Page.Locator(".place")).ToHaveTextAsync(new Regex(@"^second · lamps\.txt · tokens 0 to "));
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task TheyAreChosenByKeyboardAndKeptWithTheConversation()
    {
        await using var page = await Two(1600, ColorScheme.Light);
        await page.TabTo("input[name=about][value=documents]");
        await page.Page.Keyboard.PressAsync("Space");
        await Expect(page.Page.Locator(".strip-label")).ToHaveCountAsync(2);
        await page.TabTo("#question");
        await page.Ask();
        await page.TabTo("input[name=about][value=second]");
        await page.Page.Keyboard.PressAsync("Space");
        await Expect(page.Page.Locator("#band-title")).ToHaveTextAsync("This answer was read from other memories: documents, second");
        Assert.Equal("Answer: 4711.", await page.Ask());
        await Expect(page.Page.Locator(".source .document").Last).ToHaveTextAsync("notes.txt");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "On the strip question 1" }).ClickAsync();
        await page.Page.Locator(".turns > li").First.Locator(".source").First.ClickAsync();
        await Expect(page.Page.GetByRole(AriaRole.Button, new() { Name = "Block after" })).ToBeDisabledAsync();

        // Of a conversation that is opened again those are asked that it asked last.
        await page.Load();
        await Expect(page.Page.Locator(".sessions .title small")).ToHaveTextAsync("documents · 2 questions");
        await page.Page.Locator("#memory").SelectOptionAsync("second");
        await Expect(Box(page, "documents")).Not.ToBeCheckedAsync();
        await page.Page.Locator(".sessions .title").ClickAsync();
        await Expect(Box(page, "documents")).ToBeCheckedAsync();
        await Expect(Box(page, "second")).Not.ToBeCheckedAsync();
        await Expect(page.Page.Locator("#band-title")).ToHaveTextAsync("What the answer was read from");
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task AnEmptyMemoryCannotBeAsked()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Make("second");
        await Expect(page.Page.Locator(".about-memories")).ToContainTextAsync("second (empty)");
        await Expect(Box(page, "second")).ToBeDisabledAsync();
        await Expect(page.Page.GetByRole(AriaRole.Button, new() { Name = "Ask", Exact = true })).ToBeDisabledAsync();
        await Box(page, "documents").CheckAsync();
        Assert.Equal("Answer: 4711.", await page.Ask());
    }

    private static ILocator Box(OpenPage page, string memory) => page.Page.Locator($"input[name=about][value={memory}]");

    private async Task<OpenPage> Two(int width, ColorScheme colours)
    {
        var page = await browsers.Open(width, 900, colours);
        await page.Add(page.Notes());
        await page.Make("second");
        await page.Add(page.Write("lamps.txt", string.Concat(Enumerable.Range(0, 90).Select(i => $"House {i} has {i * 37 % 100} lamps. "))));
        return page;
    }
}
