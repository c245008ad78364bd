using System.Text.Json;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

/// <summary>Tokenizers as folders hold them, and what the files beside them say.</summary>
public sealed class TokenizerFilesTests : IDisposable
{
    private const string Marks = """[{"id":256,"content":"<s>","special":true},{"id":257,"content":"<e>","special":true}]""";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AFoldersJsonComesBeforeItsModel()
    {
        folder.Write("tokenizer.model", TokenizerBuilder.Model([new("<unk>", 0, 2), .. TokenizerBuilder.BytePieces()]));
        Assert.Equal("SentencePiece BPE", Tokenizer.Load(folder.Path).Kind);
        folder.Write("tokenizer.json", TokenizerBuilder.ByteLevelJson([]));
        Assert.Equal("byte-level BPE", Tokenizer.Load(folder.Path).Kind);
        Assert.Equal("SentencePiece BPE", Tokenizer.Load(Path.Combine(folder.Path, "tokenizer.model")).Kind);
    }

    [Fact]
    public void MarksAreThoseThatTheFilesBesideName()
    {
        folder.Write("tokenizer.json", TokenizerBuilder.ByteLevelJson([], added: Marks));
        var alone = Tokenizer.Load(folder.Path);
        Assert.Equal((null, null, false), (alone.BosId, alone.EosId, alone.AddsBos));

        folder.Write("special_tokens_map.json", """{"bos_token":{"content":"<s>"},"eos_token":"<e>"}""");
        var mapped = Tokenizer.Load(folder.Path);
        Assert.Equal((256, 257, false), (mapped.BosId, mapped.EosId, mapped.AddsBos));

        folder.Write("tokenizer_config.json",
            """{"add_bos_token":true,"add_eos_token":true,"added_tokens_decoder":{"258":{"content":"<new>","special":true}}}""");
        var config = Tokenizer.Load(folder.Path);
        Assert.Equal([256, 65 - 33, 257],
            config.Encode("A", addSpecial: true).Select(id => id < 256 ? config.Encode("A")[0] == id ? 32 : -1 : id));
        Assert.Equal([258], config.Encode("<new>", parseSpecial: true));
        Assert.NotEqual(alone.Fingerprint, config.Fingerprint);
        Assert.Equal(alone.Fingerprint, mapped.Fingerprint);

        folder.Write("tokenizer_config.json", """{"add_bos_token":false,"bos_token":"<e>"}""");
        Assert.Equal(257, Tokenizer.Load(folder.Path).BosId);
    }

    [Theory]
    [InlineData("", "tokenizer.json")]
    [InlineData("own.json", "tokenizer.json")]
    [InlineData("own.model", "tokenizer.model")]
    public void ACopyReadsTheSame(string file, string name)
    {
        var bytes = TokenizerBuilder.Model([new("<unk>", 0, 2), new("<s>", 0, 3), new("<e>", 0, 3), .. TokenizerBuilder.BytePieces()]);
        if (file.EndsWith(".model", StringComparison.Ordinal)) folder.Write(file, bytes);
        else folder.Write(file.Length > 0 ? file : "tokenizer.json", TokenizerBuilder.ByteLevelJson([], added: Marks));
        folder.Write("special_tokens_map.json", """{"bos_token":"<s>","eos_token":"<e>","additional_special_tokens":["<new>"]}""");
        folder.Write("added_tokens.json", """{"<new>":300}""");
        folder.Write("tokenizer_config.json", """{"add_bos_token":true,"model_max_length":64}""");
        folder.Write("other.json", "{}");
        using var copy = new TemporaryFolder();
        var path = Path.Combine(folder.Path, file);
        TokenizerFiles.Copy(path, copy.Path);
        string[] files = ["added_tokens.json", "special_tokens_map.json", name, "tokenizer_config.json"];
        Assert.Equal(files, Directory.EnumerateFiles(copy.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        var (own, other) = (Tokenizer.Load(path), Tokenizer.Load(copy.Path));
        Assert.Equal((own.Fingerprint, own.BosId, true), (other.Fingerprint, other.BosId, other.AddsBos));
        Assert.Equal([300], other.Encode("<new>", parseSpecial: true));
    }

    [Fact]
    public void ALoneSentencePieceModelIsCopiedWithTheNameOfItsClass()
    {
        folder.Write("own.model", TokenizerBuilder.Model(
            [new("<u>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3), .. TokenizerBuilder.BytePieces(), new("\u2581a", 0)]));
        var path = Path.Combine(folder.Path, "own.model");
        using var copy = new TemporaryFolder();
        TokenizerFiles.Copy(path, copy.Path);
        using var config = JsonDocument.Parse(File.ReadAllText(Path.Combine(copy.Path, "tokenizer_config.json")));
        string?[] fields = [.. ((string[])["tokenizer_class", "bos_token", "eos_token", "unk_token"]).Select(f => config.RootElement.GetProperty(f).GetString())];
        Assert.Equal(["LlamaTokenizer", "<s>", "</s>", "<u>"], fields);
        var (own, other) = (Tokenizer.Load(path), Tokenizer.Load(copy.Path));
        Assert.Equal((own.Fingerprint, own.BosId, own.EosId, own.AddsBos), (other.Fingerprint, other.BosId, other.EosId, other.AddsBos));
        Assert.Equal(own.Encode("a b", addSpecial: true), other.Encode("a b", addSpecial: true));

        // Where there is a file that says what it is, it stands.
        folder.Write("tokenizer_config.json", "{}");
        TokenizerFiles.Copy(path, copy.Path);
        Assert.Equal("{}", File.ReadAllText(Path.Combine(copy.Path, "tokenizer_config.json")));
    }

    [Fact]
    public void FilesThatDoNotFitTogetherAreNamed()
    {
        Fails("neither tokenizer.json nor tokenizer.model");
        Fails("no tokenizer at", Path.Combine(folder.Path, "nowhere"));
        folder.Write("tokenizer.json", TokenizerBuilder.ByteLevelJson([], added: Marks));
        folder.Write("tokenizer_config.json", """{"bos_token":"<start>"}""");
        Fails("'<start>' as bos_token");
        folder.Write("tokenizer_config.json", """{"added_tokens_decoder":{"256":{"content":"<other>"}}}""");
        Fails("'<other>'");
        folder.Write("tokenizer_config.json", """{"added_tokens_decoder":{"first":{"content":"<other>"}}}""");
        Fails("tokenizer_config.json");
        folder.Write("tokenizer_config.json", "{");
        Fails("tokenizer_config.json");
        folder.Write("tokenizer_config.json", "[]");
        Fails("tokenizer_config.json");
        folder.Write("tokenizer_config.json", "{}");
        folder.Write("added_tokens.json", """{"<x>":"many"}""");
        Fails("added_tokens.json");
    }

    private void Fails(string part, string? path = null)
    {
        var error = Assert.Throws<LandmarkException>(() => Tokenizer.Load(path ?? folder.Path));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }
}
