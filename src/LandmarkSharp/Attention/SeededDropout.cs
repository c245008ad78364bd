using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Dropout in training (Srivastava et al., 2014): what is dropped follows from the seed and its place, whatever computes it, so it is
/// drawn again where it is wanted again; what is left is divided by 1 − p.
/// </summary>
/// <param name="Probability">To be dropped, p: 0 to less than 1.</param>
/// <param name="Seed">Another one drops others: take one for each batch.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct SeededDropout(double Probability, int Seed)
{
    /// <summary>Random numbers below this one drop what they stand for.</summary>
    internal uint Threshold => (uint)(Probability * uint.MaxValue);

    /// <summary>What is left is multiplied by this.</summary>
    internal float Kept => (float)(1 / (1 - Probability));

    /// <summary>The same, with a seed of its own for a layer or another place in the model.</summary>
    public SeededDropout At(int place) => this with { Seed = unchecked((Seed * 16777619) + place) };

    /// <summary>This, when it makes sense.</summary>
    /// <exception cref="LandmarkException">The probability is no probability, or leaves nothing.</exception>
    internal SeededDropout Checked() => Probability is >= 0 and < 1 ? this : throw new LandmarkException(
        $"Nothing can be dropped with probability {Probability}: give 0 or more and less than 1.");
}
