using System.Runtime.CompilerServices;
using LandmarkSharp.Generation;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using Microsoft.Extensions.Logging.Abstractions;

namespace LandmarkSharp.Tests.Server;

/// <summary>Whose turn it is, and what becomes of requests that nobody waits for.</summary>
public sealed class SchedulerTests : IDisposable
{
    private static readonly GenerationOptions Long = new() { MaxTokens = 100_000, StopAtEndOfText = false };

    private readonly LandmarkEngine engine = TinyEngine.Create(TinyModel.Config(4));
    private readonly CancellationTokenSource end = new();

    [Fact]
    public async Task ClientsTakeTurnsHoweverManyRequestsTheyHave()
    {
        using var scheduler = Create(new ServerOptions { Concurrency = 8 });
        var many = Enumerable.Range(0, 4).Select(_ => Submit(scheduler, "many", Long)).ToArray();
        var one = Submit(scheduler, "one", Long with { MaxTokens = 400 });
        scheduler.Start();
        Assert.Equal(400, await Read(one));
        Assert.InRange(one.LastTurn, 800, 804);                                             // 2005, were it requests that took turns
        end.Cancel();
        foreach (var job in many) await Read(job);
        Assert.InRange(many.Max(j => j.LastTurn) - many.Min(j => j.LastTurn), 3, 8);
    }

    [Fact]
    public async Task AnAnswerGoesOnWhileALongTextIsRead()
    {
        using var scheduler = Create(new ServerOptions { Concurrency = 2 });
        var text = Submit(scheduler, "a", Long with { MaxTokens = 1 }, 40_000);
        var answer = Submit(scheduler, "b", Long with { MaxTokens = 60 });
        scheduler.Start();
        Assert.Equal((60, 1), (await Read(answer), await Read(text)));
        Assert.InRange(answer.LastTurn, 120, 124);                                          // every other one
        Assert.InRange(text.LastTurn, 160, 170);                                            // 105 pieces of it, then its token
    }

    [Fact]
    public async Task WhoseClientGoesAwayStopsWithinAToken()
    {
        using var scheduler = Create(new ServerOptions());
        using var gone = new CancellationTokenSource();
        var job = new AnswerJob("a", [TinyModel.Tokens(30)], 1, Long, gone.Token);
        scheduler.Submit(job);
        var other = Submit(scheduler, "b", Long);
        scheduler.Start();
        var seen = 0;
        await foreach (var _ in job.Tokens.ReadAllAsync())
        {
            if (++seen == 20) break;
        }
        gone.Cancel();
        var atMost = seen + job.Tokens.Count + 1;                                           // the one at hand
        await TestServer.Until(() => scheduler.State.Active == 1);
        Assert.InRange(seen + job.Tokens.Count, seen, atMost);
        end.Cancel();
        Assert.True(await Read(other) > 0);
    }

    [Fact]
    public void ATextThatIsGivenUpIsKeptAsFarAsItWasRead()
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        AnswerJob Job() => new("a", [TinyModel.Tokens(5000)], 1, Long with { MaxTokens = 1 }, default);
        var job = Job();
        for (var i = 0; i < 3; i++) Assert.True(job.Turn(engine, cache));
        job.End(cache, null);
        var again = Job();
        Assert.True(again.Turn(engine, cache));
        Assert.InRange(again.Reused, 384, 3 * 384);                                         // but what waited for its pass
        while (again.Turn(engine, cache))
        {
        }
        again.End(cache, null);
        using var fresh = engine.NewSession();
        fresh.Append(TinyModel.Tokens(5000));
        Assert.True(again.Tokens.TryRead(out var token));
        Assert.Equal(Assert.Single(fresh.Generate(Long with { MaxTokens = 1 })).Id, token.Token.Id);
    }

    /// <summary>What tokens have read is much, of answers that read every block: who takes a token has it, and the job does not.</summary>
    [Fact]
    public void WhatTokensHaveReadIsLetGoOf()
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        var job = new AnswerJob("a", [TinyModel.Tokens(200)], 1, Long with { MaxTokens = 50, RecordReads = true }, default);
        var first = First();
        for (var i = 0; i < 5; i++) Assert.True(job.Turn(engine, cache));
        GC.Collect();
        Assert.False(first.TryGetTarget(out _));
        Assert.Equal(5, job.Tokens.Count);
        job.End(cache, null);

        [MethodImpl(MethodImplOptions.NoInlining)]
        WeakReference<TokenReads> First()
        {
            AnswerToken token;
            while (!job.Tokens.TryRead(out token)) job.Turn(engine, cache);
            return new WeakReference<TokenReads>(token.Token.Reads!);
        }
    }

    [Fact]
    public async Task OneMoreThanMayWaitIsRefusedAndOnesGivenUpDoNotCount()
    {
        using var scheduler = Create(new ServerOptions { Concurrency = 1, QueueLength = 2 });
        using var gone = new CancellationTokenSource();
        var first = Submit(scheduler, "a", Long);
        var abandoned = new AnswerJob("a", [TinyModel.Tokens(30)], 1, Long, gone.Token);
        scheduler.Submit(abandoned);
        Submit(scheduler, "a", Long);
        scheduler.Start();
        await first.Tokens.WaitToReadAsync();
        Assert.Equal((1, 2), (scheduler.State.Active, scheduler.State.Waiting));
        Assert.Equal(429, Assert.Throws<RequestException>(() => Submit(scheduler, "b", Long)).Status);
        gone.Cancel();
        var last = Submit(scheduler, "b", Long with { MaxTokens = 1 });
        Assert.Equal(0, await Read(abandoned));
        end.Cancel();
        Assert.True(await Read(last) <= 1);
    }

    [Fact]
    public async Task WhatAnswersAfterTheGraceIsToldSo()
    {
        using var scheduler = Create(new ServerOptions());
        var (endless, brief) = (Submit(scheduler, "a", Long), Submit(scheduler, "b", Long with { MaxTokens = 3 }));
        scheduler.Start();
        await endless.Tokens.WaitToReadAsync();
        await scheduler.Stop(TimeSpan.FromMilliseconds(200));
        Assert.Equal(3, await Read(brief));
        Assert.Equal(503, (await Assert.ThrowsAsync<RequestException>(() => Read(endless))).Status);
        Assert.Equal(503, Assert.Throws<RequestException>(() => Submit(scheduler, "b", Long)).Status);
    }

    [Fact]
    public async Task AFailureEndsOneRequestAlone()
    {
        using var scheduler = Create(new ServerOptions());
        var broken = new AnswerJob("a", [[9999]], 1, Long, end.Token);
        var whole = Submit(scheduler, "b", Long with { MaxTokens = 5 });
        scheduler.Submit(broken);
        scheduler.Start();
        await Assert.ThrowsAsync<LandmarkException>(() => Read(broken));
        Assert.Equal(5, await Read(whole));
    }

    public void Dispose()
    {
        end.Cancel();
        engine.Dispose();
        end.Dispose();
    }

    private Scheduler Create(ServerOptions options) => new(engine, options, new ServerLog(NullLogger<ServerLog>.Instance));

    /// <summary>Reads a request's tokens to their end, and counts them.</summary>
    private static async Task<int> Read(AnswerJob job)
    {
        var count = 0;
        await foreach (var _ in job.Tokens.ReadAllAsync()) count++;
        return count;
    }

    private AnswerJob Submit(Scheduler scheduler, string client, GenerationOptions options, int tokens = 30)
    {
        var job = new AnswerJob(client, [TinyModel.Tokens(tokens)], 1, options, end.Token);
        scheduler.Submit(job);
        return job;
    }
}
