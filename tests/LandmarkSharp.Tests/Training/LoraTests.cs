using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Adapters begin as nothing, are all that is trained, and merge into what they do.</summary>
public sealed class LoraTests : IDisposable
{
    private const string Some = """, "lora": {"rank": 3, "alpha": 12, "targets": ["q_proj", "v_proj", "down_proj"]}""";

    private readonly TinyRun tiny = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData("llama", 0, Some)]
    [InlineData("llama", 9, """, "lora": {}""")]
    [InlineData("mistral", 1, Some)]
    [InlineData("qwen2", 0, Some)]
    [InlineData("llama", 0, """, "context_miss": 0.5, "lora": {}""")]
    [InlineData("qwen2", 1, """, "context_miss": 0.5, "lora": {}""")]
    [InlineData("qwen3", 2, """, "lora": {"rank": 2, "targets": ["gate_proj"]}""")]
    [InlineData("starcoder2", 0, """, "lora": {}""")]
    [InlineData("starcoder2", 1, """, "lora": {"rank": 2, "targets": ["v_proj", "c_proj"]}""")]
    public void ItBeginsAsTheBaseTrainsAloneAndMerges(string family, int padding, string lora)
    {
        using var from = new BaseFolder(tiny, family, padding);
        using var trainer = new Trainer(FineTuneTests.Recipe(from, 4, lora), from.Into(tiny, "run"));
        var decoder = trainer.Decoder;
        using (var plain = Checkpoint.Load(from.Path, CPU))
            RowByRow.Close(FineTuneTests.Logits(plain)[.., ..BaseFolder.Tokens], FineTuneTests.Logits(decoder)[.., ..BaseFolder.Tokens], 1e-5);
        Assert.All(decoder.Parameters, p => Assert.Equal(LoraOptions.IsAdapter(p.Key), p.Value.requires_grad));
        var before = decoder.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());

        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        foreach (var (name, parameter) in decoder.Parameters)
            Assert.Equal(LoraOptions.IsAdapter(name), RowByRow.MaxError(before[name], parameter.detach()) > 0);

        // Its rows are the landmark's; the embeddings have that row for others who read them.
        Assert.Equal(Path.Combine(tiny["run"], "adapter"), trainer.Finished);
        LoraMerge.Write(from.Path, trainer.Finished, tiny["merged"]);
        using var merged = LandmarkEngine.Load(tiny["merged"]);
        RowByRow.Close(FineTuneTests.Logits(decoder, landmark: true), FineTuneTests.Logits(merged.Decoder, landmark: true), 1e-4);
        Assert.Equal(15, merged.Config.Landmark!.BlockTokens);
        Assert.Equal(BaseFolder.Tokens, merged.Tokenizer.Find("<landmark>"));
        Assert.False(File.Exists(Path.Combine(tiny["merged"], "adapter_config.json")));
    }

    [Fact]
    public void FrozenWeightsHaveTheTypeOfTheActivations()
    {
        using var from = new BaseFolder(tiny, "llama");
        var recipe = FineTuneTests.Recipe(from, 3, Some) with { ComputeType = "bfloat16" };
        using var trainer = new Trainer(recipe, from.Into(tiny, "run"));
        Assert.All(trainer.Decoder.Parameters, p =>
            Assert.Equal(LoraOptions.IsAdapter(p.Key) ? ScalarType.Float32 : ScalarType.BFloat16, p.Value.dtype));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("")]
    [InlineData(Some)]
    public void TheLossFalls(string lora)
    {
        using var from = new BaseFolder(tiny, "qwen3");
        var recipe = FineTuneTests.Recipe(from, 40, lora) with { PeakRate = 1e-2, FinalRate = 1e-3 };
        using var trainer = new Trainer(recipe, from.Into(tiny, "run"));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var losses = tiny.Metrics("run").Select(l => ToolRun.Parse(l).GetProperty("loss").GetDouble()).ToArray();
        Assert.True(losses[^5..].Average() < 0.8 * losses[..5].Average(), string.Join(' ', losses));
    }

    [Fact]
    public void AnAdapterIsLaidOutAsPeftDoes()
    {
        using var from = new BaseFolder(tiny, "llama");
        using var trainer = new Trainer(FineTuneTests.Recipe(from, 1, Some), from.Into(tiny, "run"));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        using var file = SafeTensorFile.Open(Path.Combine(trainer.Finished, "adapter_model.safetensors"));
        string[] matrices = ["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"];
        string[] names =
        [
            "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
            "base_model.model.lm_head.token_adapter.trainable_tokens_delta",
            .. from l in Enumerable.Range(0, 2) from m in matrices from x in "AB"
               select $"base_model.model.model.layers.{l}.{m}.lora_{x}.weight",
        ];
        Assert.Equal(names.Order(StringComparer.Ordinal), file.Names.Order(StringComparer.Ordinal));
        Assert.Equal([3, 24], file.Entry("base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight").Shape);
        Assert.Equal([12, 3], file.Entry("base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight").Shape);
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(trainer.Finished, "adapter_config.json")));
        Assert.Equal(("LORA", 3, 12), (json.RootElement.GetProperty("peft_type").GetString(),
            json.RootElement.GetProperty("r").GetInt32(), json.RootElement.GetProperty("lora_alpha").GetInt32()));
        Assert.Equal(257, json.RootElement.GetProperty("trainable_token_indices").GetProperty("lm_head")[0].GetInt32());
    }

    [Fact]
    public void AStoppedRunGoesOnToTheSameBitsOnSeveralDevicesToo()
    {
        using var from = new BaseFolder(tiny, "qwen2");
        var recipe = FineTuneTests.Recipe(from, 5, Some);
        recipe = recipe with { Stages = [recipe.Stages[0] with { Accumulate = 2 }] };
        Run("whole", 5);
        Run("stopped", 2);
        Assert.DoesNotContain("model.safetensors", Directory.EnumerateFiles(tiny["stopped/step-00000002"]).Select(f => Path.GetFileName(f)));
        Run("stopped", 5);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("stopped"));
        Assert.Equal(Bytes("whole"), Bytes("stopped"));
        Run("both", 5, CPU, CPU);
        using var one = SafeTensorFile.Open(tiny["whole/adapter/adapter_model.safetensors"]);
        using var two = SafeTensorFile.Open(tiny["both/adapter/adapter_model.safetensors"]);
        Assert.All(one.Names, n => RowByRow.Close(one.Get(n), two.Get(n), 1e-4));

        byte[] Bytes(string name) => File.ReadAllBytes(tiny[name + "/adapter/adapter_model.safetensors"]);

        void Run(string name, long steps, params Device[] devices)
        {
            using var stop = new CancellationTokenSource();
            using var trainer = new Trainer(recipe, from.Into(tiny, name) with { Devices = devices });
            trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
            Assert.Equal(steps, trainer.Step);
        }
    }

    [Fact]
    public void TrainingGoesOnFromAnAdapterOfTheSameKind()
    {
        using var from = new BaseFolder(tiny, "llama");
        using var other = new BaseFolder(tiny, "qwen3");
        using (var first = new Trainer(FineTuneTests.Recipe(from, 2, Some), from.Into(tiny, "first")))
        {
            Assert.True(first.Run(cancel: TestContext.Current.CancellationToken));
            using var second = new Trainer(FineTuneTests.Recipe(from, 3, Some), from.Into(tiny, "second") with { StartFrom = first.Finished });
            foreach (var (name, parameter) in first.Decoder.Parameters)
                RowByRow.Close(parameter.detach(), second.Decoder.Parameters[name].detach(), 0);
        }
        var adapter = tiny["first/adapter"];
        Refused("is no adapter's folder", () => new Trainer(
            FineTuneTests.Recipe(from, 2, Some), from.Into(tiny, "new") with { StartFrom = from.Path }));
        Refused("has an adapter and no whole model; merge it", () => LandmarkEngine.Load(adapter));
        Refused("has rank 3, alpha 12", () => new Trainer(
            FineTuneTests.Recipe(from, 2, Some.Replace("12", "6", StringComparison.Ordinal)), from.Into(tiny, "new") with { StartFrom = adapter }));
        Refused("beside other weights", () => new Trainer(
            FineTuneTests.Recipe(other, 2, Some), other.Into(tiny, "new") with { StartFrom = adapter }));
        using (var twin = new BaseFolder(tiny, "llama"))
        {
            var weights = Directory.EnumerateFiles(twin.Path, "*.safetensors").First();
            var bytes = File.ReadAllBytes(weights);
            bytes[8 + BitConverter.ToInt64(bytes)] ^= 1;                                    // the first number after the header
            File.WriteAllBytes(weights, bytes);
            Refused("beside other weights", () => LoraMerge.Write(twin.Path, adapter, tiny["new"]));
            Refused("beside other weights", () => new Trainer(FineTuneTests.Recipe(twin, 2, Some), twin.Into(tiny, "first")));
        }
        // Adapters from elsewhere do not say what they were trained beside.
        var model = Path.Combine(adapter, "config.json");
        File.WriteAllText(model, File.ReadAllText(model).Replace("base_fingerprint", "_base", StringComparison.Ordinal));
        Refused("the model needs [40, 3]", () => new Trainer(
            FineTuneTests.Recipe(other, 2, Some), other.Into(tiny, "new") with { StartFrom = adapter }));
        Refused("the model needs [40, 3]", () => LoraMerge.Write(other.Path, adapter, tiny["new"]));
        using (var wider = new BaseFolder(tiny, "llama", padding: 4))
            Refused("would have 261 with those of the adapter", () => LoraMerge.Write(wider.Path, adapter, tiny["new"]));
        Refused("no adapter's folder", () => LoraMerge.Write(from.Path, from.Path, tiny["new"]));
        Refused("fine-tune one with it", () => new Trainer(FineTuneTests.Recipe(from, 2, Some), tiny.Into("new")));
        Refused("targets among q_proj", () => FineTuneTests.Recipe(from, 2, """, "lora": {"targets": ["lm_head"]}"""));
        using (var gpt = new BaseFolder(tiny, "starcoder2"))
            Refused("must be matrices of a Starcoder2, q_proj, k_proj, v_proj, o_proj, c_fc, c_proj", () => new Trainer(
                FineTuneTests.Recipe(gpt, 2, Some), gpt.Into(tiny, "new")));
        Refused("rank of 1 or more", () => FineTuneTests.Recipe(from, 2, """, "lora": {"rank": 0}"""));
        var config = Path.Combine(adapter, "adapter_config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"bias\"", "\"use_dora\": true, \"bias\"", StringComparison.Ordinal));
        Refused("use_dora is True", () => LoraMerge.Write(from.Path, adapter, tiny["new"]));
        Assert.False(Directory.Exists(tiny["new"]));

        static void Refused(string part, Func<object> act) =>
            Assert.Contains(part, Assert.Throws<LandmarkException>(act).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheBestAdapterIsKeptAndMerges()
    {
        using var from = new BaseFolder(tiny, "qwen3");
        var recipe = FineTuneTests.Recipe(from, 6, Some) with
        {
            Documents = DocumentPacking.Separate,
            PositionJump = 4,
            GroupDropout = 0.1,
            Dropout = 0.1,
            RecomputeLayers = true,
        };
        using var trainer = new Trainer(recipe, from.Into(tiny, "run") with { ValidationShards = from.Shards, ValidateEvery = 2 });
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var run = RunFolder.Read(tiny["run"]);
        var best = Path.Combine(run.Path, run.Best!.Folder);
        Assert.Equal(best, Assert.Single(Directory.EnumerateDirectories(run.Path, "best-*")));
        Assert.Equal(run.Metrics["validation_loss"].MinBy(p => p.Value).Step, run.Best.Step);
        LoraMerge.Write(from.Path, best, tiny["merged"]);
        using var merged = LandmarkEngine.Load(tiny["merged"]);
        Assert.Equal(BaseFolder.Tokens, merged.Tokenizer.Find("<landmark>"));
        Assert.False(File.Exists(Path.Combine(tiny["merged"], "validation.json")));
    }

    [Fact]
    public async Task TheToolAdaptsMergesAndAsks()
    {
        using var from = new BaseFolder(tiny, "llama");
        File.WriteAllText(tiny["recipe.json"], BaseFolder.Recipe(2, Some));
        string[] train = ["finetune", tiny["recipe.json"], "--model", from.Path, "--shards", from.Shards, "--threads", "1", "--out"];
        Assert.Contains("the adapter is in", (await LandmarkTool.Run([.. train, tiny["run"]])).Output, StringComparison.Ordinal);
        var merged = await LandmarkTool.Run(
            "weights", "merge", "--base", from.Path, "--adapter", tiny["run/adapter"], "--out", tiny["merged"], "--json");
        Assert.Equal(21, merged.Json.GetProperty("tensors").GetInt32());
        var answer = await LandmarkTool.Run(
            "ask", "Which?", "--model", tiny["merged"], "--text", tiny["validation.txt"], "--max-tokens", "3", "--threads", "1", "--json");
        Assert.Equal("answer", answer.Lines[^1].GetProperty("event").GetString());
        File.WriteAllText(tiny["recipe.json"], BaseFolder.Recipe(2));
        (await LandmarkTool.Run([.. train, tiny["new"], "--from", tiny["run/adapter"]])).Says("the recipe has no lora");
    }
}
