namespace LandmarkSharp.Tests.Models;

/// <summary>
/// A decoder in plain C# and float64, one position and one head at a time: what the families compute, written down without
/// tensors, configuration classes or anything else of the library. Biases, norms and tying follow from which weights there are.
/// </summary>
/// <param name="Weights">By name in Hugging Face's layout, row-major.</param>
/// <param name="Layers">Layers.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="Groups">Key-value heads.</param>
/// <param name="Epsilon">Of the norms.</param>
/// <param name="Frequencies">Angles per position; their number is half a head's width.</param>
/// <param name="ScoreScale">What scores are multiplied by beside 1/√d.</param>
/// <param name="Window">Keys a query sees, itself counted; null for all.</param>
/// <param name="ExactGelu">Of a feed-forward layer without a gate, whether its GELU is exact or the approximation in tanh.</param>
internal sealed record PlainArithmetic(
    IReadOnlyDictionary<string, double[]> Weights, int Layers, int Heads, int Groups, double Epsilon,
    double[] Frequencies, double ScoreScale, int? Window, bool ExactGelu)
{
    private int Width => 2 * Frequencies.Length;

    public double[][] Logits(long[] tokens)
    {
        var hidden = Weights["model.norm.weight"].Length;
        var x = tokens.Select(t => Weights["model.embed_tokens.weight"].AsSpan((int)t * hidden, hidden).ToArray()).ToArray();
        for (var i = 0; i < Layers; i++)
        {
            var name = $"model.layers.{i}.";
            var read = Attention(name + "self_attn.", [.. x.Select(row => Norm(row, name + "input_layernorm"))]);
            x = [.. x.Zip(read, Sum)];
            x = [.. x.Select(row => Sum(row, FeedForward(name + "mlp.", Norm(row, name + "post_attention_layernorm"))))];
        }
        var head = Weights.ContainsKey("lm_head.weight") ? "lm_head" : "model.embed_tokens";
        return [.. x.Select(row => Linear(Norm(row, "model.norm"), head))];
    }

    private double[][] Attention(string name, double[][] x)
    {
        var q = x.Select((row, p) => Rotated(name + "q", row, p, Heads)).ToArray();         // [position][head][d]
        var k = x.Select((row, p) => Rotated(name + "k", row, p, Groups)).ToArray();
        var v = x.Select(row => Linear(row, name + "v_proj").Chunk(Width).ToArray()).ToArray();
        return [.. x.Select((_, p) => Linear([.. Enumerable.Range(0, Heads).SelectMany(h => One(p, h))], name + "o_proj"))];

        double[] One(int p, int h)
        {
            var (g, first) = (h / (Heads / Groups), Window is { } w ? Math.Max(0, p - w + 1) : 0);
            var scores = Enumerable.Range(first, p + 1 - first)
                .Select(j => q[p][h].Zip(k[j][g], (a, b) => a * b).Sum() * ScoreScale / Math.Sqrt(Width)).ToArray();
            var weights = scores.Select(s => Math.Exp(s - scores.Max())).ToArray();
            return [.. Enumerable.Range(0, Width).Select(c => weights.Select((a, n) => a * v[first + n][g][c]).Sum() / weights.Sum())];
        }
    }

    private double[][] Rotated(string name, double[] row, int position, int heads) =>
        [.. Linear(row, name + "_proj").Chunk(Width).Select(head =>
        {
            if (Weights.ContainsKey(name + "_norm.weight")) head = Norm(head, name + "_norm");
            var turned = new double[Width];
            for (var i = 0; i < Width / 2; i++)
            {
                var (cos, sin) = (Math.Cos(position * Frequencies[i]), Math.Sin(position * Frequencies[i]));
                turned[i] = (head[i] * cos) - (head[i + (Width / 2)] * sin);
                turned[i + (Width / 2)] = (head[i + (Width / 2)] * cos) + (head[i] * sin);
            }
            return turned;
        }).Take(heads)];

    private double[] FeedForward(string name, double[] x) => Weights.ContainsKey(name + "c_fc.weight")
        ? Linear([.. Linear(x, name + "c_fc").Select(a => a * (ExactGelu ? Phi(a) : PhiByTanh(a)))], name + "c_proj")
        : Linear(
            [.. Linear(x, name + "gate_proj").Zip(Linear(x, name + "up_proj"), (g, u) => g / (1 + Math.Exp(-g)) * u)], name + "down_proj");

    private double[] Linear(double[] x, string name)
    {
        var weight = Weights[name + ".weight"];
        var bias = Weights.GetValueOrDefault(name + ".bias");
        var y = new double[weight.Length / x.Length];
        for (var i = 0; i < y.Length; i++)
        {
            y[i] = bias?[i] ?? 0;
            for (var j = 0; j < x.Length; j++) y[i] += weight[(i * x.Length) + j] * x[j];
        }
        return y;
    }

    private double[] Norm(double[] x, string name)
    {
        if (Weights.TryGetValue(name + ".bias", out var bias))
        {
            var centred = x.Select(a => a - x.Average()).ToArray();
            var deviation = Math.Sqrt(centred.Select(a => a * a).Average() + Epsilon);
            return [.. centred.Select((a, i) => (a / deviation * Weights[name + ".weight"][i]) + bias[i])];
        }
        var scale = 1 / Math.Sqrt(x.Select(a => a * a).Average() + Epsilon);
        return [.. x.Zip(Weights[name + ".weight"], (a, w) => a * scale * w)];
    }

    /// <summary>½ + e^(−x²/2)/√2π · (x + x³/3 + x⁵/(3·5) + …).</summary>
    private static double Phi(double x)
    {
        var (sum, term) = (0.0, x);
        for (var n = 1; n < 400; n++) (sum, term) = (sum + term, term * x * x / ((2 * n) + 1));
        return 0.5 + (Math.Exp(-x * x / 2) / Math.Sqrt(2 * Math.PI) * sum);
    }

    private static double PhiByTanh(double x) => 0.5 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))));

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];
}
