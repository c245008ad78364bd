using LandmarkSharp.Tests.Models;
using LandmarkSharp.Tests.Text;
using LandmarkSharp.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

/// <summary>A small model of a family with a tokenizer, as one finds them, and token shards for it.</summary>
internal sealed class BaseFolder : IDisposable
{
    /// <summary>Tokens of the tokenizer: bytes, and the end of a text.</summary>
    public const int Tokens = 257;

    private readonly TinyCheckpoint checkpoint;

    /// <summary>Makes them.</summary>
    /// <param name="tiny">Has the text.</param>
    /// <param name="family">model_type.</param>
    /// <param name="padding">Rows of the embeddings that no token has.</param>
    public BaseFolder(TinyRun tiny, string family, int padding = 0)
    {
        var vocabulary = Tokens + padding;
        checkpoint = family switch
        {
            "mistral" => new(family, "\"sliding_window\": 400, \"rope_theta\": 5000.0", vocabulary: vocabulary),
            "qwen2" => new(family, """
                "use_sliding_window": true, "sliding_window": 300, "max_window_layers": 0, "layer_types": ["sliding_attention", "sliding_attention"]
                """, biases: "q_proj k_proj v_proj", tied: true, vocabulary: vocabulary),
            "qwen3" => new(family, "\"head_dim\": 10", headDim: 10, norms: true, vocabulary: vocabulary),
            "starcoder2" => new(
                family, "\"sliding_window\": 200", biases: "q_proj k_proj v_proj o_proj c_fc c_proj", tied: true, vocabulary: vocabulary),
            _ => new(family, "\"initializer_range\": 0.25, \"_note\": \"kept\"", vocabulary: vocabulary),
        };
        File.WriteAllText(System.IO.Path.Combine(Path, "tokenizer.json"), TokenizerBuilder.ByteLevelJson(
            [], added: """[{"id":256,"content":"<end>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}]"""));
        File.WriteAllText(System.IO.Path.Combine(Path, "tokenizer_config.json"), """
            {"eos_token": "<end>", "added_tokens_decoder": {"256": {"content": "<end>", "special": true}}, "model_max_length": 256}
            """);
        Shards = tiny[System.IO.Path.GetFileName(Path) + "-shards"];
        new TokenShardsBuilder(Tokenizer.Load(Path)).Build(Shards, [("train", tiny["train.txt"])], TestContext.Current.CancellationToken);
    }

    /// <summary>The model's folder.</summary>
    public string Path => checkpoint.Path;

    /// <summary>The weights as they were made.</summary>
    public TinyCheckpoint Checkpoint => checkpoint;

    /// <summary>The shards' folder.</summary>
    public string Shards { get; }

    /// <summary>A run that fine-tunes it.</summary>
    public TrainingRun Into(TinyRun tiny, string name) => tiny.Into(name) with { Base = Path, Tokenizer = Path, Shards = Shards };

    /// <summary>Fields of a recipe that says nothing of shapes.</summary>
    public static string Recipe(long steps = 4, string more = "") => $$"""
        {
          "block_tokens": 15, "sources": {"train": 1}, "stages": [{"window": 128, "rows": 2, "task_share": 0}], "steps": {{steps}},
          "warm_up": 2, "peak_rate": 0.003, "compute_type": "float32"{{more}}
        }
        """;

    /// <inheritdoc/>
    public void Dispose() => checkpoint.Dispose();
}
