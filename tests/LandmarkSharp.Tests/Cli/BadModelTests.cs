using System.Buffers.Binary;
using System.Text;
using LandmarkSharp.Tests.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Model folders that are broken, each in one way.</summary>
public sealed class BadModelTests(ToolModel model) : IClassFixture<ToolModel>
{
    private const string Weights = "model.safetensors", Config = "config.json", Vocabulary = "tokenizer.model";

    [Fact]
    public async Task TruncatedWeightsAreRefusedByEveryCommand()
    {
        using var broken = model.Copy();
        Cut(broken[Weights], 100);
        File.Copy(Golden.Path("hf_llama", "expected.safetensors"), broken["expected.safetensors"]);
        const string part = "is not a whole safetensors file: tensor '";
        foreach (var command in (string[][])[["passkey"], ["recall"], ["ask", "Why?", "--text", model.Text],
            ["generate", "abc"], ["perplexity", "--text", model.Text]])
            (await LandmarkTool.Run([.. command, "--model", broken.Path])).Says(part);
        (await LandmarkTool.Run("verify", broken.Path, "--json")).SaysAsJson(part);
    }

    [Fact]
    public async Task WeightsThatHoldLessThanTheirLengthAreRefused()
    {
        await Fails("bytes long, and", m => File.WriteAllBytes(m[Weights], File.ReadAllBytes(m[Weights])[..13]));
        await Fails("it is 5 bytes long", m => File.WriteAllBytes(m[Weights], [1, 2, 3, 4, 5]));
        await Fails("it is 0 bytes long", m => File.WriteAllBytes(m[Weights], []));

    }

    [Fact]
    public async Task AHeaderThatLiesAboutOffsetsIsRefused()
    {
        await Fails("ends at byte 4000000000000 of the data",
            m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}"""));
        await Fails("takes 16 bytes, and its data_offsets hold 12",
            m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}"""));
        await Fails("are not a begin and an end", m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"""));
        await Fails("overlap",
            m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":"""
                + """{"dtype":"F32","shape":[4],"data_offsets":[8,24]}}"""));
        await Fails("something that is no size", m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[4],"data_offsets":[-16,0]}}"""));
        await Fails("its header is not valid JSON", m => Header(m[Weights], """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16}}"""));
        await Fails("its header would be 18446744073709551615 bytes long",
            m => File.WriteAllBytes(m[Weights], [.. Enumerable.Repeat((byte)0xFF, 100)]));
    }

    [Fact]
    public async Task TensorsThatAreNotTheModelsAreNamed()
    {
        const string name = "model.layers.1.mlp.up_proj.weight";
        await Fails($"have no tensor '{name}'", m => ToolModel.Rewrite(m, t => t.Remove(name)));
        await Fails($"Tensor '{name}'", m => ToolModel.Rewrite(m, t => t[name] = ones(48, 31)));
        await Fails("has the shape [48, 31], and the model needs [48, 32]", m => ToolModel.Rewrite(m, t => t[name] = ones(48, 31)));
        await Fails("1 tensor that the model does not use (model.layers.2",
            m => ToolModel.Rewrite(m, t => t["model.layers.2.mlp.up_proj.weight"] = ones(48, 32)));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public async Task WeightsThatAreNoNumbersAreNoticed(float value)
    {
        using var broken = model.Copy();
        ToolModel.Rewrite(broken, t => t["model.layers.0.self_attn.k_proj.weight"].fill_(value));
        const string part = "The model computes no numbers";
        (await LandmarkTool.Run("generate", "abc", "--model", broken.Path)).Says(part);
        (await LandmarkTool.Run("ask", "Why?", "--text", model.Text, "--model", broken.Path, "--json")).SaysAsJson(part);
        (await LandmarkTool.Run("perplexity", "--text", model.Text, "--model", broken.Path, "--json")).SaysAsJson(part);
    }

    [Fact]
    public async Task WeightsThatAreNotThereAreNamed()
    {
        await Fails("has neither model.safetensors nor model.safetensors.index.json", m => File.Delete(m[Weights]));
        await Fails("pytorch_model.bin is a pickle", m => File.Move(m[Weights], m["pytorch_model.bin"]));
        await Fails("names model-00002-of-00002.safetensors, which is not in", m =>
        {
            File.Move(m[Weights], m["model-00001-of-00002.safetensors"]);
            File.WriteAllText(m["model.safetensors.index.json"],
                """{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors","""
                + """ "lm_head.weight": "model-00002-of-00002.safetensors"}}""");
        });
        await Fails("index.json cannot be read", m =>
        {
            File.Delete(m[Weights]);
            File.WriteAllText(m["model.safetensors.index.json"], "{\"weight_map\": ");
        });
    }

    [Fact]
    public async Task AConfigurationThatIsWrongIsNamed()
    {
        await Fails("there is no config.json in it", m => File.Delete(m[Config]));
        await Fails("'l' is an invalid start of a value, in line 2", m => File.WriteAllText(m[Config], "{\n\"model_type\": llama }"));
        await Fails("is not valid JSON", m => File.WriteAllBytes(m[Config], new byte[1000]));
        await Fails("the file is no JSON object", m => File.WriteAllText(m[Config], "[]"));
        await Fails("model_type 'mamba' is not supported", m => Change(m, "\"llama\"", "\"mamba\""));
        await Fails("hidden_size is \"32\"; expected an integer", m => Change(m, "\"hidden_size\": 32", "\"hidden_size\": \"32\""));
    }

    [Fact]
    public async Task ATokenizerOfAnotherModelIsRefused()
    {
        await Fails("is not the one that the model was trained with",
            m => File.WriteAllBytes(m[Vocabulary], TokenizerBuilder.Model(Pieces('A', 100), byteFallback: false)));
        await Fails("has 1003 tokens and the model",
            m => File.WriteAllBytes(m[Vocabulary], TokenizerBuilder.Model(Pieces('\u4E00', 1000), byteFallback: false)));

        static IEnumerable<TestPiece> Pieces(char first, int count) =>
            [new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3),
                .. Enumerable.Range(first, count).Select(c => new TestPiece(((char)c).ToString()))];
    }

    [Fact]
    public async Task ATokenizerThatIsNoneIsRefused()
    {
        await Fails("holds no tokenizer", m => File.Delete(m[Vocabulary]));
        await Fails("is not a SentencePiece model", m => File.WriteAllText(m[Vocabulary], "not a model"));
        await Fails("is not a SentencePiece model", m => File.WriteAllBytes(m[Vocabulary], []));
        await Fails("is not a tokenizer.json", m => File.WriteAllText(m["tokenizer.json"], "{\"model\": "));
        await Fails("is not a tokenizer.json", m => File.WriteAllText(m["tokenizer.json"], "[]"));
    }

    [Fact]
    public async Task WhatIsNoModelFolderIsRefused()
    {
        (await LandmarkTool.Run("generate", "abc", "--model", "/nowhere/at/all")).Says("There is no model folder '/nowhere/at/all'");
        (await LandmarkTool.Run("generate", "abc", "--model", model.Text, "--json")).SaysAsJson("is a file; give the model's folder");
        (await LandmarkTool.Run("generate", "abc", "--model", model.Text, "--top-k", "3")).Says("is no model folder");
        (await LandmarkTool.Run("tokenizer", "info", "--tokenizer", "/nowhere/at/all")).Says("There is no tokenizer at '/nowhere/at/all'");
    }

    [Fact]
    public async Task WhatAModelCannotDoIsRefused()
    {
        string[] generate = ["generate", "abc", "--model", model.Path];
        (await LandmarkTool.Run([.. generate, "--top-k", "0"])).Says("The number of blocks read, k, is 0");
        (await LandmarkTool.Run([.. generate, "--top-k", "-3", "--json"])).SaysAsJson("The number of blocks read, k, is -3");
        (await LandmarkTool.Run([.. generate, "--keep-blocks", "1"])).Says("Of 1 blocks kept before the window, k = 2 cannot be read");
        (await LandmarkTool.Run([.. generate, "--block-type", "int4"])).Says("--block-type takes float32, bfloat16 or int8");
        (await LandmarkTool.Run([.. generate, "--block-type", "int8", "--dtype", "bfloat16"]))
            .Says("Blocks of Int8 are not possible for a model of BFloat16");
        (await LandmarkTool.Run([.. generate, "--select", "all"])).Says("--select takes token-head, token-group, token or head");
        (await LandmarkTool.Run([.. generate, "--positions", "false"])).Says("--positions takes stingy or true");
        (await LandmarkTool.Run("passkey", "--model", model.Path, "--tokens", "5")).Says("A pass key prompt of 5 tokens was asked for");
        (await LandmarkTool.Run("passkey", "--model", model.Path, "--tokens", "-5")).Says("A pass key prompt of -5 tokens was asked for");
        (await LandmarkTool.Run("recall", "--model", model.Path, "--tokens", "5", "--json")).SaysAsJson("5 tokens");
        (await LandmarkTool.Run("passkey", "--model", model.Path, "--depth", "1.5")).Says("The depth of the pass key is 1.5");
        (await LandmarkTool.Run("recall", "--model", model.Path, "--depth", "-1")).Says("The depth of the fact asked for is -1");

        // And one without landmarks.
        using var plain = model.Copy();
        File.WriteAllLines(plain[Config],
            File.ReadLines(model.Path + "/" + Config).TakeWhile(l => !l.Contains("mem_id", StringComparison.Ordinal))
                .Append("\"bos_token_id\": 1 }"));
        (await LandmarkTool.Run("generate", "abc", "--model", plain.Path, "--top-k", "3")).Says("is a model without landmarks");
        using (var memory = new TemporaryFolder())
        {
            Assert.Equal(0, (await LandmarkTool.Run("memory", "create", memory["a.memory"], "--model", model.Path)).Code);
            (await LandmarkTool.Run("ask", "abc", "--memory", memory["a.memory"], "--model", plain.Path)).Says("choose one with landmarks");
        }
        (await LandmarkTool.Run("perplexity", "--text", model.Text, "--model", plain.Path, "--plain"))
            .Says("is always fed plainly; leave out the comparison");
        (await LandmarkTool.Run("passkey", "--tokens", "500", "--window-only", "--model", plain.Path))
            .Says("is always fed plainly; leave out the comparison");
    }

    private async Task Fails(string part, Action<TemporaryFolder> spoil)
    {
        using var broken = model.Copy();
        spoil(broken);
        (await LandmarkTool.Run("generate", "abc", "--max-tokens", "1", "--model", broken.Path)).Says(part);
    }

    private static void Cut(string path, int bytes) => File.WriteAllBytes(path, File.ReadAllBytes(path)[..^bytes]);

    private static void Header(string path, string json)
    {
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, json.Length);
        File.WriteAllBytes(path, [.. length, .. Encoding.UTF8.GetBytes(json), .. new byte[24]]);
    }

    private static void Change(TemporaryFolder folder, string from, string to)
    {
        var text = File.ReadAllText(folder[Config]);
        Assert.Contains(from, text, StringComparison.Ordinal);
        File.WriteAllText(folder[Config], text.Replace(from, to, StringComparison.Ordinal));
    }
}
