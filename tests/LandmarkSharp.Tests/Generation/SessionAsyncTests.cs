using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Memory;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Answers as async streams.</summary>
public sealed class SessionAsyncTests : IDisposable
{
    private static readonly GenerationOptions Answer = new() { MaxTokens = 30, StopAtEndOfText = false };

    private readonly LandmarkEngine engine = TinyEngine.Create(TinyModel.Config(blockTokens: 3));

    public void Dispose() => engine.Dispose();

    [Fact]
    public async Task TheTokensAreThoseOfGenerate()
    {
        using Session one = Read(), two = Read();
        List<GeneratedToken> found = [];
        await foreach (var token in two.GenerateAsync(Answer, TestContext.Current.CancellationToken)) found.Add(token);
        Assert.Equal(one.Generate(Answer).Select(t => (t.Id, t.Text, t.Finish)), found.Select(t => (t.Id, t.Text, t.Finish)));
        Assert.Equal(one.Trace.Blocks, two.Trace.Blocks);
    }

    [Fact]
    public async Task WhoLeavesOrCancelsHasASessionThatGoesOn()
    {
        using Session one = Read(), two = Read();
        var expected = one.Generate(Answer).Select(t => t.Id).ToArray();
        List<int> found = [];
        await foreach (var token in two.GenerateAsync(Answer, TestContext.Current.CancellationToken))
        {
            found.Add(token.Id);
            if (found.Count == 5) break;
        }
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var token in two.GenerateAsync(Answer, stop.Token))
            {
                found.Add(token.Id);
                if (found.Count == 12) await stop.CancelAsync();
            }
        });
        Assert.Equal(expected[..12], found);
        Assert.Equal(expected[12..], two.Generate(Answer with { MaxTokens = 18 }).Select(t => t.Id));
    }

    [Fact]
    public async Task WhatIsWrongIsThrownWhereItIsAwaited()
    {
        using var empty = engine.NewSession();
        var steps = empty.GenerateAsync(Answer, TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<LandmarkException>(async () => await steps.MoveNextAsync());
    }

    private Session Read()
    {
        var session = engine.NewSession();
        session.Append(TinyModel.Tokens(40));
        return session;
    }
}
