using System.Text.Json;
using System.Text.Json.Nodes;
using LandmarkSharp.Attention;

namespace LandmarkSharp.Models;

/// <summary>
/// config.json of a Hugging Face folder, read strictly: a field that would change the result and is
/// not supported is named.
/// </summary>
public static class ConfigFile
{
    /// <summary>The file's name.</summary>
    public const string Name = "config.json";

    private const string LandmarkType = "llama_with_landmark";

    private static readonly string[] LandmarkFields =
    [
        "mem_id", "mem_freq", "train_context_length", "include_landmark_in_loss", "landmark_predicts", "context_miss_id", "inference",
    ];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Fields that do not change what the decoder computes.</summary>
    private static readonly HashSet<string> Harmless = new(StringComparer.Ordinal)
    {
        "architectures", "attention_dropout", "auto_map", "chunk_size_feed_forward", "dtype", "id2label", "initializer_range", "label2id",
        "max_sequence_length", "model_type", "name_or_path", "output_attentions", "output_hidden_states", "pad_token_id", "problem_type",
        "resid_pdrop", "embd_pdrop", "return_dict", "tokenizer_class", "torch_dtype", "transformers_version", "use_cache",
        "unsloth_version", "unsloth_fixed", "sep_token_id", "decoder_start_token_id", "task_specific_params", "hidden_dropout",
        "is_decoder", "is_encoder_decoder", "residual_dropout", "embedding_dropout", "layer_norm_epsilon", "scale_attn_weights",
        "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
    };

    /// <summary>Reads a folder's configuration.</summary>
    /// <exception cref="LandmarkException">The file is missing or damaged, or an architecture or a field is not supported.</exception>
    public static ModelConfig Load(string folder)
    {
        var path = Path.Combine(folder, Name);
        if (!File.Exists(path))
            throw new LandmarkException($"{folder} is no model folder: there is no {Name} in it; give a folder in Hugging Face's layout.");
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllText(path));
            return Parse(document.RootElement, path);
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"{path} is not valid JSON ({e.InBrief()}); restore the file.", e);
        }
    }

    /// <summary>Writes a configuration that transformers reads as the plain family, with the landmark's fields added.</summary>
    public static void Save(ModelConfig config, string folder) => Write(Write(config), folder);

    /// <summary>
    /// Writes another model's configuration with what differs in one that was tuned from it: the landmark's fields, the size of the
    /// vocabulary, the type of the weights unless an adapter leaves them as they are, and no sliding window or recurrence. All other
    /// fields stay as they are.
    /// </summary>
    internal static void SaveOver(string baseFolder, ModelConfig config, string folder)
    {
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(baseFolder, Name)))!.AsObject();
        foreach (var (name, value) in Write(config))
            if (name is "vocab_size" or "tokenizer_fingerprint" or "base_fingerprint" || LandmarkFields.Contains(name)) json[name] = value?.DeepClone();
        if (config.Lora is null) json[json.ContainsKey("dtype") ? "dtype" : "torch_dtype"] = "bfloat16";
        if (config.Family is ModelFamily.Mistral or ModelFamily.Starcoder2) json["sliding_window"] = null;
        if (json.ContainsKey("use_sliding_window")) json["use_sliding_window"] = false;
        json.Remove("recurrence");
        if (json["layer_types"] is JsonArray kinds)
            json["layer_types"] = new JsonArray([.. kinds.Select(_ => (JsonNode)"full_attention")]);
        Write(json, folder);
    }

    internal static ModelConfig Parse(JsonElement root, string path)
    {
        var fields = new ConfigFields(root, path);
        var type = fields.Text("model_type") ?? throw new LandmarkException(
            $"{path} has no model_type; llama, mistral, qwen2, qwen3, starcoder2 and llama_with_landmark are supported.");
        var family = type switch
        {
            "llama" or LandmarkType => ModelFamily.Llama,
            "mistral" => ModelFamily.Mistral,
            "qwen2" => ModelFamily.Qwen2,
            "qwen3" => ModelFamily.Qwen3,
            "starcoder2" => ModelFamily.Starcoder2,
            _ => throw new LandmarkException(
                $"{path}: model_type '{type}' is not supported; llama, mistral, qwen2, qwen3, starcoder2 and llama_with_landmark are."),
        };
        var gpt = family == ModelFamily.Starcoder2;
        if (gpt)
        {
            fields.Demand("mlp_type", "default");
            fields.Demand("norm_type", "layer_norm");
        }
        else fields.Demand("hidden_act", "silu");
        fields.Demand("pretraining_tp", "1");
        fields.Demand("partial_rotary_factor", "1", "1.0");
        var heads = fields.Required("num_attention_heads");
        var hidden = fields.Required("hidden_size");
        var layers = fields.Required("num_hidden_layers");
        var bias = gpt ? fields.Flag("use_bias") ?? true : fields.Flag("attention_bias") ?? (family == ModelFamily.Qwen2);
        var maxPositions = fields.Integer("max_position_embeddings") ?? 2048;
        var config = new ModelConfig
        {
            Family = family,
            VocabularySize = fields.Required("vocab_size"),
            HiddenSize = hidden,
            IntermediateSize = fields.Required("intermediate_size"),
            Layers = layers,
            Heads = heads,
            // Left out, these mean a number of each family's own; only Llama's follow from the other fields.
            KeyValueHeads = family == ModelFamily.Llama
                ? fields.Integer("num_key_value_heads") ?? heads
                : fields.Required("num_key_value_heads"),
            HeadDim = family == ModelFamily.Qwen3
                ? fields.Required("head_dim")
                : fields.Integer("head_dim") ?? Quotient(hidden, heads, path),
            NormEpsilon = gpt ? fields.Number("norm_epsilon") ?? 1e-5 : fields.Number("rms_norm_eps") ?? 1e-6,
            NormBias = gpt,
            Activation = gpt ? Gelu(fields) : Activation.Silu,
            MaxPositions = maxPositions,
            Rotary = RopeFields.Read(fields, maxPositions),
            TiedEmbeddings = fields.Flag("tie_word_embeddings") ?? gpt,
            QueryKeyValueBias = bias,
            OutputBias = bias && family != ModelFamily.Qwen2,
            FeedForwardBias = gpt ? bias : fields.Flag("mlp_bias") ?? false,
            QueryKeyNorm = family == ModelFamily.Qwen3,
            SlidingWindow = SlidingWindow(fields, family, layers),
            Recurrence = Recurrence(fields),
            BosId = fields.Integer("bos_token_id"),
            EosIds = fields.Integers("eos_token_id"),
            TokenizerFingerprint = fields.Text("tokenizer_fingerprint"),
            BaseFingerprint = fields.Text("base_fingerprint"),
            Landmark = Landmark(fields, type),
        };
        fields.RefuseOthers(Harmless);
        return config.Checked(path);
    }

    private static Activation Gelu(ConfigFields fields) => fields.Text("hidden_act") switch
    {
        "gelu_pytorch_tanh" or null => Activation.GeluTanh,
        "gelu" => Activation.Gelu,
        var other => throw new LandmarkException(
            $"{fields.Path}: hidden_act is {other}; of a starcoder2 only gelu_pytorch_tanh and gelu are supported."),
    };

    private static int Quotient(int hidden, int heads, string path) => heads > 0 && hidden % heads == 0 ? hidden / heads
        : throw new LandmarkException(
            $"{path}: hidden_size {hidden} is no multiple of num_attention_heads {heads}, and there is no head_dim; give one.");

    /// <summary>The window that all layers slide over, or null where all see everything.</summary>
    private static int? SlidingWindow(ConfigFields fields, ModelFamily family, int layers)
    {
        const int unsaid = 4096, unsaidFullLayers = 28;
        var kinds = fields.Texts("layer_types");
        var (window, fullLayers) = (default(int?), 0);
        if (family is ModelFamily.Qwen2 or ModelFamily.Qwen3)
            fullLayers = fields.Integer("max_window_layers") ?? unsaidFullLayers; // the layers after these slide
        if (family == ModelFamily.Starcoder2) window = fields.Integer("sliding_window");
        else if (family == ModelFamily.Mistral || (family != ModelFamily.Llama && fields.Flag("use_sliding_window") == true))
            window = fields.Has("sliding_window") ? fields.Integer("sliding_window") : unsaid;
        else if (family != ModelFamily.Llama)
            fields.Integer("sliding_window");

        var sliding = Enumerable.Range(0, Math.Max(layers, 0)).Select(i => window is not null && i >= fullLayers).ToArray();
        if (kinds.Length > 0)
        {
            if (kinds.Length != layers || kinds.Any(k => k is not ("full_attention" or "sliding_attention")))
                throw new LandmarkException(
                    $"{fields.Path}: layer_types is {string.Join(", ", kinds)}; "
                    + $"expected full_attention or sliding_attention for each of {layers} layers.");
            var told = kinds.Select(k => k == "sliding_attention").ToArray();
            if (told.Contains(true) && window is null)
                throw new LandmarkException(
                    $"{fields.Path}: layer_types has sliding_attention, but no sliding window is in use; "
                    + "the fields contradict each other.");
            if (family is ModelFamily.Mistral or ModelFamily.Starcoder2 && !told.SequenceEqual(sliding))
                throw new LandmarkException(
                    $"{fields.Path}: layer_types and sliding_window contradict each other; a {family}'s layers all slide, or none does.");
            sliding = told;
        }
        if (sliding.Distinct().Count() > 1)
            throw new LandmarkException(
                $"{fields.Path}: some layers slide over a window and some see everything "
                + "(layer_types, max_window_layers); all must be alike.");
        return sliding.Contains(true) ? window : null;
    }

    private static Recurrence? Recurrence(ConfigFields fields)
    {
        if (fields.Object("recurrence") is not { } told) return null;
        var recurrence = new Recurrence { Window = told.Required("window"), Cache = told.Required("cache") };
        told.RefuseOthers(new HashSet<string>(StringComparer.Ordinal));
        return recurrence;
    }

    private static LandmarkConfig? Landmark(ConfigFields fields, string type)
    {
        var (id, tokens) = (fields.Integer("mem_id"), fields.Integer("mem_freq"));
        if (id is null && tokens is null)
        {
            // The other fields are not asked for, so a plain model that has them is refused.
            return type != LandmarkType ? null
                : throw new LandmarkException($"{fields.Path} has neither mem_id nor mem_freq; a {type} needs both.");
        }
        if (id is null || tokens is null)
            throw new LandmarkException(
                $"{fields.Path} has {(id is null ? "mem_freq but no mem_id" : "mem_id but no mem_freq")}; a landmark model needs both.");
        var context = fields.Integer("train_context_length") ?? 512;
        var predicted = fields.Flag("include_landmark_in_loss") ?? true; // the official code's default
        var inference = fields.Object("inference");
        var topK = inference?.Integer("top_k") ?? 4;
        var length = tokens.Value + 1;
        // Without a word about it, the official default: what is left of the window beside k+1 slots, whole blocks.
        var window = inference?.Integer("chunk_tokens_with_landmarks") ?? Math.Max(1, (context / length) - topK - 1) * length;
        var cutoff = inference?.Number("miss_cutoff") ?? 0;
        inference?.RefuseOthers(new HashSet<string>(StringComparer.Ordinal));
        return new LandmarkConfig
        {
            Id = id.Value,
            BlockTokens = tokens.Value,
            TrainContext = context,
            Loss = predicted ? LandmarkLoss.Predicted
                : fields.Flag("landmark_predicts") ?? false ? LandmarkLoss.Predicting : LandmarkLoss.Ignored,
            MissId = fields.Integer("context_miss_id"),
            MissCutoff = cutoff,
            TopK = topK,
            WindowPositions = window,
        };
    }

    private static void Write(JsonObject json, string folder)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, Name);
        WholeFiles.Write(path, json.ToJsonString(Indented) + "\n");
    }

    internal static JsonObject Write(ModelConfig c)
    {
        var (type, name) = c.Family switch
        {
            ModelFamily.Mistral => ("mistral", "MistralForCausalLM"),
            ModelFamily.Qwen2 => ("qwen2", "Qwen2ForCausalLM"),
            ModelFamily.Qwen3 => ("qwen3", "Qwen3ForCausalLM"),
            ModelFamily.Starcoder2 => ("starcoder2", "Starcoder2ForCausalLM"),
            _ => ("llama", "LlamaForCausalLM"),
        };
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(name),
            ["model_type"] = type,
            ["vocab_size"] = c.VocabularySize,
            ["hidden_size"] = c.HiddenSize,
            ["intermediate_size"] = c.IntermediateSize,
            ["num_hidden_layers"] = c.Layers,
            ["num_attention_heads"] = c.Heads,
            ["num_key_value_heads"] = c.KeyValueHeads,
            ["head_dim"] = c.HeadDim,
            ["hidden_act"] = c.Activation switch { Activation.Silu => "silu", Activation.Gelu => "gelu", _ => "gelu_pytorch_tanh" },
            [c.IsGpt ? "norm_epsilon" : "rms_norm_eps"] = c.NormEpsilon,
            ["max_position_embeddings"] = c.MaxPositions,
            ["tie_word_embeddings"] = c.TiedEmbeddings,
        };
        RopeFields.Write(c.Rotary, json);
        if (c.IsGpt) json["use_bias"] = c.QueryKeyValueBias;
        else if (c.Family != ModelFamily.Qwen2) json["attention_bias"] = c.QueryKeyValueBias;
        if (c.Family == ModelFamily.Llama) json["mlp_bias"] = c.FeedForwardBias;
        if (c.SlidingWindow is { } window) json["sliding_window"] = window;
        else if (c.Family is ModelFamily.Mistral or ModelFamily.Starcoder2) json["sliding_window"] = null;
        if (c is { SlidingWindow: not null, Family: ModelFamily.Qwen2 or ModelFamily.Qwen3 })
            (json["use_sliding_window"], json["max_window_layers"]) = (true, 0);
        if (c.Recurrence is { } r) json["recurrence"] = new JsonObject { ["window"] = r.Window, ["cache"] = r.Cache };
        // Left out, these mean numbers of each family's own, which may be no tokens here.
        json["bos_token_id"] = c.BosId;
        json["eos_token_id"] = c.EosIds switch
        {
            [] => null,
            [var one] => one,
            var several => new JsonArray([.. several.Select(x => (JsonNode)x)]),
        };
        if (c.TokenizerFingerprint is { } fingerprint) json["tokenizer_fingerprint"] = fingerprint;
        if (c.BaseFingerprint is { } weights) json["base_fingerprint"] = weights;
        if (c.Landmark is { } l)
        {
            json["mem_id"] = l.Id;
            json["mem_freq"] = l.BlockTokens;
            json["train_context_length"] = l.TrainContext;
            json["include_landmark_in_loss"] = l.Loss == LandmarkLoss.Predicted;
            if (l.Loss == LandmarkLoss.Predicting) json["landmark_predicts"] = true;
            var inference = new JsonObject { ["top_k"] = l.TopK, ["chunk_tokens_with_landmarks"] = l.WindowPositions };
            if (l.MissId is { } miss) (json["context_miss_id"], inference["miss_cutoff"]) = (miss, l.MissCutoff);
            json["inference"] = inference;
        }
        return json;
    }
}
