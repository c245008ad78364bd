using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Attention;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Models of every family get a landmark, train with it, and are left as their family's folders.</summary>
public sealed class FineTuneTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        tiny.Dispose();
    }

    [Theory]
    [InlineData("llama", 0)]
    [InlineData("llama", 7)]
    [InlineData("mistral", 0)]
    [InlineData("qwen2", 0)]
    [InlineData("qwen2", 1)]
    [InlineData("qwen3", 3)]
    [InlineData("starcoder2", 1)]
    public void ItBeginsAsTheBaseAndEndsAsAFolderOfItsFamily(string family, int padding)
    {
        using var from = new BaseFolder(tiny, family, padding);
        var (rows, id) = (BaseFolder.Tokens + Math.Max(padding, 1), BaseFolder.Tokens);
        using var trainer = new Trainer(Recipe(from), from.Into(tiny, "run"));
        foreach (var (name, tensor) in from.Checkpoint.Tensors)
        {
            var ours = trainer.Decoder.Parameters[name].detach();
            if (name is not ("model.embed_tokens.weight" or "lm_head.weight"))
            {
                RowByRow.Close(tensor, ours, 0);
                continue;
            }
            Assert.Equal(rows, ours.shape[0]);
            RowByRow.Close(tensor[..id].mean([0]), ours[id], 1e-7);
            RowByRow.Close(tensor[..id], ours[..id], 0);
            if (padding > 1) RowByRow.Close(tensor[(id + 1)..], ours[(id + 1)..], 0);
        }
        using (var plain = Checkpoint.Load(from.Path, CPU))
            RowByRow.Close(Logits(plain)[.., ..id], Logits(trainer.Decoder)[.., ..id], 1e-5);

        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var model = Path.Combine(tiny["run"], "model");
        using var engine = LandmarkEngine.Load(model);
        foreach (var (name, parameter) in trainer.Decoder.Parameters)
            RowByRow.Close(parameter.detach().to(ScalarType.BFloat16), engine.Decoder.Parameters[name], 0);
        Assert.Equal((rows, id, 15, 128), (engine.Config.VocabularySize, engine.Config.Landmark!.Id,
            engine.Config.Landmark.BlockTokens, engine.Config.Landmark.TrainContext));
        Assert.Null(engine.Config.SlidingWindow);
        Assert.Equal(id, engine.Tokenizer.Find("<landmark>"));
        Assert.True(engine.Tokenizer.IsSpecial(id));
        using var session = engine.NewSession();
        session.Append("The red fox sees the old stone <landmark>. The quiet bird follows the small lamp.");
        Assert.Equal(5, session.Generate(new GenerationOptions { MaxTokens = 5 }).Count());

        using var before = JsonDocument.Parse(File.ReadAllText(from.Checkpoint.Config));
        using var after = JsonDocument.Parse(File.ReadAllText(Path.Combine(model, "config.json")));
        foreach (var field in before.RootElement.EnumerateObject())
            if (field.Name is not ("vocab_size" or "sliding_window" or "use_sliding_window" or "layer_types"))
                Assert.True(JsonElement.DeepEquals(field.Value, after.RootElement.GetProperty(field.Name)), field.Name);
        Assert.Equal("bfloat16", after.RootElement.GetProperty("torch_dtype").GetString());
    }

    [Fact]
    public void AStoppedRunGoesOnToTheSameBits()
    {
        using var from = new BaseFolder(tiny, "qwen3");
        Run("whole", 5);
        Run("stopped", 2);
        Run("stopped", 5);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("stopped"));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(tiny["whole"], "model", "model.safetensors")),
            File.ReadAllBytes(Path.Combine(tiny["stopped"], "model", "model.safetensors")));

        void Run(string name, long steps)
        {
            using var stop = new CancellationTokenSource();
            using var trainer = new Trainer(Recipe(from, 5), from.Into(tiny, name));
            trainer.Run(p => { if (p.Line.Step == steps) stop.Cancel(); }, stop.Token);
            Assert.Equal(steps, trainer.Step);
        }
    }

    [Fact]
    public void TheTokenizersFilesOfOldLearnOfTheLandmark()
    {
        using var from = new BaseFolder(tiny, "llama", padding: 200);
        File.Delete(Path.Combine(from.Path, "tokenizer.json"));
        File.Delete(Path.Combine(from.Path, "tokenizer_config.json"));
        TinyRun.WriteTokenizer(Path.Combine(from.Path, "tokenizer.model"));
        var run = from.Into(tiny, "run") with { Shards = tiny.Shards };
        using (var trainer = new Trainer(Recipe(from, 1), run))
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var tokenizer = Tokenizer.Load(Path.Combine(tiny["run"], "model"));
        var id = Tokenizer.Load(from.Path).VocabularySize;
        Assert.Equal((id, id + 1), (tokenizer.Find("<landmark>")!.Value, tokenizer.VocabularySize));
        Assert.True(tokenizer.IsSpecial(id));
        Assert.DoesNotContain(id, tokenizer.Encode("a<landmark>b"));
    }

    [Fact]
    public async Task TheToolFineTunesAndAsks()
    {
        using var from = new BaseFolder(tiny, "llama");
        File.WriteAllText(tiny["recipe.json"], BaseFolder.Recipe(2));
        var lines = (await Tool(from.Path, "run", "--json")).Lines;
        Assert.True(lines[^1].GetProperty("done").GetBoolean());
        var model = Path.Combine(tiny["run"], "model");
        var answer = await LandmarkTool.Run(
            "ask", "Which?", "--model", model, "--text", tiny["validation.txt"], "--max-tokens", "3", "--threads", "1", "--json");
        Assert.Equal("answer", answer.Lines[^1].GetProperty("event").GetString());

        (await Tool(model, "new")).Says("has a landmark already");
        (await Tool(tiny["nowhere"], "new")).Says("is no model folder");
        File.WriteAllText(tiny["recipe.json"], BaseFolder.Recipe(2, ", \"head_dim\": 8"));
        (await Tool(from.Path, "new")).Says("gives head_dim, which the model in");
        File.WriteAllText(tiny["recipe.json"], BaseFolder.Recipe(2));
        File.WriteAllText(from.Checkpoint.Config, File.ReadAllText(from.Checkpoint.Config).Replace("\"llama\"", "\"gpt2\"", StringComparison.Ordinal));
        (await Tool(from.Path, "new")).Says("model_type 'gpt2' is not supported");
        from.Checkpoint.Write("llama");
        File.WriteAllText(from.Checkpoint.Config, File.ReadAllText(from.Checkpoint.Config).Replace("\"vocab_size\": 257", "\"vocab_size\": 200", StringComparison.Ordinal));
        (await Tool(from.Path, "new")).Says("has 257 tokens and the model 200");
        Assert.False(Directory.Exists(tiny["new"]));

        Task<ToolRun> Tool(string folder, string output, params string[] more) => LandmarkTool.Run(
            ["finetune", tiny["recipe.json"], "--model", folder, "--shards", from.Shards, "--out", tiny[output], "--threads", "1", .. more]);
    }

    internal static TrainingOptions Recipe(BaseFolder from, long steps = 4, string more = "")
    {
        var path = Path.Combine(from.Path, "..", Path.GetFileName(from.Path) + "-recipe");
        File.WriteAllText(path, BaseFolder.Recipe(steps, more));
        try
        {
            return new BaseModel(from.Path).Recipe(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>Logits of some tokens run plain, the landmark among them if asked.</summary>
    internal static Tensor Logits(Decoder decoder, bool landmark = false)
    {
        using var quiet = no_grad();
        using var memory = new PlainMemory(decoder.Config.Layers, decoder.Rotary, null);
        long[] tokens = [.. Enumerable.Range(0, 40).Select(i => (long)(i * 37 % BaseFolder.Tokens)), .. landmark ? [BaseFolder.Tokens, 5L] : Array.Empty<long>()];
        memory.Begin(tokens.Length);
        var logits = decoder.Logits(decoder.Forward(tensor(tokens).unsqueeze(0), memory))[0];
        memory.End();
        return logits;
    }
}
