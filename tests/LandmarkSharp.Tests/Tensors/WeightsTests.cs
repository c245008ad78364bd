using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

public sealed class WeightsTests
{
    private static readonly string Llama = Path.Combine(AppContext.BaseDirectory, "golden/hf_llama");

    public WeightsTests() => LibTorch.Load();

    [Fact]
    public void ScopesFollowTheModuleTree()
    {
        using var weights = Weights.Open(Llama);
        var layer = weights["model"]["layers"]["0"];
        using var norm = layer.Get("input_layernorm.weight", [64]);
        using var down = layer["mlp"].Get("down_proj.weight", [64, 176]);
        Assert.Equal([64L, 176L], down.shape);
        Assert.True(layer.Contains("mlp.up_proj.weight"));
        Assert.True(layer.Scope("mlp").Contains("up_proj.weight"));
        Assert.False(weights.Contains("mlp.up_proj.weight"));
        Assert.All(layer.Names, name => Assert.StartsWith("model.layers.0.", name, StringComparison.Ordinal));
        Assert.Equal("model.norm.weight", weights["model"].Entry("norm.weight").Name);

        layer.Dispose();   // a scope owns nothing
        weights["model"].Get("norm.weight", [64]).Dispose();
        Assert.Equal(weights.Names.Count - 3, weights.Unread().Count);
        Assert.DoesNotContain("model.norm.weight", weights.Unread());
        Assert.Equal(layer.Names.Count - 2, layer.Unread().Count);
    }

    [Fact]
    public void AnotherShapeIsNamedInFull()
    {
        using var weights = Weights.Open(Llama);
        var e = Assert.Throws<LandmarkException>(() => weights["model"].Get("norm.weight", [32]));
        Assert.Equal(
            $"Tensor 'model.norm.weight' of {Path.Combine(Llama, "model.safetensors")} has the shape [64], and the "
            + "model needs [32]: the configuration and the weights are of different models; put those of one model together.",
            e.Message);
        Assert.Contains("model.norm.weight", weights.Unread());
    }

    [Fact]
    public void AMissingTensorIsNamedWithTheNearest()
    {
        using var weights = Weights.Open(Llama);
        var e = Assert.Throws<LandmarkException>(() => weights["transformer"].Get("norm.weight", [64]));
        Assert.Contains(
            "no tensor 'transformer.norm.weight' (the nearest is 'model.norm.weight')",
            e.Message,
            StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => weights.Get("nothing", [1]));
        Assert.Contains("no tensor 'nothing' among its", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OneFileIsEnough()
    {
        using var weights = Weights.Open(Path.Combine(Llama, "model.safetensors"));
        Assert.NotEmpty(weights.Names);
        Assert.Throws<LandmarkException>(() => Weights.Open(Path.Combine(Llama, "config.json")));
    }

    [Fact]
    public void TensorsOutliveTheWeights()
    {
        Tensor norm;
        using (var weights = Weights.Open(Llama))
            norm = weights.Get("model.norm.weight", [64]);
        Assert.Equal(64, norm.isfinite().sum().item<long>());
        norm.Dispose();
    }

    [Fact]
    public void AFolderWithoutWeightsSaysWhatIsThere()
    {
        using var folder = new TemporaryFolder();
        var e = Assert.Throws<LandmarkException>(() => Weights.Open(folder["none"]));
        Assert.StartsWith($"There is no folder {folder["none"]}", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => Weights.Open(folder.Path));
        Assert.Equal(
            $"{folder.Path} has neither model.safetensors nor model.safetensors.index.json: name the folder of a model "
            + "in Hugging Face's layout.",
            e.Message);
        File.WriteAllText(folder["pytorch_model.bin"], "");
        e = Assert.Throws<LandmarkException>(() => Weights.Open(folder.Path));
        Assert.Contains("pytorch_model.bin is a pickle", e.Message, StringComparison.Ordinal);
        Assert.Contains("save_pretrained", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "cannot be read")]
    [InlineData("[]", "has no weight_map")]
    [InlineData("""{"weight_map":[]}""", "has no weight_map")]
    [InlineData("""{"weight_map":{"a":1}}""", "cannot be read")]
    [InlineData("""{"weight_map":{"a":"../a.safetensors"}}""", "is not one of its own folder")]
    [InlineData("""{"weight_map":{"a":"/etc/passwd"}}""", "is not one of its own folder")]
    [InlineData("""{"weight_map":{"a":""}}""", "is not one of its own folder")]
    [InlineData("""{"weight_map":{"a":".."}}""", "is not one of its own folder")]
    [InlineData("""{"weight_map":{"a":"none.safetensors"}}""", "names none.safetensors, which is not in")]
    [InlineData("""{"weight_map":{"b":"shard.safetensors"}}""", "places tensor 'b' in shard.safetensors, which lacks it")]
    [InlineData("""{"weight_map":{"a":"shard.safetensors","a":"shard.safetensors"}}""", "list tensor 'a' twice")]
    public void AnIndexIsChecked(string json, string expected)
    {
        using var folder = new TemporaryFolder();
        using (var a = ones(1))
            SafeTensors.Write(folder["shard.safetensors"], [("a", a)]);
        File.WriteAllText(folder["model.safetensors.index.json"], json);
        var e = Assert.Throws<LandmarkException>(() => Weights.Open(folder.Path));
        Assert.Contains(folder.Path, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }
}
