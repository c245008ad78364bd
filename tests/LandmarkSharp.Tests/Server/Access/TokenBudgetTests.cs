using System.Runtime.Versioning;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Memory.Files;
using Microsoft.Extensions.Logging.Abstractions;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>The day's tokens: taken, given back, kept over restarts, and begun again at midnight.</summary>
[UnsupportedOSPlatform("windows")]
public sealed class TokenBudgetTests : IDisposable
{
    private readonly KeyRoom keys = new();
    private readonly Clock clock = new() { Now = new DateTimeOffset(2026, 3, 1, 23, 0, 0, TimeSpan.Zero) };
    private readonly Caller anna = new("anna") { Limits = new CallerLimits { TokensADay = 100 } };
    private readonly Caller ben = new("ben");

    [Fact]
    public void WhatIsLeftIsNeverPassed()
    {
        using var budget = Create();
        budget.Spend(anna, 90);
        var refused = Assert.Throws<RequestException>(() => budget.Spend(anna, 11));
        Assert.Equal((429, "insufficient_quota", TimeSpan.FromHours(1)), (refused.Status, refused.Code, refused.RetryAfter));
        Assert.Contains("'anna' has 10 of 100 tokens left", refused.Message, StringComparison.Ordinal);
        budget.Spend(anna, 10);
        Assert.Throws<RequestException>(() => budget.Spend(anna, 0));
        budget.Spend(ben, 1_000_000);
        budget.Spend(anna, -30);
        budget.Spend(anna, 30);
        Assert.Throws<RequestException>(() => budget.Spend(anna, 1));
    }

    [Fact]
    public void AllKeysTogetherHaveALimit()
    {
        using var budget = Create(total: 150);
        budget.Spend(ben, 60);
        budget.Spend(anna, 80);
        Assert.Contains("together 10 of 150", Assert.Throws<RequestException>(() => budget.Spend(anna, 11)).Message, StringComparison.Ordinal);
        Assert.Throws<RequestException>(() => budget.Spend(ben, 11));
        budget.Spend(ben, 10);
    }

    [Fact]
    public void ADayGoesOnAfterARestart()
    {
        using (var budget = Create()) budget.Spend(anna, 70);
        using (var budget = Create())
        {
            Assert.Throws<RequestException>(() => budget.Spend(anna, 31));
            budget.Spend(anna, 20);
            clock.Tick();                                                                   // written without an orderly end
            using var other = Create();
            Assert.Throws<RequestException>(() => other.Spend(anna, 11));
        }
    }

    [Fact]
    public void TwoServersCountTogether()
    {
        using var one = Create();
        using var other = Create();
        one.Spend(anna, 60);
        other.Spend(anna, 30);
        clock.Tick();
        clock.Tick();                                                                       // the first learns what the second wrote
        Assert.Throws<RequestException>(() => one.Spend(anna, 11));
        Assert.Throws<RequestException>(() => other.Spend(anna, 11));
        one.Spend(anna, 10);
    }

    [Fact]
    public void MidnightBeginsAnew()
    {
        using var budget = Create();
        budget.Spend(anna, 100);
        clock.Tick();
        clock.Now = clock.Now.AddHours(1);
        budget.Spend(anna, -50);                                                            // of yesterday's, so no gift
        Assert.Throws<RequestException>(() => budget.Spend(anna, 101));
        budget.Spend(anna, 100);
        Assert.Equal(TimeSpan.FromDays(1), Assert.Throws<RequestException>(() => budget.Spend(anna, 1)).RetryAfter);
        clock.Tick();
        using var again = Create();
        Assert.Throws<RequestException>(() => again.Spend(anna, 1));
    }

    [Fact]
    public void WhatCannotBeWrittenNowIsWrittenLater()
    {
        using var budget = Create();
        budget.Spend(anna, 40);
        using (WriterLock.Take(keys["keys.tokens.json"])) clock.Tick();
        Assert.False(File.Exists(keys["keys.tokens.json"]));
        clock.Tick();
        using var other = Create();
        Assert.Throws<RequestException>(() => other.Spend(anna, 61));
        Assert.Throws<RequestException>(() => budget.Spend(anna, 61));
        budget.Spend(anna, 60);
    }

    [Fact]
    public void ADamagedFileIsSaid()
    {
        File.WriteAllText(keys["keys.tokens.json"], "{}");
        File.SetUnixFileMode(keys["keys.tokens.json"], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Refusals.Says(() => Create().Dispose(), "keys.tokens.json is damaged; delete it");
    }

    public void Dispose() => keys.Dispose();

    private TokenBudget Create(long? total = null) =>
        new(keys.File.Path, total, new ServerLog(NullLogger<ServerLog>.Instance), clock);

    /// <summary>A clock that stands still, whose timers run when they are told to.</summary>
    private sealed class Clock : TimeProvider
    {
        private readonly List<Timer> timers = [];

        public DateTimeOffset Now { get; set; }

        public override DateTimeOffset GetUtcNow() => Now;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new Timer(() => callback(state));
            timers.Add(timer);
            return timer;
        }

        public void Tick()
        {
            foreach (var timer in timers.Where(t => !t.IsDisposed)) timer.Run();
        }

        private sealed class Timer(Action run) : ITimer
        {
            public bool IsDisposed { get; private set; }

            public void Run() => run();

            public bool Change(TimeSpan dueTime, TimeSpan period) => throw new NotSupportedException();

            public void Dispose() => IsDisposed = true;

            public ValueTask DisposeAsync() => throw new NotSupportedException();
        }
    }
}
