using System.Runtime.InteropServices;

namespace LandmarkSharp.Training;

/// <summary>A rise to the peak over the warm-up, then a cosine to the final rate, or a part of one.</summary>
/// <param name="Peak">After the warm-up.</param>
/// <param name="Final">At the cosine's lowest point.</param>
/// <param name="WarmUp">Steps of the warm-up.</param>
/// <param name="Steps">Steps of the run.</param>
/// <remarks>
/// The paper trains from scratch by one cycle (<see cref="Start"/>, <see cref="CosineWarmUp"/>), and fine-tunes by a straight rise and
/// 0.4 of a cosine's period that would end at 0 (<see cref="Cycles"/>; landmark-attention.md 2.4 and 2.6).
/// </remarks>
[StructLayout(LayoutKind.Auto)]
public readonly record struct LearningRate(double Peak, double Final, long WarmUp, long Steps)
{
    /// <summary>Where the warm-up begins.</summary>
    public double Start { get; init; }

    /// <summary>Whether the rate rises by half a cosine from the first step on; else evenly, the first step one part above the start.</summary>
    public bool CosineWarmUp { get; init; }

    /// <summary>Periods of the cosine after the warm-up: a half ends at the final rate, less than that above it.</summary>
    public double Cycles { get; init; } = 0.5;

    /// <summary>The rate of a step, from 0.</summary>
    public double At(long step)
    {
        if (step < WarmUp)
        {
            var risen = CosineWarmUp ? (1 - Math.Cos(Math.PI * step / Math.Max(1.0, WarmUp - 1))) / 2 : (step + 1.0) / WarmUp;
            return Start + ((Peak - Start) * risen);
        }
        var progress = Math.Clamp((step - WarmUp) / Math.Max(1.0, Steps - 1 - WarmUp), 0, 1);
        return Final + ((Peak - Final) * (1 + Math.Cos(2 * Math.PI * Cycles * progress)) / 2);
    }
}
