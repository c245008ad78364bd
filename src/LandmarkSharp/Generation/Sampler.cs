using System.Numerics.Tensors;
using System.Runtime.InteropServices;

namespace LandmarkSharp.Generation;

/// <summary>Chooses an answer's tokens from logits: penalties, temperature, top-k, top-p, min-p, in this order, then a seeded draw.</summary>
/// <param name="options">How.</param>
/// <param name="forbidden">Tokens that are never chosen: the model's own, which are no text's.</param>
internal sealed class Sampler(GenerationOptions options, params int[] forbidden)
{
    private readonly Random random = new(options.Seed);
    private readonly LikeliestTokens tokens = new();
    private readonly Dictionary<int, int> chosen = [];                                      // how often each token was

    /// <summary>The next token.</summary>
    /// <param name="logits">[V]; changed.</param>
    /// <param name="history">Tokens so far.</param>
    /// <exception cref="LandmarkException">A logit is not finite.</exception>
    public int Next(Span<float> logits, IReadOnlyList<int> history)
    {
        Penalize(logits, history);
        Finite.Check(logits);
        foreach (var token in forbidden) logits[token] = float.NegativeInfinity;
        var next = options.Temperature == 0 ? TensorPrimitives.IndexOfMax<float>(logits) : Draw(logits);
        CollectionsMarshal.GetValueRefOrAddDefault(chosen, next, out _)++;
        return next;
    }

    private void Penalize(Span<float> logits, IReadOnlyList<int> history)
    {
        PenalizeRecent(logits, history);
        if (options.FrequencyPenalty == 0 && options.PresencePenalty == 0) return;
        foreach (var (token, count) in chosen) logits[token] -= (float)((count * options.FrequencyPenalty) + options.PresencePenalty);
    }

    private void PenalizeRecent(Span<float> logits, IReadOnlyList<int> history)
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

    private int Draw(ReadOnlySpan<float> logits)
    {
        tokens.Weigh(logits, options.Temperature);
        var kept = options.TopK == 0 ? tokens.Count : Math.Min(options.TopK, tokens.Count);
        kept = Nucleus(kept);
        if (options.MinP > 0) kept = Math.Min(kept, tokens.CountFrom(options.MinP));        // the likeliest weighs 1

        var left = random.NextDouble() * tokens.Sum(kept);
        for (var i = 0; i < kept; i++)
        {
            left -= tokens[i].Weight;
            if (left < 0) return tokens[i].Id;
        }
        return tokens[kept - 1].Id;
    }

    /// <summary>How many of the likeliest reach the sum top-p.</summary>
    private int Nucleus(int kept)
    {
        if (options.TopP >= 1) return kept;
        var (enough, sum) = (options.TopP * tokens.Sum(kept), 0.0);
        for (var i = 0; i < kept; i++)
        {
            sum += tokens[i].Weight;
            if (sum >= enough) return i + 1;
        }
        return kept;
    }
}
