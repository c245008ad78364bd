using CsCheck;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Generation;

/// <summary>The sampler against probabilities worked out plainly.</summary>
public sealed class SamplerTests
{
    private const int Vocabulary = 24;

    private static readonly Gen<float[]> Logits = Gen.Float[-6, 6].Array[Vocabulary];

    private static readonly Gen<int[]> History = Gen.Int[0, Vocabulary - 1].Array[0, 30];

    [Fact]
    public void TemperatureZeroTakesTheLikeliest() =>
        Gen.Select(Logits, Gen.Int[0, Vocabulary - 1], Gen.Int[0, 9]).Sample((logits, landmark, seed) =>
        {
            var sampler = new Sampler(new GenerationOptions { Seed = seed, TopP = 0.1, MinP = 0.9, TopK = 3 }, landmark);
            var expected = Enumerable.Range(0, Vocabulary).Where(i => i != landmark).MaxBy(i => logits[i]);
            Assert.Equal(expected, sampler.Next([.. logits], []));
        });

    [Fact]
    public void ThePenaltyIsThatOfRecentTokensAlone() =>
        Gen.Select(Logits, History, Gen.Double[0.3, 3], Gen.Int[0, 12]).Sample((logits, history, penalty, window) =>
        {
            var options = new GenerationOptions { RepetitionPenalty = penalty, RepetitionWindow = window };
            var expected = Enumerable.Range(0, Vocabulary).MaxBy(i => Penalized(logits, history, options)[i]);
            Assert.Equal(expected, new Sampler(options).Next([.. logits], history));
        });

    /// <summary>Logits less count × frequency and, of tokens that were chosen at all, less presence: worked out by hand.</summary>
    [Theory]
    [InlineData(0.4, 0.3, new[] { 3, 2.5f, 1, 0 }, new[] { 0, 1, 0, 0, 1, 0, 1, 0 })]
    [InlineData(0.4, 0, new[] { 3, 2.5f, 1, 0 }, new[] { 0, 0, 1, 0, 1, 0, 1, 0 })]
    [InlineData(0, 0.5, new[] { 3, 2.8f, 1, 0 }, new[] { 0, 1, 0, 0, 0, 0, 0, 0 })]
    [InlineData(0, 0, new[] { 3, 2.8f, 1, 0 }, new[] { 0, 0, 0, 0, 0, 0, 0, 0 })]
    public void PenaltiesOfTheAnswersOwnTokensAreOpenAIs(double frequency, double presence, float[] logits, int[] expected)
    {
        var sampler = new Sampler(new GenerationOptions { FrequencyPenalty = frequency, PresencePenalty = presence });
        // What was read counts for nothing.
        Assert.Equal(expected, expected.Select(_ => sampler.Next([.. logits], [0, 0, 0, 0])));
    }

    [Fact]
    public void APenaltyBelowZeroMakesTokensLikelier()
    {
        foreach (var options in (GenerationOptions[])[new() { FrequencyPenalty = -1 }, new() { PresencePenalty = -1 }])
        {
            var sampler = new Sampler(options);
            Assert.Equal(1, sampler.Next([0, 1, 0.5f], []));
            Assert.Equal(1, sampler.Next([1.9f, 1, 0.5f], []));
            Assert.Equal(options.FrequencyPenalty == 0 ? 0 : 1, sampler.Next([2.9f, 1, 0.5f], []));
        }
    }

    [Fact]
    public void OnlyTokensThatAreKeptAreDrawn() =>
        Gen.Select(Logits, History, Gen.Int[0, Vocabulary + 3], Gen.Double[0.05, 1],
            Gen.OneOf(Gen.Const(0.0), Gen.Double[0, 1]), Gen.Double[0.1, 4], Gen.Int[0, 1000]).Sample(
            (logits, history, topK, topP, minP, temperature, seed) =>
            {
                var options = new GenerationOptions
                {
                    Temperature = temperature,
                    TopK = topK,
                    TopP = topP,
                    MinP = minP,
                    RepetitionPenalty = 2, // exact in any precision: no tie is made or broken
                    Seed = seed,
                };
                var probabilities = Probabilities(logits, history, options, landmark: 3);
                var sampler = new Sampler(options, 3);
                for (var n = 0; n < 20; n++)
                    Assert.True(probabilities[sampler.Next([.. logits], history)] > 0);
            });

    [Theory]
    [InlineData(1, 0, 1, 0)]
    [InlineData(0.5, 0, 1, 0)]
    [InlineData(2.5, 0, 1, 0)]
    [InlineData(1.2, 5, 1, 0)]
    [InlineData(1, 0, 0.8, 0)]
    [InlineData(1, 9, 0.9, 0)]
    [InlineData(1, 0, 1, 0.15)]
    [InlineData(1.5, 12, 0.95, 0.05)]
    public void TokensComeAsOftenAsTheyShould(double temperature, int topK, double topP, double minP)
    {
        const int draws = 20_000;
        var random = new Random(1);
        float[] logits = [.. Enumerable.Range(0, Vocabulary).Select(_ => (float)(4 * random.NextDouble() - 2))];
        int[] history = [0, 1, 2, 2];
        var options =
            new GenerationOptions { Temperature = temperature, TopK = topK, TopP = topP, MinP = minP, RepetitionPenalty = 1.5, Seed = 11 };
        var probabilities = Probabilities(logits, history, options, landmark: 7);
        var sampler = new Sampler(options, 7);
        var counts = new int[Vocabulary];
        for (var i = 0; i < draws; i++) counts[sampler.Next([.. logits], history)]++;

        var kept = Enumerable.Range(0, Vocabulary).Where(i => probabilities[i] > 0).ToArray();
        Assert.Equal(draws, kept.Sum(i => counts[i]));
        var chi = kept.Sum(i => Math.Pow(counts[i] - (draws * probabilities[i]), 2) / (draws * probabilities[i]));
        // A mean of n − 1 and a deviation of √2(n − 1): five of them off is no chance.
        Assert.InRange(chi, 0, kept.Length - 1 + (5 * Math.Sqrt(2 * kept.Length)));
    }

    /// <summary>Tokens are sorted as far as a draw looks; what it finds is what sorting all of them gives.</summary>
    [Fact]
    public void DrawsAreThoseOfAFullSort() =>
        Gen.Select(Gen.Int[1, 3000], Gen.Int[0, 200], Gen.Double[0.5, 1],
            Gen.OneOf(Gen.Const(0.0), Gen.Double[0, 0.3]), Gen.Double[0.05, 6], Gen.Bool, Gen.Int[0, 1 << 20]).Sample(
            (size, topK, topP, minP, temperature, whole, seed) =>
            {
                var options =
                    new GenerationOptions { Temperature = temperature, TopK = topK, TopP = whole ? 1 : topP, MinP = minP, Seed = seed };
                var (made, random, sampler) = (new Random(seed), new Random(seed), new Sampler(options, 0));
                for (var n = 0; n < 4; n++)
                {
                    float[] logits = [.. Enumerable.Range(0, size + 1).Select(_ => (float)(30 * made.NextDouble() * made.NextDouble()))];
                    Assert.Equal(BySorting(logits[1..], options, random) + 1, sampler.Next(logits, []));
                }
            }, iter: 200);

    private static int BySorting(float[] logits, GenerationOptions options, Random random)
    {
        var max = logits.Max();
        var weighed = logits.Select((x, i) => (Id: i, Weight: Math.Exp((x - max) / options.Temperature))).OrderByDescending(t => t.Weight)
            .Take(options.TopK == 0 ? logits.Length : options.TopK).ToArray();
        var (enough, sum) = (options.TopP < 1 ? options.TopP * weighed.Sum(t => t.Weight) : double.PositiveInfinity, 0.0);
        var kept = weighed.TakeWhile(t => (sum += t.Weight) - t.Weight < enough && t.Weight >= options.MinP).ToArray();
        var left = random.NextDouble() * kept.Sum(t => t.Weight);
        return kept.First(t => (left -= t.Weight) < 0).Id;
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void LogitsThatAreNotFiniteAreRefused(float broken)
    {
        foreach (var temperature in (double[])[0, 1])
        {
            var logits = new float[Vocabulary];
            logits[5] = broken;
            var error = Assert.Throws<LandmarkException>(
                () => new Sampler(new GenerationOptions { Temperature = temperature }, 3).Next(logits, []));
            Assert.Contains("computes no numbers", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void SeedsDecide()
    {
        int[] Draw(int seed)
        {
            var sampler = new Sampler(new GenerationOptions { Temperature = 1, Seed = seed });
            return [.. Enumerable.Range(0, 50).Select(_ => sampler.Next(new float[Vocabulary], []))];
        }
        Assert.Equal(Draw(1), Draw(1));
        Assert.NotEqual(Draw(1), Draw(2));
        Assert.True(Draw(1).Distinct().Count() > 10);
    }

    [Theory]
    [InlineData("MaxTokens")]
    [InlineData("Temperature")]
    [InlineData("TopK")]
    [InlineData("TopP")]
    [InlineData("MinP")]
    [InlineData("RepetitionPenalty")]
    [InlineData("RepetitionWindow")]
    [InlineData("FrequencyPenalty")]
    [InlineData("PresencePenalty")]
    [InlineData("Stop")]
    public void ValuesOutOfRangeAreRefused(string field)
    {
        var (options, words) = field switch
        {
            "MaxTokens" => (new GenerationOptions { MaxTokens = -1 }, "tokens to generate"),
            "Temperature" => (new GenerationOptions { Temperature = double.NaN }, "temperature"),
            "TopK" => (new GenerationOptions { TopK = -2 }, "top-k"),
            "TopP" => (new GenerationOptions { TopP = 1.01 }, "top-p"),
            "MinP" => (new GenerationOptions { MinP = -0.1 }, "min-p"),
            "RepetitionPenalty" => (new GenerationOptions { RepetitionPenalty = 0 }, "repetition penalty"),
            "FrequencyPenalty" => (new GenerationOptions { FrequencyPenalty = double.NaN }, "frequency penalty"),
            "PresencePenalty" => (new GenerationOptions { PresencePenalty = double.NegativeInfinity }, "presence penalty"),
            "RepetitionWindow" => (new GenerationOptions { RepetitionWindow = -1 }, "repetition window"),
            _ => (new GenerationOptions { Stop = ["a", ""] }, "stop string"),
        };
        Assert.Contains(words, Assert.Throws<LandmarkException>(() => options.Checked()).Message, StringComparison.Ordinal);
    }

    /// <summary>The probability of each token: penalty, temperature, the k likeliest, the nucleus, the floor, in this order.</summary>
    private static double[] Probabilities(float[] logits, int[] history, GenerationOptions options, int landmark)
    {
        var scores = Penalized(logits, history, options);
        var p = scores.Select((s, i) => i == landmark ? 0 : Math.Exp(s / options.Temperature)).ToArray();
        Normalize(p);
        if (options.TopK > 0)
        {
            var floor = p.OrderDescending().Take(options.TopK).Last();
            p = [.. p.Select(x => x >= floor ? x : 0)];
            Normalize(p);
        }
        // A token is in the nucleus as long as the likelier ones do not reach the sum yet.
        p = [.. p.Select(x => p.Where(y => y > x).Sum() < options.TopP ? x : 0)];
        p = [.. p.Select(x => x >= options.MinP * p.Max() ? x : 0)];
        Normalize(p);
        return p;
    }

    private static double[] Penalized(float[] logits, int[] history, GenerationOptions options)
    {
        var recent = history.TakeLast(options.RepetitionWindow).ToHashSet();
        return [.. logits.Select((x, i) => !recent.Contains(i) ? x
            : x > 0 ? x / options.RepetitionPenalty
            : x * options.RepetitionPenalty)];
    }

    private static void Normalize(double[] p)
    {
        var sum = p.Sum();
        for (var i = 0; i < p.Length; i++) p[i] /= sum;
    }
}
