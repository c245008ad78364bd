using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>
/// AdamW with decoupled decay and clipping by the whole norm (Loshchilov and Hutter 2019, algorithm 2), in float64 over plain
/// arrays: what the trainer's optimizer must equal.
/// </summary>
internal sealed class PlainAdamW(TrainingOptions options, double[][] parameters, bool[] decays)
{
    private readonly double[][] first = [.. parameters.Select(p => new double[p.Length])];
    private readonly double[][] second = [.. parameters.Select(p => new double[p.Length])];
    private int steps;

    public double[][] Parameters => parameters;

    public static double Norm(double[][] gradients) => Math.Sqrt(gradients.Sum(g => g.Sum(x => x * x)));

    /// <summary>Steps; returns the norm before clipping.</summary>
    public double Step(double[][] gradients, double rate)
    {
        steps++;
        var norm = Norm(gradients);
        var scale = Math.Min(1, (options.Clip ?? double.PositiveInfinity) / norm);
        for (var p = 0; p < parameters.Length; p++)
        {
            for (var i = 0; i < parameters[p].Length; i++)
            {
                var g = gradients[p][i] * scale;
                first[p][i] = (options.Beta1 * first[p][i]) + ((1 - options.Beta1) * g);
                second[p][i] = (options.Beta2 * second[p][i]) + ((1 - options.Beta2) * g * g);
                var mean = first[p][i] / (1 - Math.Pow(options.Beta1, steps));
                var square = second[p][i] / (1 - Math.Pow(options.Beta2, steps));
                if (decays[p]) parameters[p][i] -= rate * options.WeightDecay * parameters[p][i];
                parameters[p][i] -= rate * mean / (Math.Sqrt(square) + 1e-8);
            }
        }
        return norm;
    }
}
