using System.Runtime.InteropServices;

namespace LandmarkSharp.Training;

/// <summary>Linear warm-up, then a cosine to the final rate (the paper's section 4.1).</summary>
/// <param name="Peak">After the warm-up.</param>
/// <param name="Final">At the last step.</param>
/// <param name="WarmUp">Steps of the warm-up.</param>
/// <param name="Steps">Steps of the run.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct LearningRate(double Peak, double Final, long WarmUp, long Steps)
{
    /// <summary>The rate of a step, from 0.</summary>
    public double At(long step)
    {
        if (step < WarmUp) return Peak * (step + 1) / WarmUp;
        var progress = Math.Clamp((step - WarmUp) / Math.Max(1.0, Steps - 1 - WarmUp), 0, 1);
        return Final + ((Peak - Final) * (1 + Math.Cos(Math.PI * progress)) / 2);
    }
}
