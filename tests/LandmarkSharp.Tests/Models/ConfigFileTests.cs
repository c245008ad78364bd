using LandmarkSharp.Attention;
using LandmarkSharp.Models;

namespace LandmarkSharp.Tests.Models;

/// <summary>config.json is read strictly: what would change the result is read, or named in the error.</summary>
public sealed class ConfigFileTests : IDisposable
{
    private const string Shapes = """
        "vocab_size": 50, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4
        """;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void FieldsOfAnOldLlamaAndWhatIsLeftOut()
    {
        var config = Read("llama", """
            "architectures": ["LLaMAForCausalLM"], "bos_token_id": 0, "eos_token_id": 1, "hidden_act": "silu", "initializer_range": 0.02,
            "max_sequence_length": 2048, "pad_token_id": -1, "torch_dtype": "float16", "transformers_version": "4.27.0.dev0", "use_cache": true,
            "_name_or_path": "anything", "rope_scaling": null
            """);
        Assert.Equal(
            (ModelFamily.Llama, 50, 24, 40, 2, 4, 4, 6),
            (config.Family, config.VocabularySize, config.HiddenSize, config.IntermediateSize,
                config.Layers, config.Heads, config.KeyValueHeads, config.HeadDim));
        Assert.Equal(
            (1e-6, false, false, false, false, false),
            (config.NormEpsilon, config.TiedEmbeddings,
                config.QueryKeyValueBias, config.OutputBias, config.FeedForwardBias, config.QueryKeyNorm));
        Assert.Equal(new RotaryScaling(), config.Rotary);
        Assert.Equal(0, config.BosId);
        Assert.Equal([1], config.EosIds);
        Assert.Null(config.SlidingWindow);
        Assert.Null(config.Landmark);
    }

    [Fact]
    public void SeveralTokensMayEndAText() => Assert.Equal([7, 9, 3], Read("llama", "\"eos_token_id\": [7, 9, 3]").EosIds);

    [Theory]
    [InlineData("\"rope_theta\": 250")]
    [InlineData("\"rope_theta\": 250, \"rope_scaling\": { \"rope_type\": \"default\" }")]
    [InlineData("\"rope_parameters\": { \"rope_theta\": 250.0, \"rope_type\": \"default\" }")]
    [InlineData("\"rope_parameters\": { \"rope_theta\": 250.0 }, \"rope_scaling\": null")]
    public void RotaryBaseInEveryForm(string fields) => Assert.Equal(new RotaryScaling(Theta: 250), Read("llama", fields).Rotary);

    [Theory]
    [InlineData("\"rope_scaling\": { \"type\": \"linear\", \"factor\": 2.5 }")]
    [InlineData("\"rope_scaling\": { \"rope_type\": \"linear\", \"type\": \"linear\", \"factor\": 2.5 }")]
    [InlineData("\"rope_parameters\": { \"rope_type\": \"linear\", \"factor\": 2.5, \"rope_theta\": 10000.0 }")]
    public void LinearScalingInEveryForm(string fields) =>
        Assert.Equal(new RotaryScaling(RotaryScalingKind.Linear, 10000, 2.5), Read("llama", fields).Rotary);

    [Fact]
    public void Llama3AndYarnWithAllTheirFields()
    {
        Assert.Equal(
            new RotaryScaling(RotaryScalingKind.Llama3, 500000, 32, 8192, 1.5, 3),
            Read("llama", """
                "rope_theta": 500000, "rope_scaling":
                { "factor": 32.0, "low_freq_factor": 1.5, "high_freq_factor": 3.0, "original_max_position_embeddings": 8192, "rope_type": "llama3" }
                """).Rotary);
        Assert.Equal(
            new RotaryScaling(RotaryScalingKind.Yarn, 10000, 4, 32768, BetaFast: 16, BetaSlow: 2, AttentionFactor: 1.1),
            Read("llama", """
                "rope_parameters": { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "beta_fast": 16, "beta_slow": 2, "attention_factor": 1.1 }
                """).Rotary);
        Assert.Equal(777, Read("llama", "\"max_position_embeddings\": 777, "
            + "\"rope_scaling\": { \"type\": \"yarn\", \"factor\": 2 }").Rotary.OriginalContext);
    }

    [Theory]
    [InlineData("mistral", "\"sliding_window\": 512", 512)]
    [InlineData("mistral", "\"sliding_window\": null", null)]
    [InlineData("mistral", "", 4096)] // what the family means by leaving it out
    [InlineData("mistral", "\"sliding_window\": 512, \"layer_types\": [\"sliding_attention\", \"sliding_attention\"]", 512)]
    [InlineData("qwen2", "", null)]
    [InlineData("qwen2", "\"sliding_window\": 512", null)]
    [InlineData("qwen2", "\"sliding_window\": 512, \"use_sliding_window\": true", null)] // the first 28 layers do not slide
    [InlineData("qwen2", "\"sliding_window\": 512, \"use_sliding_window\": true, \"max_window_layers\": 0", 512)]
    [InlineData("qwen2", "\"sliding_window\": 512, \"use_sliding_window\": true, "
        + "\"layer_types\": [\"sliding_attention\", \"sliding_attention\"]", 512)]
    [InlineData("qwen2", "\"sliding_window\": 512, \"use_sliding_window\": true, \"max_window_layers\": 0, "
        + "\"layer_types\": [\"full_attention\", \"full_attention\"]", null)]
    public void SlidingWindows(string family, string fields, int? window) =>
        Assert.Equal(window, Read(family, Join("\"num_key_value_heads\": 2", fields)).SlidingWindow);

    [Fact]
    public void ATransformerXLsWindowsAreWrittenAndRead()
    {
        var config = Read("llama", "\"recurrence\": { \"window\": 32, \"cache\": 40 }");
        Assert.Equal(new Recurrence { Window = 32, Cache = 40 }, config.Recurrence);
        ConfigFile.Save(config, folder.Path);
        Assert.Equal(config.Recurrence, ConfigFile.Load(folder.Path).Recurrence);
        // What is tuned from it has landmarks in its place.
        var tuned = config with { Recurrence = null, Landmark = new LandmarkConfig { Id = 49, BlockTokens = 7, TrainContext = 64, WindowPositions = 16 } };
        ConfigFile.SaveOver(folder.Path, tuned, folder["tuned"]);
        Assert.Equal((null, tuned.Landmark), (ConfigFile.Load(folder["tuned"]).Recurrence, ConfigFile.Load(folder["tuned"]).Landmark));
        Assert.Null(Read("llama").Recurrence);
    }

    [Fact]
    public void BiasesAndNormsAreTheFamilys()
    {
        var qwen2 = Read("qwen2", "\"num_key_value_heads\": 2");
        Assert.Equal((true, false, false), (qwen2.QueryKeyValueBias, qwen2.OutputBias, qwen2.QueryKeyNorm));
        var qwen3 = Read("qwen3", "\"num_key_value_heads\": 2, \"head_dim\": 16");
        Assert.Equal((false, false, true, 16), (qwen3.QueryKeyValueBias, qwen3.OutputBias, qwen3.QueryKeyNorm, qwen3.HeadDim));
        var starcoder2 = Read("starcoder2", "\"num_key_value_heads\": 2");
        Assert.Equal(
            (true, true, true, true, true, Activation.GeluTanh, 1e-5),
            (starcoder2.QueryKeyValueBias, starcoder2.OutputBias, starcoder2.FeedForwardBias, starcoder2.NormBias, starcoder2.TiedEmbeddings,
                starcoder2.Activation, starcoder2.NormEpsilon));
        var llama = Read("llama", "\"attention_bias\": true, \"mlp_bias\": true");
        Assert.Equal((true, true, true), (llama.QueryKeyValueBias, llama.OutputBias, llama.FeedForwardBias));
    }

    [Fact]
    public void LandmarkFieldsAndTheOfficialDefaults()
    {
        var given = Read("llama_with_landmark", """
            "mem_id": 49, "mem_freq": 15, "train_context_length": 128, "include_landmark_in_loss": false,
            "inference": { "top_k": 3, "chunk_tokens_with_landmarks": 64 }
            """).Landmark!;
        Assert.Equal(new LandmarkConfig
        {
            Id = 49,
            BlockTokens = 15,
            TrainContext = 128,
            Loss = LandmarkLoss.Ignored,
            TopK = 3,
            WindowPositions = 64,
        }, given);
        Assert.Equal(16, given.BlockLength);
        Assert.Equal(given with { Loss = LandmarkLoss.Predicting }, Read("llama_with_landmark", """
            "mem_id": 49, "mem_freq": 15, "train_context_length": 128, "include_landmark_in_loss": false, "landmark_predicts": true,
            "inference": { "top_k": 3, "chunk_tokens_with_landmarks": 64 }
            """).Landmark!);

        // 512 less 512 mod 51, less k + 1 = 5 blocks of 51.
        var official = Read("llama_with_landmark", "\"mem_id\": 49, \"mem_freq\": 50").Landmark!;
        Assert.Equal(new LandmarkConfig
        {
            Id = 49,
            BlockTokens = 50,
            TrainContext = 512,
            Loss = LandmarkLoss.Predicted,
            TopK = 4,
            WindowPositions = 255,
        }, official);
        Assert.Equal(204, Read("llama", "\"mem_id\": 49, \"mem_freq\": 50, \"inference\": { \"top_k\": 5 }").Landmark!.WindowPositions);
        Assert.Null(Read("llama", "\"mem_freq\": null").Landmark);
    }

    [Theory]
    [InlineData("gpt2", "", "model_type 'gpt2' is not supported; llama, mistral, qwen2, qwen3, starcoder2 and llama_with_landmark are")]
    [InlineData("llama_with_landmark", "\"train_context_length\": 128",
        "has neither mem_id nor mem_freq; a llama_with_landmark needs both")]
    [InlineData("llama", "\"train_context_length\": 128", "train_context_length is not supported")]
    [InlineData("llama", "\"include_landmark_in_loss\": true, \"inference\": { \"top_k\": 2 }",
        "include_landmark_in_loss, inference are not supported")]
    [InlineData("llama", "\"recurrence\": { \"window\": 32 }", "has no recurrence.cache")]
    [InlineData("llama", "\"recurrence\": { \"window\": 0, \"cache\": 4 }", "recurrence has a window and a cache of 1 position or more")]
    [InlineData("llama", "\"recurrence\": { \"window\": 8, \"cache\": 4, \"segment\": 9 }", "recurrence.segment is not supported")]
    [InlineData("mistral", "\"num_key_value_heads\": 2, \"sliding_window\": 9, \"recurrence\": { \"window\": 8, \"cache\": 4 }",
        "recurrence excludes landmarks and sliding_window")]
    [InlineData("llama", "\"num_experts\": 8", "num_experts is not supported; remove it if")]
    [InlineData("llama", "\"logit_scale\": 2, \"query_scale\": 1", "logit_scale, query_scale are not supported; remove them if")]
    [InlineData("llama", "\"sliding_window\": 9", "sliding_window is not supported")]
    [InlineData("llama", "\"quantization_config\": {}", "quantization_config is not supported")]
    [InlineData("llama", "\"hidden_act\": \"gelu\"", "hidden_act is gelu; only silu is supported")]
    [InlineData("starcoder2", "\"num_key_value_heads\": 2, \"hidden_act\": \"relu\"",
        "hidden_act is relu; of a starcoder2 only gelu_pytorch_tanh and gelu are supported")]
    [InlineData("starcoder2", "\"num_key_value_heads\": 2, \"norm_type\": \"rms_norm\"", "norm_type is rms_norm; only layer_norm")]
    [InlineData("starcoder2", "\"num_key_value_heads\": 2, \"rms_norm_eps\": 1e-5", "rms_norm_eps is not supported")]
    [InlineData("starcoder2", "", "has no num_key_value_heads")]
    [InlineData("llama", "\"use_bias\": true", "use_bias is not supported")]
    [InlineData("llama", "\"partial_rotary_factor\": 0.5", "partial_rotary_factor is 0.5; only 1 is supported")]
    [InlineData("llama", "\"pretraining_tp\": 2", "pretraining_tp is 2; only 1 is supported")]
    [InlineData("llama", "\"rope_scaling\": { \"type\": \"dynamic\", \"factor\": 2 }",
        "rope type 'dynamic' is not supported; default, linear, llama3 and yarn are")]
    [InlineData("llama", "\"rope_scaling\": { \"type\": \"yarn\", \"factor\": 2, \"mscale\": 1 }", "rope_scaling.mscale is not supported")]
    [InlineData("llama", "\"rope_scaling\": { \"type\": \"linear\" }", "rope type linear needs a positive factor")]
    [InlineData("llama", "\"rope_scaling\": [2]", "rope_scaling is no JSON object")]
    [InlineData("llama", "\"rope_scaling\": { \"type\": \"linear\", \"factor\": 2 }, \"rope_parameters\": { \"rope_theta\": 1 }",
        "has both rope_scaling and rope_parameters")]
    [InlineData("llama", "\"rope_theta\": \"big\"", "rope_theta is \"big\"; expected a number")]
    [InlineData("llama", "\"tie_word_embeddings\": 1", "tie_word_embeddings is 1; expected true or false")]
    [InlineData("llama", "\"head_dim\": 5", "head_dim is 5; rotary positions turn pairs")]
    [InlineData("llama", "\"head_dim\": 5.5", "head_dim is 5.5; expected an integer")]
    [InlineData("llama", "\"num_key_value_heads\": 3", "num_key_value_heads is 3; it must divide num_attention_heads, 4")]
    [InlineData("llama", "\"num_attention_heads\": 5", "hidden_size 24 is no multiple of num_attention_heads 5")]
    [InlineData("llama", "\"num_attention_heads\": 0", "hidden_size 24 is no multiple of num_attention_heads 0")]
    [InlineData("llama", "\"vocab_size\": null", "has no vocab_size")]
    [InlineData("llama", "\"vocab_size\": 0", "every size must be positive")]
    [InlineData("llama", "\"eos_token_id\": [1, \"x\"]", "expected a list of integers")]
    [InlineData("mistral", "", "has no num_key_value_heads")]
    [InlineData("qwen3", "\"num_key_value_heads\": 2", "has no head_dim")]
    [InlineData("mistral", "\"num_key_value_heads\": 2, \"sliding_window\": 0", "sliding_window is 0")]
    [InlineData("mistral", "\"num_key_value_heads\": 2, \"sliding_window\": 9, \"layer_types\": [\"full_attention\", \"full_attention\"]",
        "layer_types and sliding_window contradict each other")]
    [InlineData("qwen2", "\"num_key_value_heads\": 2, \"layer_types\": [\"full_attention\"]", "layer_types is full_attention; expected")]
    [InlineData("qwen2", "\"num_key_value_heads\": 2, \"layer_types\": [\"full_attention\", \"linear_attention\"]",
        "linear_attention; expected full_attention or sliding_attention for each of 2 layers")]
    [InlineData("qwen2", "\"num_key_value_heads\": 2, \"layer_types\": [\"full_attention\", \"sliding_attention\"]",
        "no sliding window is in use")]
    [InlineData("qwen2", "\"num_key_value_heads\": 2, \"use_sliding_window\": true, \"max_window_layers\": 1",
        "some layers slide over a window and some see everything")]
    [InlineData("llama", "\"mem_id\": 49", "has mem_id but no mem_freq")]
    [InlineData("llama", "\"mem_freq\": 49", "has mem_freq but no mem_id")]
    [InlineData("llama", "\"mem_id\": 50, \"mem_freq\": 7", "mem_id is 50, outside the vocabulary of 50")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"context_miss_id\": 9", "context_miss_id is 9; it must be a token of the vocabulary of 50 and not the landmark")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"context_miss_id\": 50", "context_miss_id is 50")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"context_miss_id\": 8, \"inference\": { \"miss_cutoff\": 2 }", "inference.miss_cutoff is 2")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"inference\": { \"miss_cutoff\": 0.1 }", "without context_miss_id there is none")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 0", "mem_freq is 0; a block needs at least one token")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"inference\": { \"top_k\": 0 }", "inference.top_k is 0")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"inference\": { \"chunk_tokens_with_landmarks\": 12 }",
        "chunk_tokens_with_landmarks is 12; it must be a multiple of the block's 8 positions")]
    [InlineData("llama", "\"mem_id\": 9, \"mem_freq\": 7, \"inference\": { \"top_p\": 1 }", "inference.top_p is not supported")]
    [InlineData("mistral", "\"num_key_value_heads\": 2, \"mem_id\": 9, \"mem_freq\": 7", "sliding_window and landmarks exclude each other")]
    public void WhatIsNotSupportedOrWrongIsNamed(string family, string fields, string part)
    {
        var message = Assert.Throws<LandmarkException>(() => Read(family, fields)).Message;
        Assert.Contains(part, message);
        Assert.Contains(folder["config.json"], message);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("{ \"model_type\": ", "is not valid JSON")]
    [InlineData("[]", "no JSON object")]
    [InlineData("{}", "has no model_type")]
    [InlineData("", "is not valid JSON")]
    public void DamagedFilesAreNamed(string text, string part)
    {
        File.WriteAllText(folder["config.json"], text);
        var message = Assert.Throws<LandmarkException>(() => ConfigFile.Load(folder.Path)).Message;
        Assert.Contains(part, message);
        Assert.Contains("config.json", message);
    }

    [Fact]
    public void AFolderWithoutTheFileIsNamed() =>
        Assert.Contains("is no model folder", Assert.Throws<LandmarkException>(() => ConfigFile.Load(folder.Path)).Message);

    [Fact]
    public void ALandmarkModelIsWrittenAsAPlainLlamaThatKeepsItsLandmarks()
    {
        var config = Read("llama_with_landmark", """
            "mem_id": 49, "mem_freq": 15, "train_context_length": 128, "include_landmark_in_loss": false, "eos_token_id": [1, 2], "bos_token_id": 3,
            "tokenizer_fingerprint": "abc", "inference": { "top_k": 3, "chunk_tokens_with_landmarks": 64 }
            """);
        ConfigFile.Save(config, folder.Path);
        Assert.Contains("\"model_type\": \"llama\"", File.ReadAllText(folder["config.json"]));
        Assert.Contains("\"LlamaForCausalLM\"", File.ReadAllText(folder["config.json"]));
        var again = ConfigFile.Load(folder.Path);
        Assert.Equal(config with { EosIds = [] }, again with { EosIds = [] });
        Assert.Equal(config.EosIds, again.EosIds);
        Assert.Equal(["config.json"], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public void RotaryNumbersAreWrittenAsFloats()
    {
        ConfigFile.Save(Read("llama", """
            "rope_theta": 500000, "rope_scaling": { "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4.5, "original_max_position_embeddings": 64, "rope_type": "llama3" }
            """), folder.Path);
        var text = File.ReadAllText(folder["config.json"]);
        foreach (var written in (string[])["\"rope_theta\": 500000.0,", "\"factor\": 8.0,", "\"low_freq_factor\": 1.0,",
            "\"high_freq_factor\": 4.5", "\"original_max_position_embeddings\": 64,"])
            Assert.Contains(written, text);
    }

    [Fact]
    public void AContextMissTokenIsReadAndWritten()
    {
        const string landmark = "\"mem_id\": 48, \"mem_freq\": 15";
        Assert.Null(Read("llama", landmark).Landmark!.Retrieval().MissCutoff);
        var config = Read("llama", landmark + ", \"context_miss_id\": 49, \"inference\": { \"miss_cutoff\": 0.25 }");
        Assert.Equal((49, 0.25, 0.25), (config.Landmark!.MissId, config.Landmark.MissCutoff, config.Landmark.Retrieval(3).MissCutoff));
        Assert.Equal([48, 49], config.Landmark.OwnTokens);
        ConfigFile.Save(config, folder.Path);
        Assert.Equal(config.Landmark, ConfigFile.Load(folder.Path).Landmark);
    }

    private ModelConfig Read(string family, string fields = "")
    {
        // Of a field given twice the later holds.
        File.WriteAllText(folder["config.json"], $$"""{ "model_type": "{{family}}", {{Join(Shapes, fields)}} }""");
        return ConfigFile.Load(folder.Path);
    }

    private static string Join(string a, string b) => b.Length == 0 ? a : $"{a}, {b}";
}
