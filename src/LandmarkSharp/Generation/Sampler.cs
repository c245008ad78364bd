using System.Numerics.Tensors;

namespace LandmarkSharp.Generation;

/// <summary>Chooses tokens from logits: penalty, temperature, top-k, top-p, min-p, in this order, then a seeded draw.</summary>
/// <param name="options">How.</param>
/// <param name="forbidden">A token that is never chosen: the landmark.</param>
internal sealed class Sampler(GenerationOptions options, int? forbidden)
{
    private readonly Random random = new(options.Seed);

    /// <summary>The next token.</summary>
    /// <param name="logits">[V]; changed.</param>
    /// <param name="history">Tokens so far.</param>
    public int Next(Span<float> logits, IReadOnlyList<int> history)
    {
        if (forbidden is { } landmark) logits[landmark] = float.NegativeInfinity;
        Penalize(logits, history);
        return options.Temperature == 0 ? TensorPrimitives.IndexOfMax<float>(logits) : Draw(logits);
    }

    private void Penalize(Span<float> logits, IReadOnlyList<int> history)
    {
        if (options.RepetitionPenalty == 1) return;
        var penalty = (float)options.RepetitionPenalty;
        var seen = new HashSet<int>();
        for (var i = Math.Max(0, history.Count - options.RepetitionWindow); i < history.Count; i++)
        {
            if (!seen.Add(history[i])) continue;
            ref var logit = ref logits[history[i]];
            logit = logit > 0 ? logit / penalty : logit * penalty;
        }
    }

    private int Draw(Span<float> logits)
    {
        var order = new int[logits.Length];
        var scores = logits.ToArray();
        for (var i = 0; i < order.Length; i++) order[i] = i;
        Array.Sort(scores, order, Comparer<float>.Create((a, b) => b.CompareTo(a)));

        var kept = options.TopK == 0 ? scores.Length : Math.Min(options.TopK, scores.Length);
        var weights = new double[kept];
        for (var i = 0; i < kept; i++) weights[i] = Math.Exp((scores[i] - scores[0]) / options.Temperature);

        kept = Nucleus(weights, kept);
        while (kept > 1 && weights[kept - 1] < options.MinP * weights[0]) kept--;

        var left = random.NextDouble() * TensorPrimitives.Sum<double>(weights.AsSpan(0, kept));
        for (var i = 0; i < kept; i++)
        {
            left -= weights[i];
            if (left < 0) return order[i];
        }
        return order[kept - 1];
    }

    /// <summary>How many of the likeliest reach the sum top-p.</summary>
    private int Nucleus(double[] weights, int kept)
    {
        if (options.TopP >= 1) return kept;
        var (enough, sum) = (options.TopP * TensorPrimitives.Sum<double>(weights.AsSpan(0, kept)), 0.0);
        for (var i = 0; i < kept; i++)
        {
            sum += weights[i];
            if (sum >= enough) return i + 1;
        }
        return kept;
    }
}
