using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace LandmarkSharp.Page.Tests;

/// <summary>What is noted and counted of the page's answers.</summary>
[Collection(AloneCollection.Name)]
public sealed class NoteTests(Browsers browsers)
{
    [Fact]
    public async Task AnAnswerIsNotedAndCountedAsAProgramsIsAndNothingOfItsText()
    {
        using var notes = new Notes();
        await using var page = await browsers.Open(change: o => o.MaxPromptTokens = 60, logging: logging => logging.AddProvider(notes));
        await page.Add(page.Notes());
        Assert.Equal("Answer: 4711.", await page.Ask());
        var note = Assert.Single(notes.Lines, l => l.StartsWith("Answered", StringComparison.Ordinal));
        var told = Regex.Match(note, "^Answered /: ([0-9]+) tokens read, 0 of them before, ([0-9]+) generated, [0-9]+ ms$");
        Assert.True(told.Success, note);
        using var http = new HttpClient { BaseAddress = page.Server.Address };
        var metrics = await http.GetStringAsync("/metrics");
        Assert.Equal(told.Groups[1].Value, Counted("landmark_tokens_read_total"));
        Assert.Equal(told.Groups[2].Value, Counted("landmark_tokens_generated_total"));
        Assert.Equal("1", Counted("landmark_first_token_seconds_count"));

        await page.Page.FillAsync("#question", string.Concat(Enumerable.Repeat("And what is the colour of the grass? ", 20)));
        await page.Page.Keyboard.PressAsync("Enter");
        await Expect(page.Page.Locator(".talk .failure")).ToContainTextAsync("begin a new one");
        Assert.Contains("Refused / with 400 context_length_exceeded", notes.Lines);
        Assert.DoesNotContain(notes.Lines, l => l.Contains("archive", StringComparison.Ordinal) || l.Contains("4711", StringComparison.Ordinal) || l.Contains("grass", StringComparison.Ordinal));

        string Counted(string name) => Regex.Match(metrics, $"^{name}(?:{{[^}}]*}})? ([0-9]+)", RegexOptions.Multiline).Groups[1].Value;
    }

    private sealed class Notes : ILoggerProvider, ILogger
    {
        private readonly List<string> lines = [];

        public IReadOnlyList<string> Lines
        {
            get
            {
                lock (lines) return [.. lines];
            }
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (lines) lines.Add(formatter(state, exception));
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }
}
