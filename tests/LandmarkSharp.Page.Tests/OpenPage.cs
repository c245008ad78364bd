using Deque.AxeCore.Playwright;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Chat;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;

namespace LandmarkSharp.Page.Tests;

/// <summary>A server of its own, with memories in a folder of its own, and its page in a browser.</summary>
internal sealed class OpenPage : IAsyncDisposable
{
    public const string Question = "What is the code of the archive?";

    private readonly DirectoryInfo folder;
    private readonly IBrowserContext context;
    private readonly List<string> troubles = [];

    private OpenPage(LandmarkServer server, DirectoryInfo folder, IBrowserContext context, IPage page)
    {
        (Server, this.folder, this.context, Page) = (server, folder, context, page);
        page.Console += (_, message) => Note(message.Type is "error" or "warning", message.Text);
        page.PageError += (_, error) => Note(true, error);
        page.Request += (_, request) => Note(!request.Url.StartsWith(server.Address.ToString(), StringComparison.Ordinal), $"asked for {request.Url}");
    }

    public LandmarkServer Server { get; }

    public IPage Page { get; }

    /// <summary>What a browser complains of, and whatever is asked of another server.</summary>
    public IReadOnlyList<string> Troubles => troubles;

    public ILocator Answers => Page.Locator(".answer:not(.streaming)");

    public ILocator Passage => Page.Locator("#passage blockquote");

    public ILocator Strip => Page.Locator("#strip");

    public static async Task<OpenPage> Start(
        LandmarkEngine engine, IBrowser browser, int width, int height, ColorScheme colours, Action<ServerOptions>? change,
        Action<ILoggingBuilder>? logging)
    {
        var folder = Directory.CreateTempSubdirectory("landmark-page-");
        var options = new ServerOptions { Port = 0, GraceSeconds = 1, Memories = Path.Combine(folder.FullName, "memories") };
        change?.Invoke(options);
        var server = await LandmarkServer.Start(engine, "landmark-10m", options, new QuestionTemplate(), logging);
        var context = await browser.NewContextAsync(new BrowserNewContextOptions
        {
            ViewportSize = new ViewportSize { Width = width, Height = height },
            ColorScheme = colours,
            ReducedMotion = ReducedMotion.Reduce,
        });
        context.SetDefaultTimeout(60_000);
        var page = new OpenPage(server, folder, context, await context.NewPageAsync());
        if (options.Keys is null) await page.Load();
        return page;
    }

    /// <summary>Loads the page, and waits until it is connected.</summary>
    public async Task Load()
    {
        await Page.GotoAsync(Server.Address.ToString());
        await Page.Locator("#work:not([inert])").WaitForAsync();
    }

    /// <summary>A text of some 3,400 tokens with an answer in its middle.</summary>
    public string Notes(string name = "notes.txt")
    {
        var filler = string.Concat(Enumerable.Repeat("The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ", 60));
        return Write(name, $"{filler}\nThe code of the archive is 4711. The keeper of the lighthouse is Anna Berg.\n{filler}");
    }

    public string Write(string name, string text)
    {
        var path = Path.Combine(folder.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }

    /// <summary>Adds documents, and waits until they have been read.</summary>
    public async Task Add(params string[] files)
    {
        await Page.SetInputFilesAsync("#files", files);
        await WaitForDocuments();
    }

    public async Task WaitForDocuments()
    {
        await Strip.WaitForAsync();
        await Assertions.Expect(Page.Locator(".documents progress")).ToHaveCountAsync(0, new() { Timeout = 60_000 });
    }

    /// <summary>Makes a memory, which is then the one that is shown and asked.</summary>
    public async Task Make(string memory)
    {
        var others = Page.Locator("details.more");
        if (await others.GetAttributeAsync("open") is null) await others.Locator("summary").ClickAsync();
        await Page.FillAsync("#new-memory", memory);
        await Page.GetByRole(AriaRole.Button, new() { Name = "Make one" }).ClickAsync();
        await Assertions.Expect(Page.Locator("#memory")).ToHaveValueAsync(memory);
    }

    /// <summary>Asks, and waits for the whole answer.</summary>
    public async Task<string> Ask(string question = Question)
    {
        var before = await Answers.CountAsync();
        await Page.FillAsync("#question", question);
        await Page.Keyboard.PressAsync("Enter");
        return await Answered(before);
    }

    public async Task<string> Answered(int before)
    {
        await Assertions.Expect(Answers).ToHaveCountAsync(before + 1, new() { Timeout = 60_000 });
        return (await Answers.Last.TextContentAsync())!;
    }

    /// <summary>What axe finds wrong, in words.</summary>
    public async Task<IEnumerable<string>> Violations() =>
        (await Page.RunAxe()).Violations.Select(v => $"{v.Id}: {v.Help} at {string.Join(", ", v.Nodes.Select(n => n.Html))}");

    /// <summary>By how many pixels the page is wider than its window.</summary>
    public Task<int> Overhang() => Page.EvaluateAsync<int>("document.documentElement.scrollWidth - innerWidth");

    /// <summary>The id of what the keyboard is on.</summary>
    public Task<string> Focused() => Page.EvaluateAsync<string>("document.activeElement.id || document.activeElement.innerText");

    /// <summary>Presses Tab until something has the keyboard.</summary>
    public async Task TabTo(string selector)
    {
        for (var i = 0; i < 60; i++)
        {
            await Page.Keyboard.PressAsync("Tab");
            if (await Page.EvaluateAsync<bool>("s => document.activeElement.matches(s)", selector)) return;
        }
        Assert.Fail($"Tab never comes to '{selector}'; it is on '{await Focused()}'.");
    }

    private void Note(bool isTrouble, string text)
    {
        if (isTrouble) troubles.Add(text);
    }

    public async ValueTask DisposeAsync()
    {
        await context.DisposeAsync();
        await Server.DisposeAsync();
        folder.Delete(recursive: true);
    }
}
