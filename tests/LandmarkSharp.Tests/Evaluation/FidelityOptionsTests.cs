using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using static LandmarkSharp.Tests.Evaluation.FidelityTests;

namespace LandmarkSharp.Tests.Evaluation;

/// <summary>What is lost by reading less than k blocks of all, on the models of <see cref="FidelityTests"/>.</summary>
public sealed class FidelityOptionsTests
{
    /// <summary>Dense attention forgets nothing, so what is forgotten is lost.</summary>
    [Fact]
    public void WhatIsForgottenIsLost()
    {
        using var engine = Engine(new() { TopK = 2, WindowBlocks = Window, KeepBlocks = 2 });
        using var exact = new ExactFidelity(engine, Sample);
        var told = Fidelity.Measure(engine, [Sample], [2]).Readings[0];
        for (var layer = 0; layer < 2; layer++)
        {
            var (past, last) = exact.Mass(layer, (gates, _, _) => gates.TakeLast(2).Sum());
            Assert.Equal(last / past, told.Layers[layer].PastShare, 1e-5);
        }
        Assert.Contains("Of 2 blocks kept", Refusal(engine, [Sample], 1, 3), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, null, 1)]
    [InlineData(1, null, 0)]
    [InlineData(1, 3, 0)]
    public void ARetrievalThatIsDroppedCatchesNothing(double cutoff, int? keep, double share)
    {
        var config = TinyModel.WithMiss(TinyModel.Config(Block, windowBlocks: Window));
        using var engine = TinyEngine.Create(config, new() { TopK = 3, WindowBlocks = Window, MissCutoff = cutoff, KeepBlocks = keep });
        var told = Fidelity.Measure(engine, [[.. Sample.Select(t => t % (TinyModel.Vocabulary - 2))]], [keep ?? 14]).Readings[0];
        Assert.All(told.Layers, a => Assert.Equal(share, a.PastShare, 1e-12));
        Assert.Equal(share == 1, told.Prediction.Divergence < 1e-6);
    }

    /// <summary>With true places the score that ends a choice is the dense gate's, so the share caught is above the one asked for.</summary>
    [Fact]
    public void ChoicesThatEndByMassHaveIt()
    {
        using var engine = Engine(new() { Selection = SelectionMode.PerTokenAndHead, Positions = PositionMode.True, WindowBlocks = Window, Mass = 0.8 });
        using var exact = new ExactFidelity(engine, Sample);
        var told = Fidelity.Measure(engine, [Sample], [14]).Readings[0];
        for (var layer = 0; layer < 2; layer++)
        {
            var (past, caught) = exact.Mass(layer, (gates, _, _) => Ended(gates).Sum());
            Assert.Equal(caught / past, told.Layers[layer].PastShare, 1e-5);
            Assert.InRange(told.Layers[layer].PastShare, 0.8, 0.99);
            var (_, read) = exact.Mass(layer, (gates, _, _) => Ended(gates).Count());
            Assert.Equal(read, told.Layers[layer].Read);
        }

        static IEnumerable<double> Ended(double[] gates)
        {
            var (before, enough) = (0.0, 0.8 * gates.Sum());
            return gates.OrderDescending().TakeWhile(g => (before += g) - g < enough);
        }
    }
}
