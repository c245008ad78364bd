using LandmarkSharp.Generation;
using LandmarkSharp.Page.Tests;
using LandmarkSharp.Server;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;

[assembly: AssemblyFixture(typeof(Browsers))]

namespace LandmarkSharp.Page.Tests;

/// <summary>The model that ships and a browser, each begun once. Where there is no Chromium, tests that need it are skipped.</summary>
public sealed class Browsers : IAsyncLifetime
{
    private const string Chromium = "/usr/bin/chromium";

    private IPlaywright? playwright;

    public LandmarkEngine Engine { get; } = LandmarkEngine.Load(Path.Combine(AppContext.BaseDirectory, "models", "landmark-10m"));

    public IBrowser? Browser { get; private set; }

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium)) return;
        Assertions.SetDefaultExpectTimeout(30_000);         // of processors that others use as well
        playwright = await Playwright.CreateAsync();
        Browser = await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions { ExecutablePath = Chromium, Args = ["--no-sandbox"] });
    }

    /// <summary>A server with a page open in it.</summary>
    internal async Task<OpenPage> Open(
        int width = 1600, int height = 1000, ColorScheme colours = ColorScheme.Light, Action<ServerOptions>? change = null,
        Action<ILoggingBuilder>? logging = null)
    {
        Assert.SkipWhen(Browser is null, $"There is no {Chromium}; install the package chromium.");
        return await OpenPage.Start(Engine, Browser!, width, height, colours, change, logging);
    }

    public async ValueTask DisposeAsync()
    {
        if (Browser is not null) await Browser.DisposeAsync();
        playwright?.Dispose();
        Engine.Dispose();
    }
}
