using System.Text;
using System.Text.Json;
using CsCheck;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

public sealed class SafeTensorsTests
{
    private static readonly ScalarType[] Types =
    [
        ScalarType.Float32, ScalarType.Float16, ScalarType.BFloat16, ScalarType.Float64, ScalarType.Int64,
        ScalarType.Int32, ScalarType.Int16, ScalarType.Int8, ScalarType.Byte, ScalarType.Bool,
    ];

    public SafeTensorsTests() => LibTorch.Load();

    [Fact]
    public void AnythingWrittenIsReadBackTheSame()
    {
        using var folder = new TemporaryFolder();
        var one = Gen.Select(Gen.Int[0, Types.Length - 1], Gen.Long[0, 4].Array[0, 4]);
        one.Array[0, 8].Sample(
            specs =>
            {
                using var scope = NewDisposeScope();
                (string, Tensor)[] tensors =
                    [.. specs.Select((spec, i) => ($"t.{i}", randint(0, 2, spec.Item2).to_type(Types[spec.Item1])))];
                var path = folder["any.safetensors"];
                SafeTensors.Write(path, tensors);
                using var file = SafeTensorFile.Open(path);
                Assert.Equal(tensors.Select(t => t.Item1).Order(), file.Names.Order());
                foreach (var (name, tensor) in tensors)
                {
                    var entry = file.Entry(name);
                    var read = file.Get(name);
                    Assert.Equal(tensor.dtype, entry.Type);
                    Assert.Equal(tensor.shape, entry.Shape);
                    Same(tensor, read);
                }
            },
            iter: 60,
            threads: 1);
    }

    [Fact]
    public void TheHeaderIsWhatOtherReadersExpect()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var path = folder["model.safetensors"];
        SafeTensors.Write(
            path,
            [("odd", ones(3, int8)), ("weight \"é\"", arange(6, float32).reshape(2, 3)), ("scalar", tensor(2.5))],
            new Dictionary<string, string> { ["made by"] = "us" });

        var bytes = File.ReadAllBytes(path);
        var length = (int)BitConverter.ToInt64(bytes);
        Assert.Equal(0, (8 + length) % 8);
        using var header = JsonDocument.Parse(Encoding.UTF8.GetString(bytes, 8, length));
        var root = header.RootElement;
        Assert.Equal("pt", root.GetProperty("__metadata__").GetProperty("format").GetString());
        Assert.Equal("us", root.GetProperty("__metadata__").GetProperty("made by").GetString());
        Assert.Equal("""{"dtype":"F64","shape":[],"data_offsets":[0,8]}""", root.GetProperty("scalar").GetRawText());
        Assert.Equal(
            """{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]}""", root.GetProperty("weight \"é\"").GetRawText());
        Assert.Equal("""{"dtype":"I8","shape":[3],"data_offsets":[32,35]}""", root.GetProperty("odd").GetRawText());
        Assert.Equal(8 + length + 35, bytes.Length);
        Assert.Equal(4f, BitConverter.ToSingle(bytes, 8 + length + 8 + 16));
    }

    [Fact]
    public void ViewsAndGradientsDoNotMatter()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var whole = randn(4, 6).requires_grad_();
        SafeTensors.Write(
            folder["a"], [("turned", whole.t()), ("column", whole[.., 2]), ("spread", ones(1).expand(5))]);
        using var file = SafeTensorFile.Open(folder["a"]);
        Same(whole.t(), file.Get("turned"));
        Same(whole[.., 2], file.Get("column"));
        Same(ones(5), file.Get("spread"));
    }

    [Fact]
    public void AFailureLeavesTheOldFileAndNoOther()
    {
        using var folder = new TemporaryFolder();
        var path = folder["model.safetensors"];
        using var old = ones(4);
        SafeTensors.Write(path, [("a", old)]);
        var before = File.ReadAllBytes(path);

        var gone = ones(1000);
        var items = new List<(string, Tensor)> { ("a", old), ("b", gone) };
        IEnumerable<(string, Tensor)> DisposedBeforeItsTurn()
        {
            foreach (var item in items)
                yield return item;
            gone.Dispose();
        }

        Assert.ThrowsAny<Exception>(() => SafeTensors.Write(path, DisposedBeforeItsTurn()));
        Assert.Equal(before, File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFiles(folder.Path));

        gone = ones(1000);
        items[1] = ("b", gone);
        Assert.ThrowsAny<Exception>(() => SafeTensors.WriteSharded(folder.Path, DisposedBeforeItsTurn(), 16));
        Assert.Equal(before, File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void WhatCannotBeWrittenIsNamed()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var path = folder["a"];
        var e = Assert.Throws<LandmarkException>(() => SafeTensors.Write(path, [("x", ones(1)), ("x", ones(1))]));
        Assert.Contains("a second tensor 'x'", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => SafeTensors.Write(path, [("z", zeros(1, complex64))]));
        Assert.StartsWith(
            $"Tensor 'z' for {path} is ComplexFloat32, and only F32, F16,", e.Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => SafeTensors.Write(path, [("__metadata__", ones(1))]));
        e = Assert.Throws<LandmarkException>(() => SafeTensors.Write(folder["no/such/file"], [("x", ones(1))]));
        Assert.StartsWith($"{folder["no/such/file"]} cannot be written: ", e.Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => SafeTensors.WriteSharded(folder.Path, [("x", ones(1))], 0));
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public void ShardsAreLaidOutLikeTransformers()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        // 32, 32, 400 and 4 bytes.
        List<(string, Tensor)> tensors = [("a", randn(8)), ("b", randn(8)), ("c", randn(100)), ("d", randn(1))];
        SafeTensors.WriteSharded(folder.Path, tensors, 64);
        Assert.Equal(
            [
                "model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors",
                "model-00003-of-00003.safetensors", "model.safetensors.index.json",
            ],
            Directory.GetFiles(folder.Path).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal));
        using var index = JsonDocument.Parse(File.ReadAllText(folder["model.safetensors.index.json"]));
        Assert.Equal(468, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt64());
        Assert.Equal(
            ["00001", "00001", "00002", "00003"],
            index.RootElement.GetProperty("weight_map").EnumerateObject().Select(p => p.Value.GetString()![6..11]));

        using (var weights = Weights.Open(folder.Path))
        {
            foreach (var (name, tensor) in tensors)
                Same(tensor, weights.Get(name, tensor.shape));
        }

        // A smaller model over a larger one: what was there would be read with it.
        SafeTensors.WriteSharded(folder.Path, tensors.Take(2), 64);
        Assert.Equal([folder["model.safetensors"]], Directory.GetFiles(folder.Path));
        SafeTensors.WriteSharded(folder.Path, tensors, 400);
        using var again = Weights.Open(folder.Path);
        Assert.Equal(["a", "b", "c", "d"], again.Names);
        Assert.False(File.Exists(folder["model.safetensors"]));
    }

    private static void Same(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.Equal(expected.dtype, actual.dtype);
        using var scope = NewDisposeScope();
        Assert.True(expected.eq(actual).all().item<bool>());
    }
}
