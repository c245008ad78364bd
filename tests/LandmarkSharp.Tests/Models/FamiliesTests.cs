using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>Every family that is read, against plain arithmetic, and written and read again.</summary>
public sealed class FamiliesTests
{
    /// <summary>What a configuration means, as its family's documentation has it.</summary>
    private sealed record Meaning(double[] Frequencies, double ScoreScale = 1, int? Window = null, bool ExactGelu = false);

    private static readonly Dictionary<string, (Func<TinyCheckpoint> Make, Meaning Meaning)> Cases = new()
    {
        ["llama, rope_theta of old, head_dim derived"] = (() => new("llama", "\"rope_theta\": 5000.0"), new(Plain(5000, 6))),
        ["llama, rope_parameters, head_dim given"] = (() => new("llama", """
            "head_dim": 8, "rope_parameters": { "rope_theta": 500000, "rope_type": "default" }
            """, headDim: 8), new(Plain(500000, 8))),
        ["llama, biases everywhere, tied"] = (() => new("llama", """
            "attention_bias": true, "mlp_bias": true
            """, biases: "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj", tied: true), new(Plain(10000, 6))),
        ["llama, llama3 scaling of old"] = (() => new("llama", """
            "rope_theta": 100.0, "head_dim": 12,
            "rope_scaling": { "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64, "rope_type": "llama3" }
            """, headDim: 12), new(Llama3(100, 12, 8, 64))),
        ["llama, llama3 scaling of new"] = (() => new("llama", """
            "rope_parameters": { "rope_theta": 100.0, "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 128, "rope_type": "llama3" }
            """), new(Llama3(100, 6, 2, 128))),
        ["llama, linear scaling, type of old"] = (() => new("llama", """
            "rope_scaling": { "type": "linear", "factor": 4 }
            """), new([.. Plain(10000, 6).Select(f => f / 4)])),
        ["mistral, sliding window"] = (() => new("mistral", "\"sliding_window\": 5"), new(Plain(10000, 6), Window: 5)),
        ["mistral, none"] = (() => new("mistral", "\"sliding_window\": null, \"rope_theta\": 1000000.0"), new(Plain(1e6, 6))),
        ["qwen2, biases, tied"] = (() => new("qwen2", """
            "sliding_window": 3, "use_sliding_window": false, "max_window_layers": 1
            """, biases: "q_proj k_proj v_proj", tied: true), new(Plain(10000, 6))),
        ["qwen2, sliding window, yarn"] = (() => new("qwen2", """
            "sliding_window": 7, "use_sliding_window": true, "max_window_layers": 0, "rope_theta": 50.0,
            "rope_scaling": { "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64 }
            """, biases: "q_proj k_proj v_proj"), new(Yarn(50, 6, 4, 64), Math.Pow((0.1 * Math.Log(4)) + 1, 2), 7)),
        ["qwen3, norms of queries and keys"] = (() => new("qwen3", """
            "head_dim": 10, "layer_types": ["full_attention", "full_attention"], "sliding_window": null, "use_sliding_window": false,
            "max_window_layers": 28, "rope_parameters": { "rope_theta": 1000000.0, "rope_type": "default" }
            """, headDim: 10, norms: true), new(Plain(1e6, 10))),
        ["qwen3, biases, sliding layers"] = (() => new("qwen3", """
            "head_dim": 10, "layer_types": ["sliding_attention", "sliding_attention"], "sliding_window": 4, "use_sliding_window": true, "attention_bias": true
            """, headDim: 10, norms: true, biases: "q_proj k_proj v_proj o_proj"), new(Plain(10000, 10), Window: 4)),
        ["starcoder2, sliding window, what is left out is the family's"] = (() => new("starcoder2", """
            "sliding_window": 5, "rope_theta": 999.5, "norm_type": "layer_norm", "mlp_type": "default", "layer_norm_epsilon": 1e-05, "residual_dropout": 0.1
            """, biases: "q_proj k_proj v_proj o_proj c_fc c_proj", tied: true), new(Plain(999.5, 6), Window: 5)),
        ["starcoder2, exact gelu, no biases on projections"] = (() => new("starcoder2", """
            "use_bias": false, "hidden_act": "gelu", "head_dim": 8, "sliding_window": null
            """, headDim: 8), new(Plain(10000, 8), ExactGelu: true)),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void LogitsArePlainArithmetics(string name)
    {
        using var scope = NewDisposeScope();
        using var folder = Cases[name].Make();
        var meaning = Cases[name].Meaning;
        var tokens = TinyCheckpoint.Tokens(21);
        var expected = tensor(new PlainArithmetic(folder.Numbers, 2, 4, 2, 1e-5, meaning.Frequencies, meaning.ScoreScale, meaning.Window, meaning.ExactGelu)
            .Logits(tokens).SelectMany(row => row).ToArray()).view(21, -1);
        RowByRow.Close(expected, Logits(folder.Path, tokens, ScalarType.Float64, piece: 21), 1e-9);
        RowByRow.Close(expected, Logits(folder.Path, tokens, ScalarType.Float64, piece: 4), 1e-9);
        RowByRow.Close(expected, Logits(folder.Path, tokens, ScalarType.Float32, piece: 21), 1e-4);
        // Not a test of nothing: the logits are far from flat.
        Assert.True(expected.std().item<double>() > 0.5);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void WrittenAndReadAgainItIsTheSame(string name)
    {
        using var scope = NewDisposeScope();
        using var folder = Cases[name].Make();
        var tokens = TinyCheckpoint.Tokens(9);
        var again = Path.Combine(folder.Path, "again");
        using (var decoder = Checkpoint.Load(folder.Path, CPU))
            Checkpoint.Save(decoder, again, ScalarType.Float32);
        RowByRow.Close(Logits(folder.Path, tokens, ScalarType.Float32, 9), Logits(again, tokens, ScalarType.Float32, 9), 0);
        var (before, after) = (ConfigFile.Load(folder.Path), ConfigFile.Load(again));
        Assert.Equal(before with { EosIds = [] }, after with { EosIds = [] });
        Assert.Equal(before.EosIds, after.EosIds);
    }

    private static Tensor Logits(string folder, long[] tokens, ScalarType type, int piece)
    {
        using var noGrad = no_grad();
        using var decoder = Checkpoint.Load(folder, CPU, type);
        using var memory = new PlainMemory(decoder.Config.Layers, decoder.Rotary, decoder.Config.SlidingWindow);
        List<Tensor> logits = [];
        foreach (var part in tokens.Chunk(piece))
        {
            memory.Begin(part.Length);
            logits.Add(decoder.Logits(decoder.Forward(tensor(part).unsqueeze(0), memory))[0]);
            memory.End();
        }
        return cat(logits);
    }

    private static double[] Plain(double theta, int width) =>
        [.. Enumerable.Range(0, width / 2).Select(i => 1 / Math.Pow(theta, 2.0 * i / width))];

    private static double[] Llama3(double theta, int width, double factor, int original) => [.. Plain(theta, width).Select(f =>
    {
        var wavelength = 2 * Math.PI / f;
        if (wavelength < original / 4.0) return f;
        if (wavelength > original) return f / factor;
        var smooth = ((original / wavelength) - 1) / 3;
        return ((1 - smooth) * f / factor) + (smooth * f);
    })];

    private static double[] Yarn(double theta, int width, double factor, int original) => [.. Plain(theta, width).Select((f, i) =>
    {
        double Index(double turns) => width * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
        var (low, high) = (Math.Max(Math.Floor(Index(32)), 0), Math.Min(Math.Ceiling(Index(1)), width - 1));
        var ramp = Math.Clamp((i - low) / (high - low), 0, 1);
        return (f / factor * ramp) + (f * (1 - ramp));
    })];
}
