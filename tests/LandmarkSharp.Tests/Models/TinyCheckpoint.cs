using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>
/// A small random model's folder, made as other programs make one: config.json as text, weights by name. Layers 2, hidden 24,
/// feed-forward 40, heads 4 over 2, vocabulary 50.
/// </summary>
internal sealed class TinyCheckpoint : IDisposable
{
    private const int Hidden = 24, FeedForward = 40, Usual = 50;

    private readonly TemporaryFolder folder = new();
    private readonly int vocabulary;

    /// <summary>Makes the folder.</summary>
    /// <param name="family">model_type.</param>
    /// <param name="fields">More fields of config.json, such as <c>"head_dim": 8</c>.</param>
    /// <param name="headDim">Width of a head.</param>
    /// <param name="norms">With norms of queries and keys.</param>
    /// <param name="biases">Projections that have biases, by their last name.</param>
    /// <param name="tied">Without lm_head.</param>
    /// <param name="vocabulary">Rows of the embeddings.</param>
    public TinyCheckpoint(
        string family, string fields = "", int headDim = 6, bool norms = false, string biases = "", bool tied = false, int vocabulary = Usual)
    {
        this.vocabulary = vocabulary;
        LibTorch.Load();
        Write(family, fields, tied);
        using var scope = NewDisposeScope();
        using var random = new Generator(11, CPU);
        Matrix("model.embed_tokens", vocabulary, Hidden, 1);
        var gpt = family == "starcoder2";
        Norm("model.norm");
        if (!tied) Matrix("lm_head", vocabulary, Hidden, 0.3);
        for (var i = 0; i < 2; i++)
        {
            var name = $"model.layers.{i}.";
            Norm(name + "input_layernorm");
            Norm(name + "post_attention_layernorm");
            Matrix(name + "self_attn.q_proj", 4 * headDim, Hidden, 0.4);
            Matrix(name + "self_attn.k_proj", 2 * headDim, Hidden, 0.4);
            Matrix(name + "self_attn.v_proj", 2 * headDim, Hidden, 0.2);
            Matrix(name + "self_attn.o_proj", Hidden, 4 * headDim, 0.2);
            if (gpt)
            {
                Matrix(name + "mlp.c_fc", FeedForward, Hidden, 0.2);
                Matrix(name + "mlp.c_proj", Hidden, FeedForward, 0.2);
                continue;
            }
            Matrix(name + "mlp.gate_proj", FeedForward, Hidden, 0.2);
            Matrix(name + "mlp.up_proj", FeedForward, Hidden, 0.2);
            Matrix(name + "mlp.down_proj", Hidden, FeedForward, 0.2);
            if (!norms) continue;
            Vector(name + "self_attn.q_norm", headDim);
            Vector(name + "self_attn.k_norm", headDim);
        }
        SafeTensors.Write(Weights, Tensors.Select(t => (t.Key, t.Value)));

        void Matrix(string name, long rows, long columns, double scale)
        {
            Tensors[name + ".weight"] = (randn([rows, columns], generator: random) * scale).DetachFromDisposeScope();
            if (biases.Split(' ').Contains(name.Split('.')[^1]))
                Tensors[name + ".bias"] = (randn([rows], generator: random) * 0.5).DetachFromDisposeScope();
        }

        void Norm(string name)
        {
            Vector(name, Hidden);
            if (gpt) Tensors[name + ".bias"] = (randn([Hidden], generator: random) * 0.3).DetachFromDisposeScope();
        }

        void Vector(string name, long length) =>
            Tensors[name + ".weight"] = (1 + (randn([length], generator: random) * 0.2)).DetachFromDisposeScope();
    }

    public string Path => folder.Path;

    public string Config => folder["config.json"];

    public string Weights => folder["model.safetensors"];

    public Dictionary<string, Tensor> Tensors { get; } = [];

    public IReadOnlyDictionary<string, double[]> Numbers =>
        Tensors.ToDictionary(t => t.Key, t => t.Value.to(ScalarType.Float64).data<double>().ToArray());

    public static long[] Tokens(int count)
    {
        var random = new Random(5);
        return [.. Enumerable.Range(0, count).Select(_ => (long)random.Next(Usual))];
    }

    /// <summary>Writes config.json anew.</summary>
    public void Write(string family, string fields = "", bool tied = false) => File.WriteAllText(Config, $$"""
        {
          "architectures": ["Any"], "model_type": "{{family}}", {{(family == "starcoder2" ? "" : "\"hidden_act\": \"silu\", ")}}"vocab_size": {{vocabulary}}, "hidden_size": {{Hidden}},
          "intermediate_size": {{FeedForward}}, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
          "{{(family == "starcoder2" ? "norm_epsilon" : "rms_norm_eps")}}": 1e-05, "max_position_embeddings": 256, "tie_word_embeddings": {{(tied ? "true" : "false")}}{{(fields.Length > 0 ? ", " : "")}}{{fields}}
        }
        """);

    public void Dispose()
    {
        foreach (var tensor in Tensors.Values) tensor.Dispose();
        folder.Dispose();
    }
}
