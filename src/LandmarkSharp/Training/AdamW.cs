using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>
/// Fused AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019) over a model's float32 parameters;
/// matrices decay, norms and biases do not.
/// </summary>
public sealed class AdamW : IOptimizer
{
    private readonly TrainingOptions options;
    private readonly string[] names;
    private readonly Tensor[] parameters, first, second;
    private readonly (int[] Of, Tensor[] Parameters, Tensor[] First, Tensor[] Second, Tensor[] Steps)[] groups;
    private readonly Tensor[] steps;     // one for each group: the operator raises it

    /// <summary>Starts with zero moments.</summary>
    /// <param name="named">Parameters by name; they must require gradients.</param>
    /// <param name="options">β's, decay and clip.</param>
    public AdamW(IReadOnlyDictionary<string, Tensor> named, TrainingOptions options)
    {
        this.options = options;
        names = [.. named.Keys];
        parameters = [.. named.Values];
        Tensor[] Moments() => [.. parameters.Select(p => zeros(p.shape, ScalarType.Float32, p.device).DetachFromDisposeScope())];
        (first, second) = (Moments(), Moments());
        int[] Where(bool matrix) => [.. Enumerable.Range(0, parameters.Length).Where(i => parameters[i].dim() >= 2 == matrix)];
        int[][] members = [Where(matrix: true), Where(matrix: false)];
        steps = [.. members.Select(_ => zeros([], ScalarType.Float32, parameters[0].device).DetachFromDisposeScope())];
        groups = [.. members.Zip(steps, (of, step) => (
            of, Pick(parameters, of), Pick(first, of), Pick(second, of), of.Select(_ => step).ToArray()))];
    }

    /// <inheritdoc/>
    public IEnumerable<PlannedTensor> State =>
        names.Zip(first, second)
            .SelectMany(x => new[] { Kept($"first.{x.First}", x.Second), Kept($"second.{x.First}", x.Third) })
            .Append(new PlannedTensor("steps", ScalarType.Float32, [1], () => steps[0].reshape(1)));

    /// <inheritdoc/>
    public bool IsFinite => FiniteNumbers.In([.. first, .. second]);

    /// <inheritdoc/>
    public void Restore(Weights saved)
    {
        using var quiet = no_grad();
        void Take(string name, Tensor into, long[] shape)
        {
            using var value = saved.Get(name, shape);
            into.copy_(value.reshape(into.shape));
        }
        for (var i = 0; i < names.Length; i++)
        {
            Take($"first.{names[i]}", first[i], first[i].shape);
            Take($"second.{names[i]}", second[i], second[i].shape);
        }
        foreach (var count in steps) Take("steps", count, [1]);
    }

    /// <inheritdoc/>
    /// <remarks>Algorithm 2 of the paper.</remarks>
    public Tensor Step(double rate)
    {
        Tensor[] gradients = [.. parameters.Select(p => p.grad!)];
        var norm = Aten.ClipGradientNorm(gradients, options.Clip ?? double.PositiveInfinity);
        var decay = options.WeightDecay;
        foreach (var (of, values, means, squares, counts) in groups)
        {
            Aten.FusedAdamW(values, Pick(gradients, of), means, squares, counts, rate, options.Beta1, options.Beta2, decay, 1e-8);
            decay = 0;
        }
        foreach (var parameter in parameters) parameter.grad = null;
        return norm;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var t in (IEnumerable<Tensor>)[.. first, .. second, .. steps]) t.Dispose();
    }

    private static PlannedTensor Kept(string name, Tensor moment) => new(name, moment.dtype, moment.shape, () => moment);

    private static Tensor[] Pick(Tensor[] all, int[] of) => [.. of.Select(i => all[i])];
}
