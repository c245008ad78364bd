using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Adapters beside a base whose matrices are held in 8 or 4 bits.</summary>
public sealed class QuantizedBaseTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData("llama", 8)]
    [InlineData("llama", 4)]
    [InlineData("qwen2", 8)]
    [InlineData("qwen3", 4)]
    [InlineData("starcoder2", 8)]
    public void MatricesOfLayersAloneAreHeldInFewerBits(string family, int bits)
    {
        using var from = new BaseFolder(tiny, family);
        using var trainer = new Trainer(Recipe(from, 1, bits), from.Into(tiny, "run"));
        using var whole = new Trainer(Recipe(from, 1, 16), from.Into(tiny, "whole"));
        var decoder = trainer.Decoder;
        Assert.Equal(whole.Decoder.Parameters.Keys, decoder.Parameters.Keys);
        Assert.Equal(whole.Decoder.Parameters.Values.Sum(p => p.numel()), decoder.ParameterCount);
        Dictionary<string, Tensor> meant = [];
        foreach (var (name, parameter) in decoder.Parameters)
        {
            var original = whole.Decoder.Parameters[name].detach();
            if (!name.EndsWith("_proj.weight", StringComparison.Ordinal) && !name.EndsWith("c_fc.weight", StringComparison.Ordinal))
            {
                RowByRow.Close(original, parameter.detach(), 0);
                meant[name] = parameter.detach().clone();
                continue;
            }
            Assert.Equal((ScalarType.Byte, false), (parameter.dtype, parameter.requires_grad));
            // Rows of 24 or 40 numbers are few to share a scale of 2 bytes.
            Assert.Equal(original.shape[0] * ((original.shape[1] * bits / 8) + 2), parameter.numel());
            meant[name] = new QuantizedMatrix(parameter, original.shape[1], bits).Dequantize(ScalarType.Float32);
            Assert.InRange(((original - meant[name]).norm() / original.norm()).item<float>(), 1e-4, bits == 8 ? 0.007 : 0.1);
        }
        using var same = new Decoder(whole.Decoder.Config, (name, _) => meant[name]);
        RowByRow.Close(FineTuneTests.Logits(same, landmark: true), FineTuneTests.Logits(decoder, landmark: true), 0);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void TheLossFallsAsBesideTheWholeBase(int bits)
    {
        using var from = new BaseFolder(tiny, "qwen3");
        var (whole, quantized) = (Losses(16), Losses(bits));
        Assert.NotEqual(whole, quantized);
        Assert.True(quantized[^5..].Average() < 0.8 * quantized[..5].Average(), string.Join(' ', quantized));
        Assert.InRange(quantized[^5..].Average() / whole[^5..].Average(), 0.95, bits == 8 ? 1.02 : 1.05);

        double[] Losses(int held)
        {
            using var trainer = new Trainer(Recipe(from, 40, held) with { PeakRate = 1e-2, FinalRate = 1e-3 }, from.Into(tiny, $"run-{held}"));
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
            return [.. tiny.Metrics($"run-{held}").Select(l => ToolRun.Parse(l).GetProperty("loss").GetDouble())];
        }
    }

    [Theory]
    [InlineData(8, false)]
    [InlineData(4, true)]
    public void AStoppedRunGoesOnToTheSameBitsAndDevicesShare(int bits, bool recompute)
    {
        using var from = new BaseFolder(tiny, "qwen2");
        var recipe = Recipe(from, 5, bits) with { RecomputeLayers = recompute };
        recipe = recipe with { Stages = [recipe.Stages[0] with { Accumulate = 2 }] };
        Run("whole", 5);
        Run("stopped", 2);
        Run("stopped", 5);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("stopped"));
        Assert.Equal(File.ReadAllBytes(Adapter("whole")), File.ReadAllBytes(Adapter("stopped")));
        Run("both", 5, CPU, CPU);
        using var one = SafeTensorFile.Open(Adapter("whole"));
        using var two = SafeTensorFile.Open(Adapter("both"));
        Assert.All(one.Names, n => RowByRow.Close(one.Get(n), two.Get(n), 1e-4));
        Assert.Contains("begun with lora", Assert.Throws<LandmarkException>(
            () => new Trainer(recipe with { Lora = recipe.Lora! with { BaseBits = 16 } }, from.Into(tiny, "stopped"))).Message, StringComparison.Ordinal);

        string Adapter(string name) => tiny[name + "/adapter/adapter_model.safetensors"];

        void Run(string name, long steps, params Device[] devices)
        {
            using var stop = new CancellationTokenSource();
            using var trainer = new Trainer(recipe, from.Into(tiny, name) with { Devices = devices });
            trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
            Assert.Equal(steps, trainer.Step);
        }
    }

    [Theory]
    [InlineData(8, "float32")]
    [InlineData(4, "bfloat16")]
    public void TheAdapterGoesWithTheBaseAsItIs(int bits, string type)
    {
        using var from = new BaseFolder(tiny, "llama");
        using var trainer = new Trainer(
            Recipe(from, 4, bits) with { ComputeType = type },
            from.Into(tiny, "run") with { ValidationShards = from.Shards, ValidateEvery = 2, SampleEvery = 2 });
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var trained = trainer.Decoder.Trainable;
        // Merged with the weights that the base has, not with those that fewer bits stand for.
        LoraMerge.Write(from.Path, trainer.Finished, tiny["merged"]);
        using var merged = LandmarkEngine.Load(tiny["merged"]);
        const string name = "model.layers.1.mlp.down_proj";
        var learned = trained[$"{name}.lora_B.weight"].detach().matmul(trained[$"{name}.lora_A.weight"].detach()) * 2;
        Assert.True(learned.abs().max().item<float>() > 1e-4);
        RowByRow.Close(from.Checkpoint.Tensors[$"{name}.weight"] + learned, merged.Decoder.Parameters[$"{name}.weight"], 1e-6);
        // And training may go on beside any.
        using var next = new Trainer(Recipe(from, 1, 16), from.Into(tiny, "next") with { StartFrom = trainer.Finished });
        Assert.All(trained, p => RowByRow.Close(p.Value.detach(), next.Decoder.Parameters[p.Key].detach(), 0));
    }

    [Fact]
    public void WhatCannotBeHeldIsRefused()
    {
        using var from = new BaseFolder(tiny, "llama");
        foreach (var bits in (int[])[0, 5, 32, -4])
            Refused($"lora has base_bits {bits}; give 8 or 4, or 16", () => Recipe(from, 1, bits));
        Refused("'lora.base_bits'", () => FineTuneTests.Recipe(from, 1, """, "lora": {"base_bits": "nf4"}"""));
        const string damaged = "model.layers.1.self_attn.k_proj.weight";
        from.Checkpoint.Tensors[damaged][3, 5] = float.NaN;
        SafeTensors.Write(from.Checkpoint.Weights, from.Checkpoint.Tensors.Select(t => (t.Key, t.Value)));
        Refused($"'{damaged}' has a number that is infinite", () => new Trainer(Recipe(from, 1, 4), from.Into(tiny, "new")));

        static void Refused(string part, Func<object> act) =>
            Assert.Contains(part, Assert.Throws<LandmarkException>(act).Message, StringComparison.Ordinal);
    }

    private static TrainingOptions Recipe(BaseFolder from, long steps, int bits) =>
        FineTuneTests.Recipe(from, steps, $$""", "lora": {"rank": 4, "alpha": 8, "base_bits": {{bits}}}""");
}
