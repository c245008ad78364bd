using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

/// <summary>llama.cpp's 46 golden strings, tokenized as llama.cpp does, for vocabularies of each kind.</summary>
public sealed class LlamaCppGoldenTests
{
    private const string Separator = "\n__ggml_vocab_test__\n";

    [Fact]
    public void LlamaAsSentencePieceModel() => Check("llama-spm", (folder, vocabulary) => folder.Write(
        "tokenizer.model", SentencePiece(vocabulary)));

    [Fact]
    public void LlamaAsTokenizerJson() => Check("llama-spm", (folder, vocabulary) => folder.Write("tokenizer.json", LlamaJson(vocabulary)));

    [Fact]
    public void Gpt2() => Check("gpt-2", (folder, vocabulary) => folder.Write(
        "tokenizer.json", ByteLevel(vocabulary, TokenizerBuilder.ByteLevel)));

    [Fact]
    public void Llama3() => Check("llama-bpe", (folder, vocabulary) => folder.Write(
        "tokenizer.json",
        ByteLevel(vocabulary, TokenizerBuilder.SplitThenBytes(TokenizerBuilder.Llama3Split), model: """{"ignore_merges":true}""")));

    [Fact]
    public void Qwen2() => Check("qwen2", (folder, vocabulary) => folder.Write(
        "tokenizer.json", ByteLevel(vocabulary, TokenizerBuilder.SplitThenBytes(TokenizerBuilder.Qwen2Split), """{"type":"NFC"}""")));

    private static void Check(string name, Func<TemporaryFolder, Dictionary<string, object>, string> write)
    {
        var file = LlamaCppVocabularies.Require(name);
        var texts = File.ReadAllText(file + ".inp").Split(Separator);
        var expected = File.ReadAllLines(file + ".out");
        Assert.Equal(46, expected.Length);
        Assert.InRange(texts.Length, 46, 47);

        using var folder = new TemporaryFolder();
        var tokenizer = Tokenizer.Load(write(folder, Gguf.ReadMetadata(file)));
        for (var i = 0; i < expected.Length; i++)
        {
            var ids = tokenizer.Encode(texts[i]);
            Assert.True(expected[i].Trim() == string.Join(' ', ids),
                $"string {i}: {texts[i]}\nexpected {expected[i]}\nfound     {string.Join(' ', ids)}");
            Assert.Equal(texts[i], tokenizer.Decode(ids));
        }
    }

    private static byte[] SentencePiece(Dictionary<string, object> gguf)
    {
        var (tokens, scores, types) =
            ((string[])gguf["tokenizer.ggml.tokens"], (float[])gguf["tokenizer.ggml.scores"], (int[])gguf["tokenizer.ggml.token_type"]);
        return TokenizerBuilder.Model(tokens.Select((text, id) => new TestPiece(text, scores[id], types[id])));
    }

    // The merges, which GGUF does not hold, are every way to put a piece together from two, best score first.
    private static string LlamaJson(Dictionary<string, object> gguf)
    {
        var (tokens, scores, types) =
            ((string[])gguf["tokenizer.ggml.tokens"], (float[])gguf["tokenizer.ggml.scores"], (int[])gguf["tokenizer.ggml.token_type"]);
        var normal = tokens.Where((_, id) => types[id] == 1).ToHashSet(StringComparer.Ordinal);
        var merges =
            from id in Enumerable.Range(0, tokens.Length)
            where types[id] == 1
            from at in Enumerable.Range(1, Math.Max(0, tokens[id].Length - 1))
            where normal.Contains(tokens[id][..at]) && normal.Contains(tokens[id][at..])
            orderby scores[id] descending
            select $"{tokens[id][..at]} {tokens[id][at..]}";
        const string Added =
            """
            [{"id":0,"content":"<unk>","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":true},
            {"id":1,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":true},
            {"id":2,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":true}]
            """;
        return TokenizerBuilder.Json(
            tokens, merges, TokenizerBuilder.LlamaNormalizer, null, TokenizerBuilder.LlamaDecoder, null, Added,
            """{"unk_token":"<unk>","byte_fallback":true,"fuse_unk":true,"dropout":null,"ignore_merges":false}""");
    }

    private static string ByteLevel(Dictionary<string, object> gguf, string preTokenizer, string? normalizer = null, string model = "{}") =>
        TokenizerBuilder.Json(
            (string[])gguf["tokenizer.ggml.tokens"], (string[])gguf["tokenizer.ggml.merges"], normalizer, preTokenizer,
            TokenizerBuilder.ByteLevelDecoder, model: model);
}
