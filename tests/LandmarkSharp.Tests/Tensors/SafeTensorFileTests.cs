using System.Text;
using CsCheck;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

public sealed class SafeTensorFileTests
{
    public SafeTensorFileTests() => LibTorch.Load();

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 8, null)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"note":1}}    """, 8, null)]
    [InlineData("""{"__metadata__":{"x":"y"}}""", 0, null)]
    [InlineData("{}", 0, null)]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 7, "tensor 'a' ends at byte 8 of the data, and there are 7")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 9, "1 bytes at its end belong to no tensor")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8,
        "tensor 'a' of shape [3] takes 12 bytes, and its data_offsets hold 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "are not a begin and an end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}""", 8, "are not a begin and an end")]
    [InlineData("""{"a":{"dtype":"F32","shape":[0],"data_offsets":[9223372036854775807,9223372036854775807]}}""", 8, "ends at byte")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "no size")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", 8, "no size")]
    [InlineData("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", 8, "no size")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}""", 8, "tensor 'a' of shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}""", 8, "is not a list")]
    [InlineData("""{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}""", 8, "has the type F8_E4M3, and only F32, F16")]
    [InlineData("""{"a":{"dtype":7,"shape":[8],"data_offsets":[0,8]}}""", 8, "has the type")]
    [InlineData("""{"a":{"shape":[8],"data_offsets":[0,8]}}""", 8, "tensor 'a' states its dtype 0 times")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}""", 8, "states its dtype 2 times")]
    [InlineData("""{"a":[]}""", 0, "the entry of tensor 'a' is not a JSON object")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}""",
        7, "tensors 'a' and 'b' overlap")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}""",
        9, "1 bytes before tensor 'b' belong to no tensor")]
    [InlineData("""{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""",
        8, "tensor 'a' is listed twice")]
    [InlineData("""{"__metadata__":{"x":1}}""", 0, "is not one text")]
    [InlineData("""{"__metadata__":{"x":"1","x":"2"}}""", 0, "is not one text")]
    [InlineData("""{"__metadata__":{},"__metadata__":{}}""", 0, "is not one JSON object")]
    [InlineData("""{"\ud800":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}""", 1, "is not valid JSON")]
    [InlineData("{\"a\":", 0, "is not valid JSON")]
    [InlineData("[]", 0, "its header is not a JSON object")]
    [InlineData("", 0, "its header is not a JSON object")]
    [InlineData(" {}", 0, "its header is not a JSON object")]
    public void HeadersAreCheckedInFull(string json, int dataBytes, string? expected)
    {
        using var folder = new TemporaryFolder();
        var path = folder["a.safetensors"];
        var header = Encoding.UTF8.GetBytes(json);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)header.Length), .. header, .. new byte[dataBytes]]);
        if (expected is null)
        {
            SafeTensorFile.Open(path).Dispose();
            return;
        }

        var e = Assert.Throws<LandmarkException>(() => SafeTensorFile.Open(path));
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new byte[0], "it is 0 bytes long")]
    [InlineData(new byte[] { 2, 0, 0 }, "it is 3 bytes long")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, 123, 125 }, "its header would be 3 bytes long, and 2 follow")]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 128, 123, 125 },
        "its header would be 9223372036854775808 bytes long, and at most 100000000")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0, 0, 0, 0, 123, 255, 125 }, "not valid UTF-8")]
    public void LengthsAreChecked(byte[] content, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["a"], content);
        var e = Assert.Throws<LandmarkException>(() => SafeTensorFile.Open(folder["a"]));
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatCannotBeOpenedIsNamed()
    {
        using var folder = new TemporaryFolder();
        var e = Assert.Throws<LandmarkException>(() => SafeTensorFile.Open(folder["none"]));
        Assert.Equal($"There is no file {folder["none"]}; check the path.", e.Message);
        Assert.Throws<LandmarkException>(() => SafeTensorFile.Open(folder.Path));
        Assert.Throws<LandmarkException>(() => SafeTensorFile.Open(""));
        Assert.Throws<LandmarkException>(() => SafeTensorFile.Open("/dev/null"));
    }

    [Fact]
    public void BrokenFilesAreRefusedAndNothingElseHappens()
    {
        using var folder = new TemporaryFolder();
        var path = folder["fuzz.safetensors"];
        using (NewDisposeScope())
        {
            SafeTensors.Write(
                path,
                [("weight", randn(3, 4)), ("bias", zeros(5, int64)), ("flag", tensor(true)), ("none", zeros(0, 3))]);
        }

        var valid = File.ReadAllBytes(path);
        var header = 8 + (int)BitConverter.ToInt64(valid);

        // Most flips fall into the header: the data may be anything.
        var place = Gen.Frequency((4, Gen.Int[0, header - 1]), (1, Gen.Int[0, valid.Length - 1]));
        var flip = Gen.Select(place, Gen.Byte[1, 255]);
        Gen.Select(flip.Array[0, 4], Gen.Frequency((3, Gen.Const(valid.Length)), (1, Gen.Int[0, valid.Length])))
            .Sample(
                (flips, length) =>
                {
                    var bytes = valid.ToArray();
                    foreach (var (at, change) in flips)
                        bytes[at] ^= change;
                    ReadAll(folder, bytes[..length]);
                },
                iter: 2000,
                threads: 1);
    }

    [Fact]
    public void HeadersOfAnyTextAreRefusedOrRead()
    {
        using var folder = new TemporaryFolder();
        string[] words =
        [
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"dtype\"", "\"F32\"", "\"BOOL\"", "\"shape\"", "\"data_offsets\"",
            "0", "1", "4", "-1", "1e9", "9223372036854775807", "null", "true", "\"__metadata__\"", "\"\\ud83d\"",
            "\u00e9", " ",
        ];
        Gen.Int[0, words.Length - 1].Array[0, 40].Sample(
            parts =>
            {
                var json = Encoding.UTF8.GetBytes("{" + string.Concat(parts.Select(i => words[i])));
                ReadAll(folder, [.. BitConverter.GetBytes((long)json.Length), .. json, 0, 0, 0, 0]);
            },
            iter: 1000,
            threads: 1);
    }

    [Fact]
    public void ATensorOutlivesItsFileAndTheMappingEndsWithTheLast()
    {
        using var folder = new TemporaryFolder();
        var path = folder["a.safetensors"];
        using var scope = NewDisposeScope();
        SafeTensors.Write(path, [("x", arange(1000, float32)), ("y", ones(3))]);
        var file = SafeTensorFile.Open(path);
        var x = file.Get("x");
        var again = file.Get("x");
        var part = x[990..];
        Assert.Equal(Aten.DataPointer(x), Aten.DataPointer(again));
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Get("y"));
        again.Dispose();
        x.Dispose();
        GC.Collect();
        using (var last = part[9])
            Assert.Equal(999f, last.item<float>());
        Assert.True(IsMapped(path));
        part.Dispose();
        Assert.False(IsMapped(path));
    }

    [Fact]
    public void WritingIntoATensorLeavesTheFile()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        SafeTensors.Write(folder["a"], [("x", ones(5000))]);
        var before = File.ReadAllBytes(folder["a"]);
        using (var file = SafeTensorFile.Open(folder["a"]))
        {
            var x = file.Get("x").fill_(7);
            Assert.Equal(35000f, x.sum().item<float>());
        }

        Assert.Equal(before, File.ReadAllBytes(folder["a"]));
    }

    [Fact]
    public void CrookedTensorsAreCopiedToWhereTheyCanBeRead()
    {
        using var folder = new TemporaryFolder();
        var json = """
            {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[],"data_offsets":[1,5]}}
            """u8;
        File.WriteAllBytes(
            folder["a"], [.. BitConverter.GetBytes((long)json.Length), .. json, 9, .. BitConverter.GetBytes(1.5f)]);
        using var file = SafeTensorFile.Open(folder["a"]);
        using var b = file.Get("b");
        Assert.Equal(1.5f, b.item<float>());
        Assert.Equal(0, Aten.DataPointer(b) % 4);
    }

    [Fact]
    public void AMissingTensorIsNamedWithSomeThatAreThere()
    {
        using var file = SafeTensorFile.Open(
            Path.Combine(AppContext.BaseDirectory, "golden/hf_llama/model.safetensors"));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal([64L], file.Entry("model.norm.weight").Shape);
        Assert.True(file.Contains("model.norm.weight"));
        var e = Assert.Throws<LandmarkException>(() => file.Get("model.norm.bias"));
        Assert.StartsWith(
            $"{file.Path} has no tensor 'model.norm.bias': it has {file.Names.Count}, such as '",
            e.Message,
            StringComparison.Ordinal);
    }

    private static bool IsMapped(string path) =>
        File.ReadLines("/proc/self/maps").Any(line => line.EndsWith(path, StringComparison.Ordinal));

    private static void ReadAll(TemporaryFolder folder, byte[] bytes)
    {
        var path = folder["fuzzed"];
        File.WriteAllBytes(path, bytes);
        try
        {
            using var scope = NewDisposeScope();
            using var file = SafeTensorFile.Open(path);
            foreach (var name in file.Names)
                _ = file.Get(name).to(float64).sum().item<double>();
        }
        catch (LandmarkException e)
        {
            Assert.Contains(path, e.Message, StringComparison.Ordinal);
        }
    }
}
