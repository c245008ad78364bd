using System.Numerics;

namespace LandmarkSharp.Attention;

/// <summary>Rotary embedding of one head at a time.</summary>
internal static unsafe class CpuRotation
{
    /// <summary>Turns a head by one row of <see cref="Rotary.Distances"/>, and scales it.</summary>
    /// <param name="x">[d].</param>
    /// <param name="angles">[d]: d/2 cosines, then d/2 sines.</param>
    /// <param name="scale">What the result is multiplied by.</param>
    /// <param name="d">Width, even.</param>
    /// <param name="result">[d]; not x.</param>
    public static void Turn(float* x, float* angles, float scale, int d, float* result)
    {
        var (half, width) = (d / 2, Vector<float>.Count);
        float* y = x + half, sines = angles + half, other = result + half;
        var (i, by) = (0, new Vector<float>(scale));
        for (; i + width <= half; i += width)
        {
            var (a, b) = (Load(x + i) * by, Load(y + i) * by);
            var (cos, sin) = (Load(angles + i), Load(sines + i));
            *(Vector<float>*)(result + i) = (a * cos) - (b * sin);
            *(Vector<float>*)(other + i) = (b * cos) + (a * sin);
        }
        for (; i < half; i++)
        {
            var (a, b) = (x[i] * scale, y[i] * scale);
            (result[i], other[i]) = ((a * angles[i]) - (b * sines[i]), (b * angles[i]) + (a * sines[i]));
        }
    }

    private static Vector<float> Load(float* from) => *(Vector<float>*)from;
}
