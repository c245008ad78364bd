using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Server;

/// <summary>What was read is not read again, as far as it is the same.</summary>
public sealed class SessionCacheTests : IDisposable
{
    private readonly LandmarkEngine engine = TinyEngine.Create(TinyModel.Config(4));

    [Fact]
    public void ATextThatGoesOnGoesOnInItsOwnSession()
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        var session = Read(cache, TinyModel.Tokens(50), 0);
        cache.Return(session);
        Assert.Equal(session.MemoryBytes, cache.Bytes);
        Assert.Same(session, cache.Take([.. session.Tokens, 1, 2, 3], 10, out var reused));
        Assert.InRange(reused, 47, 50);
        Assert.Equal(0, cache.Bytes);
        session.Dispose();
    }

    [Theory]
    [InlineData(200, 40)]                                                                   // another end: both stay
    [InlineData(200, 198)]                                                                  // a turn more: the fork takes its place
    [InlineData(200, 200)]                                                                  // the same again
    public void ATextThatDiffersForksAtAWholeBlock(int length, int common)
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        var first = TinyModel.Tokens(length);
        int[] second = common < length ? [.. first[..common], (first[common] + 1) % 39, 7, 8] : first;
        var session = Read(cache, first, 0);
        cache.Return(session);
        var fork = Read(cache, second, (Math.Min(common, second.Length) - 1) / 4 * 4);
        Assert.NotSame(session, fork);
        Assert.Equal(length - common < 4 ? 0 : session.MemoryBytes, cache.Bytes);
        using var fresh = engine.NewSession();
        fresh.Append(second);
        Answer(fresh, 1);
        Assert.Equal(Answer(fresh), Answer(fork));
        fork.Dispose();
    }

    [Fact]
    public void TheOneUsedLeastRecentlyGoesFirst()
    {
        using var room = new SessionCache(engine, long.MaxValue);
        var one = Read(room, TinyModel.Tokens(300, 1), 0);
        var limit = one.MemoryBytes * 5 / 2;
        using var cache = new SessionCache(engine, limit);
        cache.Return(one);
        cache.Return(Read(cache, TinyModel.Tokens(300, 2), 0));
        cache.Return(Read(cache, [.. TinyModel.Tokens(300, 1), 5], 299));                   // the first is used again
        cache.Return(Read(cache, TinyModel.Tokens(300, 3), 0));
        Read(cache, TinyModel.Tokens(300, 2), 0).Dispose();
        Read(cache, [.. TinyModel.Tokens(300, 1), 5], 300).Dispose();
        Assert.InRange(cache.Bytes, 1, limit);
    }

    [Fact]
    public void WhatOneReadServesNobodyElse()
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        int[] prompt = TinyModel.Tokens(200);
        int Reused(string? owner)
        {
            var start = new SessionStart(null, null, owner);
            var session = cache.Take(prompt, 10, out var reused, start);
            session.Append(prompt.AsSpan(session.Tokens.Count));
            Answer(session, 1);
            cache.Return(session, start);
            return reused;
        }
        Assert.Equal((0, 0, 0), (Reused("anna"), Reused("ben"), Reused(null)));
        Assert.Equal((196, 196, 196), (Reused("anna"), Reused("ben"), Reused(null)));
    }

    [Fact]
    public void WhatOthersMayStillComeToIsNotGivenTwice()
    {
        using var cache = new SessionCache(engine, long.MaxValue);
        var most = (int)Math.Min(int.MaxValue / 2, ProcessMemory.AvailableBytes / engine.BytesPerToken / 5 * 3);
        var first = cache.Take(TinyModel.Tokens(50), most, out _);
        Assert.Equal("no_memory", Assert.Throws<RequestException>(() => cache.Take(TinyModel.Tokens(50), most, out _)).Code);
        cache.Discard(first);
        var second = cache.Take(TinyModel.Tokens(50), most, out _);
        cache.Return(second);
        cache.Discard(cache.Take(TinyModel.Tokens(60), most, out _));
    }

    [Fact]
    public void NothingIsKeptWhereNothingMayBe()
    {
        using var cache = new SessionCache(engine, 0);
        cache.Return(Read(cache, TinyModel.Tokens(50), 0));
        Assert.Equal(0, cache.Bytes);
        Read(cache, TinyModel.Tokens(50), 0).Dispose();
    }

    [Fact]
    public void AModelWithoutLandmarksGoesOnAndDoesNotFork()
    {
        using var plain = TinyEngine.Create(TinyModel.Plain());
        using var cache = new SessionCache(plain, long.MaxValue);
        var session = cache.Take(TinyModel.Tokens(600), 10, out _);
        session.Append(TinyModel.Tokens(600));
        cache.Return(session);
        using var other = Read(cache, [.. TinyModel.Tokens(500), 1], 0);
        using var same = cache.Take([.. TinyModel.Tokens(600), 1], 10, out var reused);
        Assert.Equal((600, 512), (same.Tokens.Count, reused));                              // the others wait for their pass
    }

    public void Dispose() => engine.Dispose();

    private static Session Read(SessionCache cache, int[] prompt, int expected)
    {
        var session = cache.Take(prompt, 10, out var reused);
        Assert.InRange(reused, expected - 3, expected);
        session.Append(prompt.AsSpan(session.Tokens.Count));
        Answer(session, 1);
        return session;
    }

    private static int[] Answer(Session session, int tokens = 8) =>
        [.. session.Generate(new GenerationOptions { MaxTokens = tokens, StopAtEndOfText = false }).Select(t => t.Id)];
}
