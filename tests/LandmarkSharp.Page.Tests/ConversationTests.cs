using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>Conversations: how they are read, kept, forked and exported.</summary>
public sealed class ConversationTests(Browsers browsers)
{
    [Fact]
    public async Task ExactReadsEveryBlockAndKIsWhatIsChosen()
    {
        // More blocks than the model was trained on: what it says of them may not end by itself.
        await using var page = await browsers.Open(change: o => o.MaxAnswerTokens = 64);
        var exact = page.Page.GetByLabel("Exact: every block");
        await Expect(exact).ToBeDisabledAsync();
        await Expect(page.Page.Locator("#exact-note")).ToHaveTextAsync("There is nothing to read yet.");
        await page.Add(page.Notes());
        var about = page.Page.Locator(".about > span");
        await Expect(page.Page.Locator("output[for=top-k]")).ToHaveTextAsync("8");

        await page.Ask();
        await Expect(about.Last).ToContainTextAsync("each from 8 of 54 blocks");
        await page.Page.Locator("#top-k").FillAsync("9");
        await page.Ask();
        await Expect(about.Last).ToContainTextAsync("each from 9 of 54 blocks");
        await exact.CheckAsync();
        await Expect(page.Page.Locator("#top-k")).ToBeDisabledAsync();
        await page.Ask();
        await Expect(about.Last).ToContainTextAsync("each from all 54 blocks");
        await Expect(page.Page.Locator(".strip-at")).ToHaveTextAsync("54 blocks, 54 of them read");
    }

    [Fact]
    public async Task BlocksAreFoundFirstAndStandWhereTheyAreInTheMemory()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await Expect(page.Page.GetByLabel("Retrieved: the k blocks of all that matter most")).ToBeCheckedAsync();      // for it is short
        await Expect(page.Page.Locator("#focus")).ToBeDisabledAsync();
        await page.Page.GetByLabel("Found first: k of the blocks that the question is about").CheckAsync();
        await page.Page.Locator("#focus").FillAsync("8");
        Assert.Equal("Answer: 4711.", await page.Ask());
        await Expect(page.Page.Locator(".about > span")).ToContainTextAsync("each from 8 of 8 blocks that were found first, of 54");
        var read = Regex.Match((await page.Strip.GetAttributeAsync("aria-valuetext"))!, "^54 blocks; ([0-9]+) were read$");
        Assert.InRange(int.Parse(read.Groups[1].Value), 2, 9);                              // and the documents' end
        await page.Page.Locator(".source", new() { HasText = "4711" }).First.ClickAsync();
        await Expect(page.Page.Locator("#passage-title")).ToHaveTextAsync("Block 27");
        await Expect(page.Passage).ToContainTextAsync("The code of the archive is 4711.");
    }

    [Fact]
    public async Task ATokenOfAnAnswerLightsWhatItWasReadFrom()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Ask();
        var told = page.Page.Locator("output[for=token]");
        await Expect(told).ToHaveTextAsync("the whole answer");
        await Expect(page.Page.Locator(".strip-legend")).Not.ToContainTextAsync("read for this token");
        await page.Page.Locator("#token").FocusAsync();
        await page.Page.Keyboard.PressAsync("ArrowRight");
        await Expect(told).ToHaveTextAsync(new Regex("^token 1 of [0-9]+: “.*”$"));
        await Expect(page.Page.Locator(".strip-legend")).ToContainTextAsync("read for this token");
        await page.Page.Locator(".source").First.ClickAsync();
        var share = page.Page.Locator(".passage .share");
        await Expect(share).ToContainTextAsync("token");
        await page.Page.Locator("#token").FillAsync("0");
        await Expect(share).ToContainTextAsync("of the answer's attention");
        // Another question has passages of its own.
        await page.Ask("Who is the keeper of the lighthouse?");
        await Expect(page.Passage).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task ConversationsAreKeptForkedExportedAndDeleted()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Ask();
        await page.Ask("Who is the keeper of the lighthouse?");
        Assert.Equal("Answer: Anna Berg.", await page.Answers.Last.TextContentAsync());

        // Another one goes on after the first question.
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Fork here after question 1" }).ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(1);
        var list = page.Page.Locator(".sessions li");
        await Expect(list).ToHaveCountAsync(2);

        // All are there when the page is loaded again.
        await page.Load();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await list.Filter(new() { HasText = "2 questions" }).GetByRole(AriaRole.Button).First.ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(2);

        var json = JsonDocument.Parse(await Download(page, list.Filter(new() { HasText = "2 questions" }), "JSON")).RootElement;
        Assert.Equal(["4711.", "Anna Berg."], json.GetProperty("turns").EnumerateArray().Select(t => t.GetProperty("answer").GetString()));
        Assert.Equal("notes.txt", json.GetProperty("turns")[0].GetProperty("passages")[0].GetProperty("document").GetString());
        var markdown = await Download(page, list.Filter(new() { HasText = "2 questions" }), "Markdown");
        Assert.StartsWith($"# {OpenPage.Question}\n", markdown, StringComparison.Ordinal);
        Assert.Contains("\n## Who is the keeper of the lighthouse?\n\nAnna Berg.\n\n1. notes.txt, ", markdown, StringComparison.Ordinal);

        await page.Page.GetByRole(AriaRole.Button, new() { Name = "New conversation" }).ClickAsync();
        await Expect(page.Answers).ToHaveCountAsync(0);
        await list.First.GetByRole(AriaRole.Button, new() { Name = "Delete" }).ClickAsync();
        await Expect(list).ToHaveCountAsync(1);
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task WhatWasReadIsKnownThoughTheMemoryHasChanged()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Ask();
        await page.Add(page.Write("another.txt", "The colour of the door is green. " + string.Concat(Enumerable.Repeat("It rains. ", 200))));
        await Expect(page.Page.Locator("#band-title")).ToHaveTextAsync("The memory has changed since this answer, so its blocks are others now");
        await page.Page.Locator(".source", new() { HasText = "4711" }).First.ClickAsync();
        await Expect(page.Passage).ToContainTextAsync("The code of the archive is 4711.");
    }

    [Fact]
    public async Task AnAnswerCanBeStopped()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Page.FillAsync("#question", OpenPage.Question + string.Concat(Enumerable.Repeat(" And the grass is green, and the sky is blue.", 400)));
        await page.Page.Keyboard.PressAsync("Enter");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Stop" }).ClickAsync();
        await Expect(page.Page.Locator(".streaming")).ToHaveCountAsync(0);
        await Expect(page.Page.GetByRole(AriaRole.Button, new() { Name = "Ask", Exact = true })).ToBeEnabledAsync();
        Assert.Equal("Answer: 4711.", await page.Ask());
    }

    private static async Task<string> Download(OpenPage page, ILocator row, string form)
    {
        var download = await page.Page.RunAndWaitForDownloadAsync(() => row.GetByRole(AriaRole.Link, new() { Name = form }).ClickAsync());
        return await File.ReadAllTextAsync(await download.PathAsync());
    }
}
