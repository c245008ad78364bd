namespace LandmarkSharp.Attention;

/// <summary>How rotary frequencies are stretched, as checkpoints name it.</summary>
public enum RotaryScalingKind
{
    /// <summary>Not stretched.</summary>
    Default,

    /// <summary>Every frequency divided by the factor (position interpolation).</summary>
    Linear,

    /// <summary>Low frequencies divided by the factor, high ones kept, between them a blend (Llama 3.1).</summary>
    Llama3,

    /// <summary>As Llama 3 with ramps over dimensions, and scores multiplied (YaRN).</summary>
    Yarn,
}

/// <summary>The rotary fields of a configuration, and the frequencies they mean.</summary>
/// <param name="Kind">Which rule.</param>
/// <param name="Theta">Base of the frequencies, θ.</param>
/// <param name="Factor">Stretch; 1 for none.</param>
/// <param name="OriginalContext">Positions of the original training, for Llama 3 and YaRN.</param>
/// <param name="LowFrequencyFactor">Llama 3: wavelengths longer than OriginalContext / this are stretched in full.</param>
/// <param name="HighFrequencyFactor">Llama 3: wavelengths shorter than OriginalContext / this are kept.</param>
/// <param name="BetaFast">YaRN: turns within the original context from which frequencies are kept.</param>
/// <param name="BetaSlow">YaRN: turns under which frequencies are stretched in full.</param>
/// <param name="AttentionFactor">YaRN: what queries and keys are multiplied by; 0.1·ln(Factor)+1 when null.</param>
public sealed record RotaryScaling(
    RotaryScalingKind Kind = RotaryScalingKind.Default,
    double Theta = 10000,
    double Factor = 1,
    int OriginalContext = 0,
    double LowFrequencyFactor = 1,
    double HighFrequencyFactor = 4,
    double BetaFast = 32,
    double BetaSlow = 1,
    double? AttentionFactor = null)
{
    /// <summary>The rotary embedding for heads of <paramref name="headDim"/>, which must be even.</summary>
    /// <exception cref="LandmarkException">It is odd, or below 2.</exception>
    public Rotary Create(int headDim)
    {
        if (headDim < 2 || headDim % 2 != 0)
            throw new LandmarkException($"head_dim is {headDim}; rotary positions turn pairs, so it must be even.");
        var frequencies = Enumerable.Range(0, headDim / 2).Select(i => Math.Pow(Theta, -2.0 * i / headDim)).ToArray();
        return Kind switch
        {
            RotaryScalingKind.Linear => new Rotary([.. frequencies.Select(f => f / Factor)]),
            RotaryScalingKind.Llama3 => new Rotary([.. frequencies.Select(Llama3)]),
            RotaryScalingKind.Yarn => Yarn(frequencies, headDim),
            _ => new Rotary(frequencies),
        };
    }

    private double Llama3(double frequency)
    {
        var turns = OriginalContext * frequency / (2 * Math.PI);
        var kept = Math.Clamp((turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor), 0, 1);
        return ((1 - kept) * frequency / Factor) + (kept * frequency);
    }

    private Rotary Yarn(double[] frequencies, int headDim)
    {
        // The dimension whose frequency makes a given number of turns within the original context.
        double Dimension(double turns) => headDim * Math.Log(OriginalContext / (turns * 2 * Math.PI)) / (2 * Math.Log(Theta));
        var low = Math.Max(Math.Floor(Dimension(BetaFast)), 0);
        var high = Math.Min(Math.Ceiling(Dimension(BetaSlow)), headDim - 1);
        if (low == high) high += 0.001;
        var scaled = frequencies.Select((f, i) =>
        {
            var stretched = Math.Clamp((i - low) / (high - low), 0, 1);
            return (stretched * f / Factor) + ((1 - stretched) * f);
        });
        var attention = AttentionFactor ?? (Factor <= 1 ? 1 : (0.1 * Math.Log(Factor)) + 1);
        return new Rotary([.. scaled], attention * attention);
    }
}
