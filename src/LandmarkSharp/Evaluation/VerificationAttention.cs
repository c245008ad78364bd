using System.Text.RegularExpressions;
using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>Landmark attention and its gradients against a file of them, in float64.</summary>
internal static partial class VerificationAttention
{
    private const double WeightTolerance = 5e-6, OutputTolerance = 1e-5, GradientTolerance = 5e-5;

    public static IReadOnlyList<VerificationCheck> Checks(VerificationCase expected)
    {
        if (!expected.Has("q", "k", "v")) return [];
        using var scope = NewDisposeScope();
        var (q, k, v) = (Leaf("q"), Leaf("k"), Leaf("v"));
        if (q.dim() != 4 || k.dim() != 4 || v.dim() != 4 || q.numel() == 0 || k.numel() == 0)
            throw new LandmarkException(
                $"{expected.Path}: q, k and v are [{Shape(q)}], [{Shape(k)}] and [{Shape(v)}]; "
                + "expected [B, H, T, d] and twice [B, G, S, d] with something in them.");
        var (queries, keys) = (q.shape[2], k.shape[2]);
        long[] matrix = [q.shape[0], q.shape[1], queries, keys];
        if (expected.Has("weights")) expected.RequireShape("weights", matrix);

        var block = BlockLength(expected, (int)keys);
        using var layout = BlockLayout.Regular((int)keys, (int)queries, block, block);
        var output = LandmarkAttention.Attend(q, k, v, layout);
        List<VerificationCheck> checks = [];
        if (expected.Has("weights"))
        {
            using var quiet = no_grad();
            Compare("weights", layout.Restore(LandmarkAttention.Weights(q, k, layout)), WeightTolerance);
        }
        Compare("out", output, OutputTolerance);
        if (!expected.Has("grad_out")) return checks;

        expected.RequireShape("grad_out", output.shape);
        (output * expected.Numbers("grad_out", ScalarType.Float64)).sum().backward();
        Compare("grad_q", q.grad!, GradientTolerance);
        Compare("grad_k", k.grad!, GradientTolerance);
        Compare("grad_v", v.grad!, GradientTolerance);
        return checks;

        Tensor Leaf(string name) => expected.Numbers(name, ScalarType.Float64).requires_grad_();

        void Compare(string name, Tensor actual, double tolerance)
        {
            if (!expected.Has(name)) return;
            expected.RequireShape(name, actual.shape);
            checks.Add(new(name, VerificationCase.MaxError(expected.Numbers(name, ScalarType.Float64), actual.detach()), tolerance));
        }
    }

    /// <summary>
    /// Positions of a block, from what says it most surely: the columns of <c>weights</c> that are zero are the landmarks; else the
    /// file's metadata <c>block</c>; else its name, as in <c>b1_h2_q16_kv16_d8_block4.safetensors</c>.
    /// </summary>
    private static int BlockLength(VerificationCase expected, int keys)
    {
        bool[]? seen = null;
        if (expected.Has("weights"))
        {
            using var scope = NewDisposeScope();
            seen = [.. expected.Numbers("weights", ScalarType.Float64).abs().amax([0, 1, 2]).ne(0).data<bool>()];
            var first = Array.IndexOf(seen, false) + 1;
            // Were all weights of some token to vanish, its column would be no landmark: all of them must fit.
            if (first > 1 && seen.Select((x, j) => x == ((j + 1) % first != 0)).All(fits => fits)) return first;
        }
        var told = expected.Metadata.GetValueOrDefault("block")
            ?? BlockInName().Match(Path.GetFileNameWithoutExtension(expected.Path)).Groups[1].Value;
        if (int.TryParse(told, out var block)) return block;
        if (seen?.All(x => x) == true) return keys + 1; // every key is seen: none is a landmark
        throw new LandmarkException(
            $"{expected.Path} does not say how many positions a block has; "
            + "name the file …_blockN.safetensors, N with the landmark counted.");
    }

    private static string Shape(Tensor x) => string.Join(", ", x.shape);

    [GeneratedRegex(@"block(\d+)")]
    private static partial Regex BlockInName();
}
