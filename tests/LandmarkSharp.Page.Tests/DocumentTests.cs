using System.Text.RegularExpressions;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>Documents on their way into a memory.</summary>
public sealed class DocumentTests(Browsers browsers)
{
    private readonly string book = string.Concat(Enumerable.Range(0, 12_000).Select(i => $"The number of house {i} is {i * 7919 % 10_000}. "));

    [Fact]
    public async Task ProgressIsToldWhileABookIsRead()
    {
        await using var page = await browsers.Open();
        await page.Page.SetInputFilesAsync("#files", page.Write("book.txt", book));
        await Expect(page.Page.Locator(".documents .told")).ToHaveTextAsync(
            new Regex("^[0-9,]+ of about [0-9,]+ tokens · [0-9,]+ tokens/s · [0-9]+ (s|min) left$"));
        await Expect(page.Page.GetByRole(AriaRole.Progressbar, new() { Name = "book.txt" })).ToBeVisibleAsync();
        await Expect(page.Page.Locator(".memory [role=status]")).ToHaveTextAsync(new Regex("^book.txt: (0|25|50|75) percent$"));
        Assert.Empty(await page.Violations());
        // It can be given up.
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Remove book.txt" }).ClickAsync();
        await Expect(page.Page.Locator(".documents li")).ToHaveCountAsync(0);
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task AFileIsDropped()
    {
        await using var page = await browsers.Open();
        await using var data = await Dragged(page);
        await page.Page.Locator("#drop").DispatchEventAsync("dragover", new { dataTransfer = data });
        await Expect(page.Page.Locator("#drop")).ToHaveClassAsync("drop over");
        await page.Page.Locator("#drop").DispatchEventAsync("drop", new { dataTransfer = data });
        await Expect(page.Page.Locator("#drop")).ToHaveClassAsync("drop");
        await page.WaitForDocuments();
        await Expect(page.Page.Locator(".documents .name")).ToHaveTextAsync("dropped.md");
        Assert.Equal("Answer: 4711.", await page.Ask());
    }

    [Fact]
    public async Task OnlyTextIsDroppedIntoTheQuestionAndNothingLeadsAway()
    {
        await using var page = await browsers.Open();
        // Whether the page keeps a browser from doing what it does with what is dragged.
        Task<bool> Keeps(string selector, string type) => page.Page.Locator(selector).EvaluateAsync<bool>(
            """
            (at, type) => {
              const dataTransfer = new DataTransfer();
              dataTransfer.setData(type, "https://elsewhere.example/");
              return ["dragover", "drop"].every(kind => !at.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true })));
            }
            """, type);
        Assert.True(await Keeps("#drop", "text/uri-list"));
        Assert.True(await Keeps("h1", "text/plain"));
        Assert.False(await Keeps("#question", "text/plain"));
        await Expect(page.Page.Locator("#drop")).ToHaveClassAsync("drop");
        Assert.Empty(page.Troubles);
    }

    [Fact]
    public async Task FilesThatComeBeforeThePageIsConnectedWaitForIt()
    {
        await using var page = await browsers.Open();
        var connects = new TaskCompletionSource();
        await page.Page.RouteAsync("**/_blazor/negotiate*", async route =>
        {
            await connects.Task;
            await route.ContinueAsync();
        });
        await page.Page.ReloadAsync();
        var work = page.Page.Locator("#work");
        // Nothing that would be lost can be pressed or written into.
        await Expect(work).ToHaveAttributeAsync("inert", "");
        await using var data = await Dragged(page);
        await page.Page.Locator("body").DispatchEventAsync("drop", new { dataTransfer = data });
        await page.Page.SetInputFilesAsync("#files", page.Write("chosen.txt", "The keeper of the lighthouse is Anna Berg."));
        Assert.Equal(0, await page.Page.Locator(".documents li").CountAsync());
        connects.SetResult();
        await Expect(page.Page.Locator(".documents .name")).ToHaveTextAsync(["dropped.md", "chosen.txt"]);
        await page.WaitForDocuments();
        await Expect(work).Not.ToHaveAttributeAsync("inert", "");
        Assert.Equal("Answer: 4711.", await page.Ask());
    }

    private static async Task<IJSHandle> Dragged(OpenPage page) => await page.Page.EvaluateHandleAsync(
        """
        text => {
          const data = new DataTransfer();
          data.items.add(new File([text], "dropped.md", { type: "text/markdown" }));
          return data;
        }
        """, await File.ReadAllTextAsync(page.Notes()));

    [Fact]
    public async Task OfAWebPageTheTextIsRead()
    {
        await using var page = await browsers.Open();
        var text = await File.ReadAllTextAsync(page.Notes());
        await page.Add(page.Write("page.html", $"<html><head><title>Notes</title><script>none()</script></head><body><p>{text.Replace("\n", "</p><p>", StringComparison.Ordinal)}</p></body></html>"));
        Assert.Equal("Answer: 4711.", await page.Ask());
        await page.Page.Locator(".source", new() { HasText = "4711" }).First.ClickAsync();
        await Expect(page.Passage).ToContainTextAsync("The code of the archive is 4711.");
    }

    [Fact]
    public async Task AConnectionThatIsCutIsGoneOnWith()
    {
        await using var page = await browsers.Open();
        var (parts, offsets) = (0, new List<string>());
        await page.Page.RouteAsync("**/uploads/*", async route =>
        {
            if (route.Request.Method == "PATCH") offsets.Add(route.Request.Headers["upload-offset"]);
            if (route.Request.Method == "PATCH" && ++parts is 2 or 3) await route.AbortAsync("connectionreset");
            else await route.ContinueAsync();
        });
        var path = page.Write("long.txt", string.Concat(Enumerable.Repeat(book, 25)));
        await page.Page.SetInputFilesAsync("#files", path);
        await Expect(page.Page.Locator(".documents .told")).ToHaveTextAsync(new Regex("tokens/s"), new() { Timeout = 60_000 });
        Assert.Equal(["0", $"{4 << 20}", $"{4 << 20}", $"{4 << 20}", $"{8 << 20}"], offsets);
    }

    [Fact]
    public async Task WhatCannotBeReadIsSaid()
    {
        await using var page = await browsers.Open();
        var problem = page.Page.Locator(".memory .failure");
        await page.Page.SetInputFilesAsync("#files", page.Write("picture.png", "none"));
        await Expect(problem).ToHaveTextAsync(new Regex(@"^'picture\.png' is none of the kinds that can be read here: text, Markdown.*; make it one of these\.$"));
        await page.Page.SetInputFilesAsync("#files", page.Write("empty.txt", ""));
        await Expect(problem).ToContainTextAsync("bytes");
        await Expect(page.Page.Locator(".documents li")).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task MemoriesAreMadeChosenAndDeleted()
    {
        await using var page = await browsers.Open();
        await page.Add(page.Notes());
        await page.Page.GetByText("Other memories").ClickAsync();
        await page.Page.FillAsync("#new-memory", "no name/");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Make one" }).ClickAsync();
        await Expect(page.Page.Locator(".memory .failure")).ToContainTextAsync("choose another");
        await page.Page.FillAsync("#new-memory", "second");
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Make one" }).ClickAsync();
        await Expect(page.Page.Locator("#memory")).ToHaveValueAsync("second");
        await Expect(page.Page.Locator(".documents li")).ToHaveCountAsync(0);
        await page.Page.Locator("#memory").SelectOptionAsync("documents");
        await Expect(page.Page.Locator(".documents li")).ToHaveCountAsync(1);
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Delete “documents”" }).ClickAsync();
        await page.Page.GetByRole(AriaRole.Button, new() { Name = "Really delete “documents” with all its documents" }).ClickAsync();
        await Expect(page.Page.Locator("#memory")).ToHaveValueAsync("second");
        await Expect(page.Page.Locator("#memory option")).ToHaveCountAsync(1);
        Assert.Empty(page.Troubles);
    }
}
