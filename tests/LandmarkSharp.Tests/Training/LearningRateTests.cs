using CsCheck;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

public sealed class LearningRateTests
{
    [Fact]
    public void RisesEvenlyThenFallsByTheCosine()
    {
        var rate = new LearningRate(Peak: 1, Final: 0.1, WarmUp: 4, Steps: 15);
        Assert.Equal([0.25, 0.5, 0.75, 1], Enumerable.Range(0, 4).Select(s => rate.At(s)));
        Assert.Equal(1, rate.At(4), 1e-12);
        Assert.Equal(0.1 + (0.9 * (1 + Math.Cos(Math.PI / 4)) / 2), new LearningRate(1, 0.1, 4, 13).At(6), 1e-12);
        Assert.Equal(0.55, rate.At(9), 1e-12);
        Assert.Equal(0.1, rate.At(14), 1e-12);
    }

    [Fact]
    public void NeverLeavesItsBoundsAndNeverTurns() =>
        Gen.Select(Gen.Int[0, 50], Gen.Int[1, 200], Gen.Double[1e-6, 1], Gen.Double[0, 1]).Sample((warmUp, steps, peak, share) =>
        {
            var rate = new LearningRate(peak, peak * share, warmUp, steps);
            var rates = Enumerable.Range(0, steps).Select(s => rate.At(s)).ToArray();
            Assert.All(rates, r => Assert.InRange(r, 0, peak * (1 + 1e-12)));
            Assert.All(rates.Take(warmUp).Zip(rates.Take(warmUp).Skip(1)), p => Assert.True(p.First < p.Second));
            Assert.All(rates.Skip(warmUp).Zip(rates.Skip(warmUp + 1)), p => Assert.True(p.First >= p.Second));
            if (steps > warmUp + 1) Assert.Equal(peak * share, rates[^1], 1e-12);
        });

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, 5)]
    [InlineData(5, 6)]
    [InlineData(9, 3)]
    public void ShortRunsHaveRatesToo(long warmUp, long steps)
    {
        var rate = new LearningRate(0.5, 0.01, warmUp, steps);
        Assert.All(Enumerable.Range(0, (int)steps), s => Assert.InRange(rate.At(s), 0.01, 0.5));
    }
}
