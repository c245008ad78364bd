using System.Text.Json;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>Weights in and out of folders: types, shards, and what does not fit.</summary>
public sealed class CheckpointTests : IDisposable
{
    private readonly TinyCheckpoint folder = new("llama");
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void ParametersAreWrittenInTheTypeAskedFor(ScalarType type)
    {
        using var decoder = Checkpoint.Load(folder.Path, CPU);
        Checkpoint.Save(decoder, folder.Path, type);
        using (var file = SafeTensorFile.Open(folder.Weights))
        {
            Assert.Equal(folder.Tensors.Keys.Order(), file.Names.Order());
            Assert.All(file.Names, n => Assert.Equal(type, file.Entry(n).Type));
            Assert.Equal("pt", file.Metadata["format"]);
        }
        using var again = Checkpoint.Load(folder.Path, CPU);
        foreach (var (name, tensor) in folder.Tensors)
            RowByRow.Close(tensor.to(type), again.Parameters[name], 0);
    }

    [Fact]
    public void ParametersHaveTheTypeAskedForAndOutliveTheFile()
    {
        using var decoder = Checkpoint.Load(folder.Path, CPU, ScalarType.BFloat16);
        File.Delete(folder.Weights);
        Assert.Equal(ScalarType.BFloat16, decoder.ComputeType);
        Assert.All(decoder.Parameters.Values, p => Assert.Equal(ScalarType.BFloat16, p.dtype));
        RowByRow.Close(folder.Tensors["model.norm.weight"].to(ScalarType.BFloat16), decoder.Parameters["model.norm.weight"], 0);
    }

    [Fact]
    public void ShardsAreReadAsOne()
    {
        SafeTensors.WriteSharded(folder.Path, folder.Tensors.Select(t => (t.Key, t.Value)), 4000);
        Assert.True(Directory.GetFiles(folder.Path, "model-*-of-*.safetensors").Length > 3);
        Assert.False(File.Exists(folder.Weights));
        using var decoder = Checkpoint.Load(folder.Path, CPU);
        foreach (var (name, tensor) in folder.Tensors)
            RowByRow.Close(tensor, decoder.Parameters[name], 0);
    }

    [Fact]
    public void TiedEmbeddingsAreStoredOnce()
    {
        using var tied = new TinyCheckpoint("llama", tied: true);
        using var decoder = Checkpoint.Load(tied.Path, CPU);
        Assert.DoesNotContain("lm_head.weight", decoder.Parameters.Keys);
        var hidden = randn(3, 24);
        RowByRow.Close(hidden.matmul(tied.Tensors["model.embed_tokens.weight"].t()), decoder.Logits(hidden), 1e-5);
        // Some programs write the matrix twice all the same.
        Rewrite(tied, t => t["lm_head.weight"] = t["model.embed_tokens.weight"]);
        using var again = Checkpoint.Load(tied.Path, CPU);
        Assert.Equal(decoder.Parameters.Keys, again.Parameters.Keys);
    }

    [Theory]
    [InlineData("hf_llama")]
    [InlineData("hf_qwen3")]
    public void AModelOfTransformersIsWrittenAsItWroteIt(string golden)
    {
        using var to = new TemporaryFolder();
        using (var decoder = Checkpoint.Load(Golden.Path(golden), CPU)) Checkpoint.Save(decoder, to.Path, ScalarType.Float32);
        using (var theirs = SafeTensorFile.Open(Golden.Path(golden, "model.safetensors")))
        using (var ours = SafeTensorFile.Open(to["model.safetensors"]))
        {
            Assert.Equal(theirs.Names.Order(StringComparer.Ordinal), ours.Names.Order(StringComparer.Ordinal));
            Assert.All(theirs.Names, n => RowByRow.Close(theirs.Get(n), ours.Get(n), 0));
        }
        var (read, again) = (ConfigFile.Load(Golden.Path(golden)), ConfigFile.Load(to.Path));
        Assert.Equal(read with { EosIds = [] }, again with { EosIds = [] });
        Assert.Equal(read.EosIds, again.EosIds);
        // Fields that mean the same under both names, and those that only tell how a model came about, aside.
        string[] others =
        [
            "rope_parameters", "attention_dropout", "dtype", "initializer_range", "pad_token_id", "pretraining_tp", "transformers_version",
            "use_cache", "layer_types", "max_window_layers", "sliding_window", "use_sliding_window",
        ];
        using var before = JsonDocument.Parse(File.ReadAllText(Golden.Path(golden, "config.json")));
        using var after = JsonDocument.Parse(File.ReadAllText(to["config.json"]));
        Assert.All(before.RootElement.EnumerateObject().Where(f => !others.Contains(f.Name)), f =>
            Assert.True(JsonElement.DeepEquals(f.Value, after.RootElement.GetProperty(f.Name)), f.Name));
    }

    [Theory]
    [InlineData("", "null", "null")]
    [InlineData("\"bos_token_id\": 4, \"eos_token_id\": 0", "4", "0")]
    [InlineData("\"eos_token_id\": [7, 9]", "null", "[7,9]")]
    public void MarksOfTextsAreWrittenEvenWhereThereAreNone(string fields, string begin, string end)
    {
        folder.Write("llama", fields);
        ConfigFile.Save(ConfigFile.Load(folder.Path), folder.Path);
        using var json = JsonDocument.Parse(File.ReadAllText(folder.Config));
        Assert.Equal(begin, JsonSerializer.Serialize(json.RootElement.GetProperty("bos_token_id")));
        Assert.Equal(end, JsonSerializer.Serialize(json.RootElement.GetProperty("eos_token_id")));
    }

    [Fact]
    public void RotaryTablesOfOldCheckpointsAreLeftAside()
    {
        Rewrite(folder, t => t["model.layers.0.self_attn.rotary_emb.inv_freq"] = ones(3));
        using var decoder = Checkpoint.Load(folder.Path, CPU);
        Assert.Equal(folder.Tensors.Keys.Order(), decoder.Parameters.Keys.Order());
    }

    [Fact]
    public void MissingMisshapenAndUnusedTensorsAreNamed()
    {
        Says("no tensor 'model.layers.1.mlp.up_proj.weight'", t => t.Remove("model.layers.1.mlp.up_proj.weight"));
        Says("no tensor 'lm_head.weight'", t => t.Remove("lm_head.weight"));
        Says("'model.layers.0.self_attn.k_proj.weight'", t => t["model.layers.0.self_attn.k_proj.weight"] = zeros(24, 24));
        Says("[12, 24]", t => t["model.layers.0.self_attn.k_proj.weight"] = zeros(24, 24));
        Says("1 tensor that the model does not use (model.layers.0.self_attn.q_proj.bias)",
            t => t["model.layers.0.self_attn.q_proj.bias"] = zeros(24));
        Says("that the model does not use (model.layers.0.self_attn.q_norm.weight", t =>
        {
            foreach (var name in (string[])["q_norm", "k_norm"])
                for (var i = 0; i < 2; i++)
                    t[$"model.layers.{i}.self_attn.{name}.weight"] = ones(6);
        });

        void Says(string part, Action<Dictionary<string, Tensor>> change)
        {
            Rewrite(folder, change);
            var message = Assert.Throws<LandmarkException>(() => Checkpoint.Load(folder.Path, CPU)).Message;
            Assert.Contains(part, message);
            Assert.Contains(folder.Path, message);
        }
    }

    [Fact]
    public void AModelMadeAnewFollowsItsSeedAndIsScaledByDepth()
    {
        var config = ConfigFile.Load(folder.Path) with
        {
            Layers = 8,
            HiddenSize = 96,
            HeadDim = 24,
            IntermediateSize = 160,
            FeedForwardBias = true,
        };
        using var first = Checkpoint.Create(config, CPU, ScalarType.Float32, seed: 1);
        using var same = Checkpoint.Create(config, CPU, ScalarType.Float32, seed: 1);
        using var other = Checkpoint.Create(config, CPU, ScalarType.Float32, seed: 2);
        const string up = "model.layers.3.mlp.up_proj.weight", down = "model.layers.3.mlp.down_proj.weight";
        RowByRow.Close(first.Parameters[up], same.Parameters[up], 0);
        Assert.True(RowByRow.MaxError(first.Parameters[up], other.Parameters[up]) > 0.01);
        Assert.Equal(0.02, first.Parameters[up].std().item<float>(), 1e-3);
        Assert.Equal(0.02 / 4, first.Parameters[down].std().item<float>(), 3e-4);
        Assert.Equal(0, first.Parameters["model.layers.3.mlp.up_proj.bias"].abs().sum().item<float>());
        Assert.Equal(1, first.Parameters["model.norm.weight"].min().item<float>());
    }

    [Fact]
    public void ConfigurationsThatDoNotFitAreNamedWhenAModelIsMade()
    {
        var config = ConfigFile.Load(folder.Path);
        Assert.Contains("num_key_value_heads is 3", Assert.Throws<LandmarkException>(
            () => Checkpoint.Create(config with { KeyValueHeads = 3 }, CPU, ScalarType.Float32, 1)).Message);
        Assert.Contains("no sliding window", Assert.Throws<LandmarkException>(
            () => Checkpoint.Create(config with { SlidingWindow = 3 }, CPU, ScalarType.Float32, 1)).Message);
    }

    [Fact]
    public void AFolderWithoutWeightsIsNamed()
    {
        File.Delete(folder.Weights);
        Assert.Contains("model.safetensors", Assert.Throws<LandmarkException>(() => Checkpoint.Load(folder.Path, CPU)).Message);
    }

    private static void Rewrite(TinyCheckpoint folder, Action<Dictionary<string, Tensor>> change)
    {
        var all = new Dictionary<string, Tensor>(folder.Tensors);
        change(all);
        SafeTensors.Write(folder.Weights, all.Select(t => (t.Key, t.Value)));
    }
}
