using LandmarkSharp.Attention;

namespace LandmarkSharp.Models;

/// <summary>The decoder families that are read; all but the last differ in biases and norms of queries and keys alone.</summary>
public enum ModelFamily
{
    /// <summary>Llama 1 to 3, and landmark models.</summary>
    Llama,

    /// <summary>Mistral: Llama, with a sliding window in some versions.</summary>
    Mistral,

    /// <summary>Qwen 2: biases on queries, keys and values.</summary>
    Qwen2,

    /// <summary>Qwen 3: norms on queries and keys.</summary>
    Qwen3,

    /// <summary>Starcoder 2: a GPT with rotary positions, by LayerNorm and a feed-forward layer without a gate. The paper's own model is one.</summary>
    Starcoder2,
}

/// <summary>The function inside a feed-forward layer.</summary>
public enum Activation
{
    /// <summary>x · σ(x), on the gate of a SwiGLU.</summary>
    Silu,

    /// <summary>x · Φ(x), exactly.</summary>
    Gelu,

    /// <summary>x · Φ(x), with Φ by its approximation in tanh.</summary>
    GeluTanh,
}

/// <summary>Shapes and constants of a decoder, as config.json of a Hugging Face folder gives them.</summary>
public sealed record ModelConfig
{
    /// <summary>Which family.</summary>
    public ModelFamily Family { get; init; } = ModelFamily.Llama;

    /// <summary>Rows of the embedding, the landmark's counted.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream, D.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Query heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Key-value heads, G; divides H.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head, d.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Added under the root of norms.</summary>
    public double NormEpsilon { get; init; } = 1e-5;

    /// <summary>Biases on LayerNorms; RMS norms have none.</summary>
    public bool NormBias { get; init; }

    /// <summary>The function inside the feed-forward layer.</summary>
    public Activation Activation { get; init; }

    /// <summary>Positions the model says it can take.</summary>
    public int MaxPositions { get; init; } = 2048;

    /// <summary>Rotary base and scaling.</summary>
    public RotaryScaling Rotary { get; init; } = new();

    /// <summary>Input and output embeddings are one matrix.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Biases on the query, key and value projections.</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Bias on the attention's output projection.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Biases in the feed-forward layer.</summary>
    public bool FeedForwardBias { get; init; }

    /// <summary>RMS norms on each head's queries and keys.</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>Keys a query sees, itself counted; null for all.</summary>
    public int? SlidingWindow { get; init; }

    /// <summary>The windows that a Transformer-XL reads by; null for other models.</summary>
    public Recurrence? Recurrence { get; init; }

    /// <summary>Token that begins a text.</summary>
    public int? BosId { get; init; }

    /// <summary>Tokens that end one.</summary>
    public IReadOnlyList<int> EosIds { get; init; } = [];

    /// <summary>Fingerprint of the tokenizer that the model was trained with; null where it is not recorded.</summary>
    public string? TokenizerFingerprint { get; init; }

    /// <summary>Of an adapter: which weights it was trained beside, <see cref="Tensors.Weights.Fingerprint"/>; null if nobody said.</summary>
    public string? BaseFingerprint { get; init; }

    /// <summary>The landmark side; null for a plain model.</summary>
    public LandmarkConfig? Landmark { get; init; }

    /// <summary>What is learned beside frozen weights; null for a model of its own. No field of config.json.</summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>Whether norms are LayerNorms and the feed-forward layer has no gate; else they are RMS norms and SwiGLU.</summary>
    internal bool IsGpt => Family == ModelFamily.Starcoder2;

    /// <summary>Throws when shapes do not fit together.</summary>
    internal ModelConfig Checked(string where)
    {
        void Require(bool holds, string what)
        {
            if (!holds) throw new LandmarkException($"{where}: {what}.");
        }
        Require(VocabularySize > 0 && HiddenSize > 0 && IntermediateSize > 0 && Layers > 0 && Heads > 0 && HeadDim > 0,
            "every size must be positive");
        Require(KeyValueHeads > 0 && Heads % KeyValueHeads == 0,
            $"num_key_value_heads is {KeyValueHeads}; it must divide num_attention_heads, {Heads}");
        Require(HeadDim % 2 == 0, $"head_dim is {HeadDim}; rotary positions turn pairs, so it must be even");
        Require(SlidingWindow is null or > 0, $"sliding_window is {SlidingWindow}; a query sees itself at least");
        Require(SlidingWindow is null || Family != ModelFamily.Llama, "a Llama has no sliding window");
        Require(Recurrence is null or { Window: > 0, Cache: > 0 }, "recurrence has a window and a cache of 1 position or more");
        Require(Recurrence is null || (Landmark is null && SlidingWindow is null), "recurrence excludes landmarks and sliding_window");
        Require(IsGpt == (Activation != Activation.Silu), $"a {Family} has no {Activation} inside its feed-forward layer");
        Require(IsGpt || !NormBias, $"a {Family} has no biases on its norms");
        Require(
            !IsGpt || (QueryKeyValueBias == OutputBias && OutputBias == FeedForwardBias), "a Starcoder2 has biases on all projections or on none");
        var matrices = LoraOptions.MatricesOf(this);
        Require(Lora?.Targets?.All(matrices.Contains) != false, $"lora's targets must be matrices of a {Family}, {string.Join(", ", matrices)}");
        if (Landmark is { } l)
        {
            Require(l.BlockTokens >= 1, $"mem_freq is {l.BlockTokens}; a block needs at least one token");
            Require(l.Id >= 0 && l.Id < VocabularySize, $"mem_id is {l.Id}, outside the vocabulary of {VocabularySize}");
            Require(l.MissId is null || (l.MissId >= 0 && l.MissId < VocabularySize && l.MissId != l.Id),
                $"context_miss_id is {l.MissId}; it must be a token of the vocabulary of {VocabularySize} and not the landmark, {l.Id}");
            Require(l.MissCutoff is >= 0 and <= 1 && (l.MissId is not null || l.MissCutoff == 0),
                $"inference.miss_cutoff is {l.MissCutoff}; it is from 0 to 1, and without context_miss_id there is none");
            Require(l.TopK >= 1, $"inference.top_k is {l.TopK}; at least one block is read");
            Require(l.WindowPositions >= l.BlockLength && l.WindowPositions % l.BlockLength == 0,
                $"inference.chunk_tokens_with_landmarks is {l.WindowPositions}; "
                + $"it must be a multiple of the block's {l.BlockLength} positions");
            Require(SlidingWindow is null, "sliding_window and landmarks exclude each other");
        }
        return this;
    }
}
