using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Cli;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>A made-up pair in the layout of the official release: the tuned model has two embedding rows more.</summary>
public sealed class WeightDifferenceTests : IDisposable
{
    private static readonly string[] Embeddings = ["model.embed_tokens.weight", "lm_head.weight"];

    private readonly TinyCheckpoint bases = new("llama");
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
        bases.Dispose();
    }

    [Fact]
    public void ATunedModelComesBackToTheBit()
    {
        var tuned = Tuned(near: true);
        var made = WeightDifference.Make(bases.Path, folder["tuned"], folder["diff"]);
        Assert.Equal((tuned.Count, 2, 0.0), (made.Tensors, made.AddedRows, made.LargestError!.Value));
        using (var difference = Weights.Open(folder["diff"]))
        {
            foreach (var (name, tensor) in tuned)
            {
                // Rows that the base lacks are told from the mean of its rows, with which the official training begins.
                var old = bases.Tensors[name];
                if (Embeddings.Contains(name)) old = cat([old, old.mean([0], keepdim: true).expand(2, -1)]);
                RowByRow.Close(tensor - old, difference.Get(name, tensor.shape), 0);
            }
        }
        var back = WeightDifference.Recover(bases.Path, folder["diff"], folder["back"]);
        Equal(tuned, folder["back"], 0);
        Assert.Equal((made.Sum, made.Sum), (back.ExpectedSum!.Value, back.Sum));
        var frequencies = 2 * (1 + Math.Pow(10000, -1.0 / 3) + Math.Pow(10000, -2.0 / 3));
        Assert.Equal(frequencies + tuned.Values.Sum(t => t.sum(ScalarType.Float64).item<double>()), back.Sum, 1e-9);
        Assert.Equal(49, ConfigFile.Load(folder["back"]).Landmark!.BlockTokens);
        Assert.Equal("tokens", File.ReadAllText(Path.Combine(folder["back"], "tokenizer.model")));
        Assert.False(File.Exists(Path.Combine(folder["back"], WeightDifference.SumFile)));
    }

    [Fact]
    public void WeightsFarFromTheBaseComeBackToRounding()
    {
        var tuned = Tuned(near: false);
        var made = WeightDifference.Make(bases.Path, folder["tuned"], folder["diff"]);
        WeightDifference.Recover(bases.Path, folder["diff"], folder["back"]);
        Equal(tuned, folder["back"], made.LargestError!.Value);
        Assert.InRange(made.LargestError!.Value, 1e-12, 1e-6);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void SixteenBitsComeBackInTheirOwnType(ScalarType type)
    {
        SafeTensors.Write(bases.Weights, bases.Tensors.Select(t => (t.Key, t.Value.to(type))).ToArray());
        var tuned = Tuned(near: false, type);
        WeightDifference.Make(bases.Path, folder["tuned"], folder["diff"]);
        // What a killed call left is no hindrance.
        Directory.CreateDirectory(folder["back.partial"]);
        File.WriteAllText(Path.Combine(folder["back.partial"], "model.safetensors"), "half");
        WeightDifference.Recover(bases.Path, folder["diff"], folder["back"], type);
        Assert.False(Directory.Exists(folder["back.partial"]));
        Assert.Contains($"dtype\": \"{type.ToString().ToLowerInvariant()}\"", File.ReadAllText(Path.Combine(folder["back"], "config.json")), StringComparison.Ordinal);
        Equal(tuned, folder["back"], type == ScalarType.Float16 ? 0 : 1e-7);
        using var weights = Weights.Open(folder["back"]);
        Assert.All(weights.Names, n => Assert.Equal(type, weights.Entry(n).Type));
    }

    [Fact]
    public void ShardsAndRotaryTablesOfOldFilesAreRead()
    {
        var tuned = Tuned(near: true);
        SafeTensors.WriteSharded(
            folder["tuned"], tuned.Append(new("model.layers.0.self_attn.rotary_emb.inv_freq", ones(3))).Select(t => (t.Key, t.Value)), 4000);
        SafeTensors.WriteSharded(bases.Path, bases.Tensors.Select(t => (t.Key, t.Value)), 4000);
        WeightDifference.Make(bases.Path, folder["tuned"], folder["diff"]);
        WeightDifference.Recover(bases.Path, folder["diff"], folder["back"]);
        Equal(tuned, folder["back"], 0);
        Assert.False(File.Exists(Path.Combine(folder["back"], SafeTensors.IndexFile)));
    }

    [Fact]
    public void WhatDoesNotBelongTogetherIsNamedAndNothingIsLeft()
    {
        var tuned = Tuned(near: true);
        WeightDifference.Make(bases.Path, folder["tuned"], folder["diff"]);
        Says("sum to", () => WeightDifference.Recover(bases.Path, folder["diff"], folder["new"], expectedSum: 49798.7656));
        Says("are files in", () => WeightDifference.Recover(bases.Path, folder["diff"], folder["tuned"]), isNew: false);
        File.WriteAllText(Path.Combine(folder["diff"], WeightDifference.SumFile), "many");
        Says("holds no number", () => WeightDifference.Recover(bases.Path, folder["diff"], folder["new"]));
        Spoilt("has the shape [24, 24]", t => t["model.layers.0.self_attn.q_proj.weight"] = zeros(24, 30));
        Spoilt("has the shape [50, 24]", t => t["lm_head.weight"] = zeros(49, 24));
        Spoilt("have no tensor 'model.layers.2", t => t["model.layers.2.self_attn.q_proj.weight"] = zeros(24, 24));
        Spoilt("lacks, such as model.norm.weight", t => t.Remove("model.norm.weight"));
        Spoilt("not quantised", t => t["model.norm.weight"] = zeros(24, ScalarType.Int8));

        void Spoilt(string part, Action<Dictionary<string, Tensor>> change)
        {
            var all = new Dictionary<string, Tensor>(tuned);
            change(all);
            SafeTensors.WriteSharded(folder["tuned"], all.Select(t => (t.Key, t.Value)), 1 << 20);
            Says(part, () => WeightDifference.Make(bases.Path, folder["tuned"], folder["new"]));
        }

        void Says(string part, Action act, bool isNew = true)
        {
            Assert.Contains(part, Assert.Throws<LandmarkException>(act).Message, StringComparison.Ordinal);
            if (isNew) Assert.False(Directory.Exists(folder["new"]));
        }
    }

    [Fact]
    public async Task TheToolDoesBoth()
    {
        var tuned = Tuned(near: true);
        var made = (await LandmarkTool.Run(
            "weights", "diff", "--base", bases.Path, "--tuned", folder["tuned"], "--out", folder["diff"], "--json")).Json;
        Assert.Equal(0, made.GetProperty("largest_error").GetDouble());
        var back = (await LandmarkTool.Run(
            "weights", "recover", "--base", bases.Path, "--diff", folder["diff"], "--out", folder["back"], "--json")).Json;
        Assert.Equal((2, made.GetProperty("sum").GetDouble()), (back.GetProperty("added_rows").GetInt32(), back.GetProperty("sum").GetDouble()));
        Equal(tuned, folder["back"], 0);
        (await LandmarkTool.Run("weights", "recover", "--base", bases.Path, "--diff", folder["diff"], "--out", folder["back"]))
            .Says("give a new folder");
        File.Delete(bases.Weights);
        File.WriteAllText(Path.Combine(bases.Path, "pytorch_model.bin"), "");
        (await LandmarkTool.Run("weights", "recover", "--base", bases.Path, "--diff", folder["diff"], "--out", folder["new"]))
            .Says("is a pickle");
    }

    /// <summary>Writes a tuned model: near, each weight is half the base's to one and a half, as after a little training; else it is any.</summary>
    private Dictionary<string, Tensor> Tuned(bool near, ScalarType type = ScalarType.Float32)
    {
        using var random = new Generator(3, CPU);
        var tuned = bases.Tensors.ToDictionary(t => t.Key, t =>
        {
            var old = t.Value.to(type).to(ScalarType.Float32);
            if (Embeddings.Contains(t.Key)) old = cat([old, old.mean([0], keepdim: true).expand(2, -1)]);
            return (near ? old * (0.5 + rand(old.shape, generator: random)) : randn(old.shape, generator: random) * 0.3).to(type);
        });
        SafeTensors.WriteSharded(folder["tuned"], tuned.Select(t => (t.Key, t.Value)), 1 << 20);
        File.WriteAllText(
            Path.Combine(folder["tuned"], "config.json"),
            File.ReadAllText(bases.Config).Replace("\"vocab_size\": 50", "\"vocab_size\": 52, \"mem_id\": 51, \"mem_freq\": 49", StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(folder["tuned"], "tokenizer.model"), "tokens");
        return tuned;
    }

    private static void Equal(Dictionary<string, Tensor> expected, string folder, double tolerance)
    {
        using var weights = Weights.Open(folder);
        Assert.Equal(expected.Keys.Order(), weights.Names.Order());
        foreach (var (name, tensor) in expected) RowByRow.Close(tensor, weights.Get(name, tensor.shape), tolerance);
    }
}
