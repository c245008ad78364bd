using System.Numerics.Tensors;

namespace LandmarkSharp.Generation;

/// <summary>
/// Tokens from the likeliest down, sorted only as far as someone asks: a draw seldom looks past the first few hundred of a
/// vocabulary of many thousands. Its arrays are used again for every token.
/// </summary>
internal sealed class LikeliestTokens
{
    private float[] logits = [], keys = [];
    private int[] ids = [];
    private int vocabulary, sorted;
    private float max;
    private double temperature, total, reach;

    /// <summary>Tokens of a weight above 0.</summary>
    public int Count { get; private set; }

    /// <summary>Takes a step's logits.</summary>
    /// <param name="step">[V]; negative infinity where a token must not be chosen.</param>
    /// <param name="temperature">Above 0.</param>
    public void Weigh(ReadOnlySpan<float> step, double temperature)
    {
        (vocabulary, this.temperature, max) = (step.Length, temperature, TensorPrimitives.Max(step));
        (Count, sorted, total, reach) = (0, 0, 0, 0);
        if (logits.Length < vocabulary) (logits, keys, ids) = (new float[vocabulary], new float[vocabulary], new int[vocabulary]);
        step.CopyTo(logits);
        foreach (var logit in step)
        {
            var weight = Weight(logit);
            total += weight;
            if (weight > 0) Count++;
        }
    }

    /// <summary>The token at a place below <see cref="Count"/>, 0 for the likeliest, and its weight: 1 for the likeliest.</summary>
    public (int Id, double Weight) this[int place]
    {
        get
        {
            while (sorted <= place) SortMore();
            return (ids[place], Weight(keys[place]));
        }
    }

    /// <summary>The weight of the first <paramref name="count"/> tokens together.</summary>
    public double Sum(int count)
    {
        if (count == Count) return total;
        var sum = 0.0;
        for (var i = 0; i < count; i++) sum += this[i].Weight;
        return sum;
    }

    /// <summary>How many tokens have this weight or more.</summary>
    /// <param name="weight">Above 0.</param>
    public int CountFrom(double weight)
    {
        var (count, floor) = (0, max + (temperature * Math.Log(weight)));
        foreach (var logit in logits.AsSpan(0, vocabulary)) count += logit >= floor ? 1 : 0;
        return count;
    }

    private double Weight(float logit) => Math.Exp((logit - max) / temperature);

    /// <summary>Sorts the next band of logits. Bands grow, so that few are needed for all.</summary>
    private void SortMore()
    {
        var (from, ceiling) = (sorted, reach > 0 ? max - reach : double.PositiveInfinity);
        reach = reach > 0 ? 2 * reach : 7 * temperature;                                    // e⁻⁷: a thousandth of the likeliest
        var floor = max - reach;
        for (var i = 0; i < vocabulary; i++)
        {
            if (!(logits[i] >= floor && logits[i] < ceiling)) continue;
            (keys[sorted], ids[sorted]) = (logits[i], i);
            sorted++;
        }
        var band = keys.AsSpan(from, sorted - from);
        var tokens = ids.AsSpan(from, sorted - from);
        band.Sort(tokens);
        band.Reverse();
        tokens.Reverse();
    }
}
