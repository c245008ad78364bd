using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>
/// The grouped softmax written row by row in plain C# from landmark-attention.md 1.3 and 1.4, and what tests need around
/// it: nothing here is shared with the library.
/// </summary>
internal static class RowByRow
{
    /// <summary>One row of the attention matrix.</summary>
    /// <param name="scores">[S]: the query's score of every key.</param>
    /// <param name="query">The query's position.</param>
    /// <param name="landmark">[S].</param>
    /// <param name="visible">[S]: false at padding; all when null.</param>
    public static double[] Weights(double[] scores, int query, bool[] landmark, bool[]? visible = null)
    {
        var weights = new double[scores.Length];
        var blocks = new List<(List<int> Tokens, int Landmark)> { ([], -1) };
        for (var j = 0; j <= query; j++)
        {
            if (!landmark[j]) { if (visible?[j] != false) blocks[^1].Tokens.Add(j); }
            else if (j < query) { blocks[^1] = (blocks[^1].Tokens, j); blocks.Add(([], -1)); }
        }
        var own = blocks[^1].Tokens;
        var past = blocks.Take(blocks.Count - 1).Where(b => b.Tokens.Count > 0 && visible?[b.Landmark] != false).ToList();
        var gate = own.Concat(past.Select(b => b.Landmark)).ToList();
        if (gate.Count == 0) return weights;
        var p = Softmax(scores, gate);
        foreach (var j in own) weights[j] = p[j];
        foreach (var (tokens, mark) in past)
        {
            foreach (var (j, a) in Softmax(scores, tokens)) weights[j] = p[mark] * a;
        }
        return weights;
    }

    /// <summary>The attention matrix of every head of a batch, float64.</summary>
    /// <param name="q">[B, H, T, d].</param>
    /// <param name="k">[B, G, S, d].</param>
    /// <param name="landmark">A row of S for each of the batch, or one for all.</param>
    /// <param name="visible">As <paramref name="landmark"/>; all when null.</param>
    /// <param name="scale">What scores are multiplied by.</param>
    /// <returns>[B, H, T, S].</returns>
    public static Tensor Weights(Tensor q, Tensor k, bool[][] landmark, bool[][]? visible, double scale)
    {
        using var scope = NewDisposeScope();
        var (b, h, t, s) = (q.shape[0], q.shape[1], q.shape[2], k.shape[2]);
        var repeated = k.repeat_interleave(h / k.shape[1], 1);
        var scores = q.matmul(repeated.transpose(2, 3)).to(ScalarType.Float64).mul(scale).data<double>().ToArray();
        var weights = new double[scores.Length];
        var rows = scores.Chunk((int)s).Select((row, n) =>
        {
            var at = (int)(n / (h * t));
            return Weights(row, (int)(s - t + (n % t)), landmark[at % landmark.Length], visible?[at % visible.Length]);
        });
        var all = rows.SelectMany(r => r).ToArray();
        all.CopyTo(weights, 0);
        return tensor(weights).view(b, h, t, s).MoveToOuterDisposeScope();
    }

    /// <summary>Landmarks at every position j with (j − first + 1) mod block = 0, from the first block's length on.</summary>
    public static bool[] Regular(int keys, int block, int firstBlock) =>
        [.. Enumerable.Range(0, keys).Select(j => j >= firstBlock - 1 && (j - firstBlock + 1) % block == 0)];

    public static double MaxError(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        using var scope = NewDisposeScope();
        return expected.numel() == 0 ? 0 : (expected.to(ScalarType.Float64) - actual.to(ScalarType.Float64)).abs().max().item<double>();
    }

    public static void Close(Tensor expected, Tensor actual, double tolerance) =>
        Assert.InRange(MaxError(expected, actual), 0, tolerance); // NaN is in no range

    public static Tensor Bools(params bool[][] rows) =>
        tensor([.. rows.SelectMany(r => r)]).view(rows.Length, rows[0].Length);

    private static Dictionary<int, double> Softmax(double[] scores, List<int> over)
    {
        var max = over.Max(j => scores[j]);
        var sum = over.Sum(j => Math.Exp(scores[j] - max));
        return over.ToDictionary(j => j, j => Math.Exp(scores[j] - max) / sum);
    }
}
