using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>The whole way, from a document to the passage that an answer was read from.</summary>
public sealed class WayTests(Browsers browsers)
{
    [Fact]
    public async Task ByMouseOnAWideScreen()
    {
        await using var page = await browsers.Open();
        await page.Page.GetByText("Add a document", new() { Exact = true }).ClickAsync();
        await page.Add(page.Notes());
        await Expect(page.Page.Locator(".documents .told")).ToHaveTextAsync("3,393 tokens");

        await page.Page.FillAsync("#question", OpenPage.Question);
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Ask", Exact = true }).ClickAsync();
        Assert.Equal("Answer: 4711.", await page.Answered(0));
        await Expect(page.Strip).ToHaveAttributeAsync("aria-valuetext", new Regex("^54 blocks; [0-9]+ were read$"));

        // The source that has the answer in it, then a block of the strip.
        await page.Page.Locator(".source", new() { HasText = "4711" }).First.ClickAsync();
        await Expect(page.Passage).ToContainTextAsync("The code of the archive is 4711.");
        await Expect(page.Passage.Locator("mark.w10")).ToContainTextAsync("47");
        Assert.Equal("passage-title", await page.Focused());
        await page.Strip.ClickAsync(new() { Position = new Position { X = 5, Y = 5 } });
        await Expect(page.Page.Locator("#passage-title")).ToHaveTextAsync("Block 1");
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task ByKeyboardOnAPhone()
    {
        await using var page = await browsers.Open(width: 360, height: 740);
        var keys = page.Page.Keyboard;
        await page.TabTo("#files");
        var chooser = await page.Page.RunAndWaitForFileChooserAsync(() => keys.PressAsync("Space"));
        await chooser.SetFilesAsync(page.Notes());
        await page.WaitForDocuments();

        await page.TabTo("#question");
        await keys.TypeAsync(OpenPage.Question);
        await keys.PressAsync("Enter");
        Assert.Equal("Answer: 4711.", await page.Answered(0));
        Assert.Equal("question", await page.Focused());

        // Blocks that were read, one after the other, until the one with the answer.
        await page.Page.Locator(".skip").FocusAsync();
        await page.TabTo("#strip");
        for (var i = 0; i < 54 && !await page.Page.Locator("#passage").GetByText("archive is").IsVisibleAsync(); i++)
        {
            var at = await page.Strip.GetAttributeAsync("aria-valuenow");
            await keys.PressAsync("ArrowRight");
            if (i > 0) await Expect(page.Strip).Not.ToHaveAttributeAsync("aria-valuenow", at!);
            await page.Passage.WaitForAsync();
        }
        await Expect(page.Strip).ToHaveAttributeAsync("aria-valuetext", new Regex(@"^Block 27 of 54, notes\.txt, [0-9.]+ % of the attention$"));
        await keys.PressAsync("Enter");
        await Expect(page.Page.Locator("#passage-title")).ToBeFocusedAsync();
        await Expect(page.Passage).ToContainTextAsync("The code of the archive is 4711.");
        await keys.PressAsync("Escape");
        await Expect(page.Strip).ToBeFocusedAsync();
        await Expect(page.Passage).ToHaveCountAsync(0);
        Assert.Equal(0, await page.Overhang());
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task EveryKeyOfTheStripLeadsWhereItSays()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Strip.FocusAsync();
        (string Key, string Block)[] all =
        [
            ("ArrowUp", "1"), ("ArrowRight", "2"), ("End", "54"), ("ArrowDown", "53"), ("PageDown", "52"), ("PageUp", "53"), ("ArrowLeft", "52"), ("Home", "1"),
        ];
        foreach (var (key, block) in all)
        {
            await page.Page.Keyboard.PressAsync(key);
            await Expect(page.Page.Locator("#passage-title")).ToHaveTextAsync($"Block {block}");
            await Expect(page.Strip).ToHaveAttributeAsync("aria-valuenow", block);
            await Expect(page.Strip).ToBeFocusedAsync();
        }
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Block after" }).ClickAsync();
        await Expect(page.Page.Locator("#passage-title")).ToHaveTextAsync("Block 2");
    }
}
