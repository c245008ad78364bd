using CsCheck;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Generation;

/// <summary>A session goes on after whatever it did last, wherever in a block that left it.</summary>
public sealed class SessionTalkTests
{
    private enum Act
    {
        Append,
        Score,
        Generate,
        Cancel,
        Abandon,
        Stop,
    }

    [Fact]
    public void AnyTalkEqualsAFreshSessionFedTheSameTokens() =>
        Gen.Select(Gen.Int[1, 6], Gen.Enum<LandmarkLoss>(), Gen.Select(Gen.Enum<Act>(), Gen.Int[1, 12]).Array[1, 5]).Sample(
            (block, policy, acts) =>
            {
                using var engine = TinyEngine.Create(TinyModel.Config(block, loss: policy));
                using var session = engine.NewSession();
                session.Append([1, 2]);
                for (var i = 0; i < acts.Length; i++) Do(session, acts[i].Item1, acts[i].Item2, seed: i);
                using var fresh = engine.NewSession();
                fresh.Append([.. session.Tokens]);
                Assert.Equal(Ids(fresh, 8), Ids(session, 8));
            },
            iter: 40, threads: 1);

    [Fact]
    public void WhatWasGeneratedBeforeACancellationStays()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var whole = engine.NewSession();
        whole.Append(TinyModel.Tokens(30));
        var expected = Ids(whole, 20);

        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(30));
        using var cancel = new CancellationTokenSource();
        List<int> said = [];
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (var token in session.Generate(new GenerationOptions { MaxTokens = 20, StopAtEndOfText = false }, cancel.Token))
            {
                said.Add(token.Id);
                if (said.Count == 7) cancel.Cancel();
            }
        });
        Assert.Equal(expected[..7], said);
        Assert.Equal(37, session.Tokens.Count);
        Assert.Equal(expected[7..], Ids(session, 13));
    }

    [Fact]
    public void CancellationBeforeTheFirstTokenLosesNothing()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(900));
        Assert.Throws<OperationCanceledException>(
            () => session.Generate(new GenerationOptions(), new CancellationToken(canceled: true)).Count());
        Assert.Equal(900, session.Tokens.Count);
        using var whole = engine.NewSession();
        whole.Append(TinyModel.Tokens(900));
        Assert.Equal(Ids(whole, 6), Ids(session, 6));
    }

    [Fact]
    public void ATokenThatEndsTheTextDoesNotBecomePartOfIt()
    {
        var config = TinyModel.Config(4);
        using var free = TinyEngine.Create(config);
        using var said = free.NewSession();
        said.Append([5, 6, 7]);
        var ids = Ids(said, 12);
        var end = ids[6];
        var before = Array.IndexOf(ids, end);

        using var engine = TinyEngine.Create(config with { EosIds = [end] });
        using var session = engine.NewSession();
        session.Append([5, 6, 7]);
        var steps = session.Generate(new GenerationOptions { MaxTokens = 12 }).ToArray();
        Assert.Equal(ids[..(before + 1)], steps.Select(s => s.Id));
        Assert.Equal([.. Enumerable.Repeat<FinishReason?>(null, before), FinishReason.EndOfText], steps.Select(s => s.Finish));
        Assert.Equal("", steps[^1].Text);
        Assert.Equal([5, 6, 7, .. ids[..before]], session.Tokens);
        // Asked again it says the same; told to go past the end it does.
        Assert.Equal(end, Assert.Single(session.Generate(new GenerationOptions { MaxTokens = 12 })).Id);
        Assert.Equal(ids[before..], Ids(session, 12 - before));
    }

    [Fact]
    public void LandmarksAreNeitherCountedNorShown()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(1));
        using var session = engine.NewSession();
        session.Append("abc");
        var steps = session.Generate(new GenerationOptions { MaxTokens = 9, StopAtEndOfText = false }).ToArray();
        Assert.Equal(9, steps.Length);
        Assert.Equal(9, string.Concat(steps.Select(s => s.Text)).Length);
        Assert.Equal(12, session.Tokens.Count);
        Assert.DoesNotContain(engine.Config.Landmark!.Id, session.Tokens);
        Assert.Empty(session.Generate(new GenerationOptions { MaxTokens = 0 }));
    }

    private static void Do(Session session, Act act, int count, int seed)
    {
        var options = new GenerationOptions { MaxTokens = count, StopAtEndOfText = false, Temperature = 2, Seed = seed };
        switch (act)
        {
            case Act.Append:
                session.Append(TinyModel.Tokens(count, seed));
                break;
            case Act.Score:
                session.Score(TinyModel.Tokens(count, seed), (_, _) => { });
                break;
            case Act.Generate:
                Assert.Equal(count, session.Generate(options).Count());
                break;
            case Act.Cancel:
                using (var cancel = new CancellationTokenSource())
                {
                    Assert.Throws<OperationCanceledException>(() =>
                    {
                        foreach (var (_, _, _) in session.Generate(options with { MaxTokens = count + 1 }, cancel.Token)) cancel.Cancel();
                    });
                }
                break;
            case Act.Abandon:
                foreach (var _ in session.Generate(options with { MaxTokens = 50 }).Take(count)) { }
                break;
            case Act.Stop:
                _ = session.Generate(options with { Stop = ["e", "qu", " "], MaxTokens = 20 }).Count();
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(act));
        }
    }

    private static int[] Ids(Session session, int count) =>
        [.. session.Generate(new GenerationOptions { MaxTokens = count, StopAtEndOfText = false }).Select(t => t.Id)];
}
