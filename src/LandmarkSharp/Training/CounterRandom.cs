namespace LandmarkSharp.Training;

/// <summary>
/// SplitMix64 keyed by numbers: the same keys give the same draws wherever and whenever they are asked for, so a
/// training run that resumes at a step sees what it would have seen without the stop.
/// </summary>
internal sealed class CounterRandom
{
    private ulong state;

    public CounterRandom(params ReadOnlySpan<long> keys)
    {
        foreach (var key in keys) state = Mix(state ^ Mix((ulong)key + 0x9E3779B97F4A7C15));
    }

    public ulong NextBits() => Mix(state += 0x9E3779B97F4A7C15);

    /// <summary>Uniform in 0 … <paramref name="count"/> − 1.</summary>
    public long Next(long count) => (long)Math.BigMul(NextBits(), (ulong)count, out _);

    /// <summary>Uniform in 0 … <paramref name="count"/> − 1.</summary>
    public int Next(int count) => (int)Next((long)count);

    /// <summary>Uniform in <paramref name="low"/> … <paramref name="high"/>, both included.</summary>
    public int Between(int low, int high) => low + Next(high - low + 1);

    /// <summary>Uniform in [0, 1).</summary>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    public bool Chance(double probability) => NextDouble() < probability;

    public T Pick<T>(IReadOnlyList<T> items) => items[Next(items.Count)];

    /// <summary>The index of one of <paramref name="weights"/>, drawn in proportion to them.</summary>
    public int Weighted(ReadOnlySpan<double> weights)
    {
        var total = 0.0;
        foreach (var weight in weights) total += weight;
        var left = NextDouble() * total;
        for (var i = 0; i < weights.Length; i++)
        {
            left -= weights[i];
            if (left < 0) return i;
        }
        return weights.Length - 1;
    }

    public void Shuffle<T>(IList<T> items)
    {
        for (var i = items.Count - 1; i > 0; i--)
        {
            var j = Next(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
