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

    /// <summary>torch.optim.lr_scheduler.OneCycleLR(max_lr=2e-3, total_steps=100, pct_start=.05, div_factor=100, final_div_factor=.05).</summary>
    [Fact]
    public void OneCycleIsTheOfficialTrainings()
    {
        var rate = new LearningRate(2e-3, 4e-4, WarmUp: 5, Steps: 100) { Start = 2e-5, CosineWarmUp = true };
        double Between(double from, double to, double share) => to + ((from - to) * (1 + Math.Cos(Math.PI * share)) / 2);
        for (var step = 0; step < 5; step++) Assert.Equal(Between(2e-5, 2e-3, step / 4.0), rate.At(step), 1e-15);
        Assert.Equal(2e-3, rate.At(4), 1e-15);
        Assert.Equal(4e-4, rate.At(99), 1e-15);
    }

    /// <summary>Transformers' get_cosine_schedule_with_warmup(num_cycles=0.4), as LLaMA was fine-tuned: it ends at 9.5 % of the peak.</summary>
    [Fact]
    public void FourTenthsOfACycleEndAboveTheFinalRate()
    {
        var rate = new LearningRate(2e-5, 0, WarmUp: 450, Steps: 15_000) { Cycles = 0.4 };
        Assert.Equal(2e-5 * (1 + Math.Cos(0.8 * Math.PI)) / 2, rate.At(14_999), 1e-15);
        Assert.InRange(rate.At(14_999) / 2e-5, 0.095, 0.096);
        Assert.Equal(1e-5, rate.At(224), 1e-15);
    }

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
