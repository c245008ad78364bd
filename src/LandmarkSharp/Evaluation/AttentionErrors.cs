using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>How far an attention's results are from those in float64 on the same inputs.</summary>
/// <param name="Backend">What computed landmark attention.</param>
/// <param name="Tokens">Positions of the sequence, landmarks counted.</param>
/// <param name="Result">The output, or the gradient of queries, keys or values.</param>
/// <param name="Landmark">Root mean square of landmark attention's error, over that of its result in float64.</param>
/// <param name="Causal">The same of libtorch's causal attention in the same type.</param>
public sealed record AttentionError(AttentionBackend Backend, int Tokens, string Result, double Landmark, double Causal)
{
    /// <summary>Landmark attention's error over causal attention's.</summary>
    public double Ratio => Landmark / Causal;
}

/// <summary>Measures the errors of landmark attention beside those of libtorch's causal attention, each against itself in float64.</summary>
public static class AttentionErrors
{
    private static readonly string[] Results = ["out", "dq", "dk", "dv"];

    /// <summary>Measures one length. Float64 takes matrices of all scores, so key-value heads are compared one after the other.</summary>
    /// <param name="shape">What is measured.</param>
    /// <param name="tokens">Positions of the sequence.</param>
    /// <param name="backward">Whether to measure gradients too.</param>
    /// <param name="device">Where.</param>
    /// <param name="cancel">Stops between heads.</param>
    /// <exception cref="LandmarkException">There is no such attention, or the back end asked for cannot compute it.</exception>
    public static IReadOnlyList<AttentionError> Run(
        AttentionCase shape, int tokens, bool backward, Device device, CancellationToken cancel = default)
    {
        var (heads, groups) = (shape.Checked().Heads, shape.KeyValueHeads);
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(tokens, tokens, shape.Block, shape.Block, device);
        Tensor Make(int count) => randn(1, count, tokens, shape.HeadDim, shape.Type, device);
        Tensor[] inputs = [Make(heads), Make(groups), Make(groups)];
        var gradient = Make(heads);
        var backend = AttentionBackends.With(shape.Backend, () => AttentionBackends.For(
            inputs[0].requires_grad_(backward), inputs[1], inputs[2], layout, 1 / Math.Sqrt(shape.HeadDim)));
        Func<Tensor, Tensor, Tensor, Tensor>[] attentions =
        [
            (q, k, v) => LandmarkAttention.Attend(q, k, v, layout),
            (q, k, v) => Aten.ScaledDotProductAttention(q, k, v, causal: true, enableGqa: heads != groups),
        ];
        var sums = new (double Error, double Size)[2, Results.Length];
        for (var a = 0; a < attentions.Length; a++)
        {
            using var turn = NewDisposeScope();
            var found = AttentionBackends.With(a == 0 ? shape.Backend : null, () => All(attentions[a], inputs, gradient, backward));
            for (var group = 0; group < groups; group++)
            {
                cancel.ThrowIfCancellationRequested();
                using var part = NewDisposeScope();
                Tensor Of(Tensor x) => x.detach().chunk(groups, 1)[group].to(ScalarType.Float64);
                var exact = AttentionBackends.With(
                    a == 0 ? AttentionBackend.Reference : (AttentionBackend?)null,
                    () => All(attentions[a], [.. inputs.Select(Of)], Of(gradient), backward));
                for (var r = 0; r < exact.Length; r++)
                {
                    sums[a, r].Error += (Of(found[r]) - exact[r]).square().sum().item<double>();
                    sums[a, r].Size += exact[r].square().sum().item<double>();
                }
            }
        }
        double Error(int attention, int result) => Math.Sqrt(sums[attention, result].Error / sums[attention, result].Size);
        return [.. Results.Take(backward ? 4 : 1).Select((name, r) => new AttentionError(backend, tokens, name, Error(0, r), Error(1, r)))];
    }

    /// <summary>The output, and the gradients of what went in.</summary>
    private static Tensor[] All(Func<Tensor, Tensor, Tensor, Tensor> attention, Tensor[] inputs, Tensor gradient, bool backward)
    {
        Tensor[] leaves = [.. inputs.Select(x => x.detach().clone().requires_grad_(backward))];
        var output = attention(leaves[0], leaves[1], leaves[2]);
        if (!backward) return [output];
        output.backward([gradient]);
        return [output.detach(), .. leaves.Select(x => x.grad!)];
    }
}
