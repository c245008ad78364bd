using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Memory.Files;

namespace LandmarkSharp.Tests.Generation;

/// <summary>What a generated token says of its likelihood is what scoring the text says.</summary>
public sealed class TokenLogProbabilitiesTests
{
    [Fact]
    public void TheyAreTheTextsOwnWhateverTheSampling()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(30));
        var said = session.Generate(new GenerationOptions
        {
            MaxTokens = 20,
            Temperature = 3,
            TopK = 20,
            RepetitionPenalty = 1.3,
            LogProbabilities = 3,
            StopAtEndOfText = false,
        }).ToArray();
        List<double> scored = [];
        using var again = engine.NewSession();
        again.Score([.. session.Tokens], (_, each) => scored.AddRange(each.Select(p => (double)p)));
        Assert.All(said.Index(), t => Assert.Equal(scored[29 + t.Index], t.Item.LogProbabilities!.Own, 1e-4));
        Assert.Contains(said, t => t.Id != t.LogProbabilities!.Likeliest[0].Id);            // it was sampled
    }

    [Fact]
    public void TheLikeliestComeFirstAndAllOfThemSumToOne()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append([1, 2, 3]);
        var token = Assert.Single(session.Generate(new GenerationOptions { MaxTokens = 1, LogProbabilities = 1000, StopAtEndOfText = false }));
        var (own, likeliest) = token.LogProbabilities!;
        Assert.Equal((token.Id, own), likeliest[0]);
        Assert.Equal(likeliest.Select(l => l.LogProbability).OrderDescending(), likeliest.Select(l => l.LogProbability));
        Assert.Equal(TinyModel.Vocabulary - 1, likeliest.Select(l => l.Id).Distinct().Count()); // all but the landmark
        Assert.Equal(1, likeliest.Sum(l => Math.Exp(l.LogProbability)), 1e-6);
    }

    [Fact]
    public void NoneComeUnlessAsked()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        using var session = engine.NewSession();
        session.Append([1, 2, 3]);
        Assert.All(session.Generate(new GenerationOptions { MaxTokens = 3 }), t => Assert.Null(t.LogProbabilities));
        Assert.Empty(session.Generate(new GenerationOptions { MaxTokens = 1, LogProbabilities = 0 }).First().LogProbabilities!.Likeliest);
        Refusals.Says(() => session.Generate(new GenerationOptions { LogProbabilities = -1 }), "0 or more");
    }
}
