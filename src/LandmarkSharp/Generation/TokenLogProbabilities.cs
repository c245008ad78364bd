namespace LandmarkSharp.Generation;

/// <summary>
/// How likely a generated token was: natural logarithms of the model's own probabilities, before temperature, penalty and anything that
/// sampling leaves out. The model's own tokens have no share.
/// </summary>
/// <param name="Own">The token's.</param>
/// <param name="Likeliest">The likeliest tokens and theirs, the likeliest first.</param>
public sealed record TokenLogProbabilities(double Own, IReadOnlyList<(int Id, double LogProbability)> Likeliest)
{
    /// <summary>Takes a step's logits before anything changes them, and tells of the token that is chosen then.</summary>
    internal static Func<int, TokenLogProbabilities> Of(ReadOnlySpan<float> logits, IEnumerable<int> own, int count)
    {
        float[] step = [.. logits];
        Finite.Check(step);
        foreach (var token in own) step[token] = float.NegativeInfinity;
        var tokens = new LikeliestTokens();
        tokens.Weigh(step, temperature: 1);                                                 // relative to the likeliest
        var whole = step[tokens[0].Id] + Math.Log(tokens.Sum(tokens.Count));
        var likeliest = Enumerable.Range(0, Math.Min(count, tokens.Count)).Select(i => tokens[i].Id).Select(id => (id, step[id] - whole)).ToArray();
        return chosen => new TokenLogProbabilities(step[chosen] - whole, likeliest);
    }
}
