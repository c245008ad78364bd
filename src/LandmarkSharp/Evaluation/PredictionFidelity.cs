using System.Runtime.InteropServices;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// What a model's predictions lose by reading k blocks where dense landmark attention reads all, every layer doing so: sums over regular
/// tokens predicted by states that have blocks before their window, and what follows from them.
/// </summary>
/// <param name="Tokens">Tokens predicted.</param>
/// <param name="DivergenceSum">KL divergences of the next token's distributions, dense ‖ retrieved, in nats.</param>
/// <param name="Agreed">Tokens where both have the same likeliest one.</param>
/// <param name="LossSum">Cross-entropies where k blocks are read, in nats.</param>
/// <param name="DenseLossSum">Cross-entropies where all are.</param>
/// <param name="SquaredError">‖retrieved − dense‖² of the last hidden states, normed.</param>
/// <param name="SquaredNorm">‖dense‖².</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct PredictionFidelity(
    long Tokens, double DivergenceSum, long Agreed, double LossSum, double DenseLossSum, double SquaredError, double SquaredNorm)
{
    /// <summary>Mean KL divergence, in nats.</summary>
    public double Divergence => DivergenceSum / Tokens;

    /// <summary>The share of tokens where both have the same likeliest one.</summary>
    public double Agreement => Agreed / (double)Tokens;

    /// <summary>Mean cross-entropy where k blocks are read, in nats.</summary>
    public double Loss => LossSum / Tokens;

    /// <summary>e to it.</summary>
    public double Perplexity => Math.Exp(Loss);

    /// <summary>Mean cross-entropy where all blocks are read, in nats.</summary>
    public double DenseLoss => DenseLossSum / Tokens;

    /// <summary>e to it.</summary>
    public double DensePerplexity => Math.Exp(DenseLoss);

    /// <summary>‖retrieved − dense‖ / ‖dense‖ of the last hidden states.</summary>
    public double HiddenError => AttentionFidelity.Ratio(SquaredError, SquaredNorm);

    /// <summary>Both together.</summary>
    public static PredictionFidelity operator +(PredictionFidelity a, PredictionFidelity b) => new(
        a.Tokens + b.Tokens, a.DivergenceSum + b.DivergenceSum, a.Agreed + b.Agreed, a.LossSum + b.LossSum, a.DenseLossSum + b.DenseLossSum,
        a.SquaredError + b.SquaredError, a.SquaredNorm + b.SquaredNorm);
}
