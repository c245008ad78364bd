using System.Text.Json;
using System.Text.Json.Nodes;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>Adapters as PEFT writes them, which has no config.json beside them, merge into what they mean, or are refused by name.</summary>
public sealed class PeftAdapterTests : IDisposable
{
    /// <summary>What PEFT 0.19.1 writes of a LoraConfig.</summary>
    private const string Config = """
        {
          "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null, "base_model_name_or_path": "base",
          "bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null, "exclude_modules": null,
          "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "layer_replication": null, "layers_pattern": null,
          "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 6, "lora_bias": false, "lora_dropout": 0.05, "lora_ga_config": null,
          "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null, "peft_type": "LORA", "peft_version": "0.19.1",
          "qalora_group_size": 16, "r": 4, "rank_pattern": {}, "revision": null, "target_modules": ["down_proj", "q_proj"],
          "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null, "use_bdlora": null, "use_dora": false,
          "use_qalora": false, "use_rslora": false
        }
        """;

    private const string Query = "model.layers.0.self_attn.q_proj", Down = "model.layers.1.mlp.down_proj";

    private readonly TinyRun tiny = new();
    private readonly BaseFolder bases;
    private readonly Dictionary<string, Tensor> adapter = [];
    private readonly DisposeScope scope;

    public PeftAdapterTests()
    {
        bases = new BaseFolder(tiny, "llama");
        scope = NewDisposeScope();
        adapter[Query + ".lora_A"] = randn(4, 24).bfloat16();
        adapter[Query + ".lora_B"] = randn(24, 4).bfloat16();
        adapter[Down + ".lora_A"] = randn(4, 40);
        adapter[Down + ".lora_B"] = randn(24, 4);
    }

    public void Dispose()
    {
        scope.Dispose();
        bases.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData("""["down_proj", "q_proj"]""")]
    [InlineData("""["layers.0.self_attn.q_proj", "layers.1.mlp.down_proj"]""")]
    [InlineData("\".*(q|down)_proj$\"")]
    public void MatricesGetTheirProductsAndAllElseIsTheBases(string targets)
    {
        Write(c => c["target_modules"] = JsonNode.Parse(targets));
        var merged = Merged();
        foreach (var (name, tensor) in bases.Checkpoint.Tensors)
        {
            var module = name.Replace(".weight", "", StringComparison.Ordinal);
            var expected = tensor.to(ScalarType.Float64);
            if (adapter.TryGetValue(module + ".lora_B", out var b))
                expected += 6.0 / 4 * b.to(ScalarType.Float64).matmul(adapter[module + ".lora_A"].to(ScalarType.Float64));
            RowByRow.Close(expected, merged[name].to(ScalarType.Float64), 1e-5);
        }
        Assert.Equal(File.ReadAllText(bases.Checkpoint.Config), File.ReadAllText(tiny["merged/config.json"]));
        Assert.False(File.Exists(tiny["merged/adapter_config.json"]));
        using var engine = LandmarkEngine.Load(tiny["merged"]);
        Assert.Equal(BaseFolder.Tokens, engine.Tokenizer.VocabularySize);
    }

    [Fact]
    public void RowsOfTokensTakeTheirPlacesWhateverTheirOrder()
    {
        Write(c => c["trainable_token_indices"] = JsonNode.Parse("""{"embed_tokens": [200, 7, 31], "lm_head": [5]}"""));
        Add("model.embed_tokens", 3);
        Add("lm_head", 1);
        var merged = Merged();
        Rows("model.embed_tokens", 200, 7, 31);
        Rows("lm_head", 5);

        // A list means the input's embedding.
        Write(c => c["trainable_token_indices"] = JsonNode.Parse("[2, 1]"));
        adapter.Remove("lm_head.token_adapter");
        Add("model.embed_tokens", 2);
        merged = Merged();
        Rows("model.embed_tokens", 2, 1);
        Rows("lm_head");

        void Add(string name, int rows) => adapter[name + ".token_adapter"] = randn(rows, 24);

        void Rows(string name, params long[] ids)
        {
            var expected = bases.Checkpoint.Tensors[name + ".weight"].clone();
            for (var i = 0; i < ids.Length; i++) expected[ids[i]] = adapter[name + ".token_adapter"][i];
            RowByRow.Close(expected, merged[name + ".weight"], 0);
        }
    }

    [Fact]
    public void AMergedLandmarkModelTakesAnotherAdapter()
    {
        using (var trainer = new Trainer(FineTuneTests.Recipe(bases, 1, """, "lora": {"rank": 2}"""), bases.Into(tiny, "run")))
        {
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
            LoraMerge.Write(bases.Path, trainer.Finished, tiny["landmark"]);
        }
        Write(_ => { });
        Save();
        LoraMerge.Write(tiny["landmark"], tiny["peft"], tiny["merged"]);
        using var engine = LandmarkEngine.Load(tiny["merged"]);
        Assert.Equal(BaseFolder.Tokens, engine.Config.Landmark!.Id);
        Assert.Equal(BaseFolder.Tokens, engine.Tokenizer.Find("<landmark>"));
    }

    [Theory]
    [InlineData("use_rslora", "true", "use_rslora is True; only False is supported")]
    [InlineData("init_lora_weights", "\"pissa_niter_16\"", "init_lora_weights is pissa_niter_16; only True is supported")]
    [InlineData("modules_to_save", "[\"lm_head\"]", "modules_to_save is [\"lm_head\"]; only [] is supported")]
    [InlineData("rank_pattern", "{\"q_proj\": 8}", "rank_pattern is {\"q_proj\":8}; only {} is supported")]
    [InlineData("layer_replication", "[[0, 1], [0, 2]]", "layer_replication is not supported")]
    [InlineData("use_something_new", "1", "use_something_new is not supported")]
    [InlineData("r", "0", "r is 0 and lora_alpha 6")]
    [InlineData("r", "3", "the model needs [3, 24]")]
    public void WhatItsConfigurationMeansOtherwiseIsNamed(string field, string value, string part)
    {
        Write(c => c[field] = JsonNode.Parse(value));
        Refused(part);
    }

    [Theory]
    [InlineData("[257]", "has 257 rows and would have 258 with those of the adapter")]
    [InlineData("[258]", "has 257 rows and would have 258 with those of the adapter")]
    public void RowsThatTheModelHasNotAreNamed(string tokens, string part)
    {
        Write(c => c["trainable_token_indices"] = JsonNode.Parse(tokens));
        adapter["model.embed_tokens.token_adapter"] = randn(1, 24);
        Refused(part);
    }

    [Theory]
    [InlineData("model.embed_tokens.lora_embedding_A", "has a tensor 'base_model.model.model.embed_tokens.lora_embedding_A' that the model has no place for")]
    [InlineData("lm_head.weight", "has a tensor 'base_model.model.lm_head.weight'")]
    [InlineData("model.layers.7.self_attn.q_proj.lora_A.weight", "has a tensor 'base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight'")]
    public void TensorsOfOtherKindsAreNamed(string name, string part)
    {
        Write(_ => { });
        adapter[name] = randn(257, 24);
        Refused(part);
    }

    private void Write(Action<JsonObject> change)
    {
        var json = JsonNode.Parse(Config)!.AsObject();
        change(json);
        Directory.CreateDirectory(tiny["peft"]);
        File.WriteAllText(tiny["peft/adapter_config.json"], json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    }

    private void Save() => SafeTensors.Write(tiny["peft/adapter_model.safetensors"], adapter.Select(t => (
        $"base_model.model.{t.Key}" + Path.GetExtension(t.Key) switch
        {
            ".token_adapter" => ".trainable_tokens_delta",
            ".lora_A" or ".lora_B" => ".weight",
            _ => "",
        }, t.Value)));

    private Dictionary<string, Tensor> Merged()
    {
        if (Directory.Exists(tiny["merged"])) Directory.Delete(tiny["merged"], recursive: true);
        Save();
        LoraMerge.Write(bases.Path, tiny["peft"], tiny["merged"]);
        using var file = SafeTensorFile.Open(tiny["merged/model.safetensors"]);
        return file.Names.ToDictionary(n => n, n => file.Get(n));
    }

    private void Refused(string part)
    {
        Save();
        Assert.Contains(
            part, Assert.Throws<LandmarkException>(() => LoraMerge.Write(bases.Path, tiny["peft"], tiny["merged"])).Message,
            StringComparison.Ordinal);
        Assert.False(Directory.Exists(tiny["merged"]));
    }
}
