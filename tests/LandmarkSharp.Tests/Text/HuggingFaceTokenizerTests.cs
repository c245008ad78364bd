using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class HuggingFaceTokenizerTests
{
    private const string Llama3 = "llama3", Qwen2 = "qwen2", Gpt2 = "gpt2";

    private static readonly Gen<string> Kinds = Gen.Int[0, 3].Select(i => new[] { Gpt2, Llama3, Qwen2, "" }[i]);

    private static readonly string[] SentencePieces =
        ["<unk>", "<s>", "</s>", .. TokenizerBuilder.BytePieces().Select(p => p.Text),
            "▁", "a", "b", "h", "e", "l", "o", "he", "ll", "hell", "hello", "▁hello"];

    private static readonly string[] SentenceMerges = ["h e", "l l", "he ll", "hell o", "▁ hello"];

    private const string Marks =
        """
        [{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true},
        {"id":300,"content":"<|end|>","special":true},{"id":301,"content":"<|end|>2","special":true},
        {"id":302,"content":"[x]","special":false},{"id":303,"content":"[r]","special":false,"rstrip":true},
        {"id":304,"content":"[l]","special":false,"lstrip":true},{"id":305,"content":"word","special":false,"single_word":true}]
        """;

    private static readonly string Template =
        """
        {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],
        "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]},"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]}}}
        """;

    [Theory]
    [InlineData(Gpt2, "I'll pay  $12345.67\n\nOK  ", "I|'ll| pay| | $|12345|.|67|\n|\n|OK|  ")]
    [InlineData(Llama3, "I'll pay  $12345.67\n\nOK  ", "I|'ll| pay| | $|123|45|.|67|\n\n|OK|  ")]
    [InlineData(Qwen2, "I'll pay  $12345.67\n\nOK  ", "I|'ll| pay| | $|1|2|3|4|5|.|6|7|\n\n|OK|  ")]
    [InlineData(Gpt2, "I'LL (go).\n", "I|'|LL| (|go|).|\n")]
    [InlineData(Llama3, "I'LL (go).\n", "I|'LL| (|go|).\n")]
    [InlineData(Qwen2, "I'LL (go).\n", "I|'LL| (|go|).\n")]
    [InlineData(Llama3, "naïve 漢字2 \r\n\tx", "naïve| 漢字|2| \r\n|\tx")]
    [InlineData(Gpt2, "naïve 漢字2 \t x", "naïve| 漢字|2| \t| x")]
    // Letters and digits beyond the basic plane are letters and digits.
    [InlineData(Llama3, "a𝒃c 𝟏𝟐𝟑𝟒😀", "a𝒃c| |𝟏𝟐𝟑|𝟒|😀")]
    [InlineData(Gpt2, "a𝒃c 𝟏𝟐😀", "a𝒃c| 𝟏𝟐|😀")]
    public void WordsAreThoseOfThePattern(string kind, string text, string words)
    {
        var tokenizer = ByteLevel(kind);
        Assert.Equal(words.Split('|'), tokenizer.Fragments(text, atStart: true, parseSpecial: false).Select(f => f.Span.ToString()));
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void AnyMergesAreDoneAsTheDefinitionSays() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.String[Gen.Char["ab c"], 0, 25], Gen.Bool).Sample((seed, text, pairs) =>
        {
            var merges = PlainMerges.Random(new Random(seed), "abĠ", 14);
            var json = JsonNode.Parse(TokenizerBuilder.ByteLevelJson(
                [.. merges.Select(m => $"{m.Left} {m.Right}")], preTokenizer: ByteLevelWhole))!;
            // Newer files write a merge as a pair.
            if (pairs) json["model"]!["merges"] = new JsonArray([.. merges.Select(m => new JsonArray(m.Left, m.Right))]);
            var tokenizer = Load(json.ToJsonString());
            var rank = merges.Select((m, i) => (m, i)).ToDictionary(p => p.m, p => (double)p.i);
            var expected = PlainMerges.Merge(
                text.Replace(' ', 'Ġ').Select(c => c.ToString()), (a, b) => rank.TryGetValue((a, b), out var r) ? r : null);
            Assert.Equal(expected, tokenizer.Encode(text).Select(tokenizer.Piece));
        }, iter: 500);

    [Fact]
    public void AnyTextComesBack() =>
        Gen.Select(Gen.OneOf(Texts.Whole, Texts.Broken), Kinds).Sample((text, kind) =>
        {
            var tokenizer = kind.Length > 0 ? ByteLevel(kind) : SentencePiece();
            Assert.Equal(Texts.Valid(text), tokenizer.Decode(tokenizer.Encode(text)));
        }, iter: 300);

    [Fact]
    public void PiecesOfATextGiveTheTokensOfTheWhole() =>
        Gen.Select(Gen.OneOf(Texts.Whole, Gen.String[Gen.Char["  \n\n\tab1'l.[x]"], 0, 30]).Array[1, 6], Kinds, Gen.Int[1, 40]).Sample(
            (texts, kind, size) =>
            {
                var tokenizer = kind.Length > 0 ? ByteLevel(kind) : SentencePiece();
                var text = string.Join(" hello", texts);
                Assert.Equal(tokenizer.Encode(text), tokenizer.EncodePieces(new StringReader(text), size).SelectMany(p => p));
            }, iter: 500);

    [Theory]
    [InlineData("hello", "▁hello")]
    [InlineData("hello hello", "▁hello ▁hello")]
    [InlineData(" hello", "▁ ▁hello")]
    [InlineData("hellohello", "▁hello hello")]
    [InlineData("hallo", "▁ h a ll o")]
    [InlineData("Ö", "▁ <0xC3> <0x96>")]
    [InlineData("", "")]
    public void SentencePieceStyleMarksSpacesAndFallsBackToBytes(string text, string pieces)
    {
        var tokenizer = SentencePiece();
        Assert.Equal(pieces, string.Join(' ', tokenizer.Encode(text).Select(tokenizer.Piece)));
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void WholeWordsComeBeforeMergesWhereTheFileSaysSo()
    {
        // "abc" is a piece that no merge leads to.
        var json = JsonNode.Parse(TokenizerBuilder.ByteLevelJson(
            ["a b"], preTokenizer: TokenizerBuilder.SplitThenBytes(TokenizerBuilder.Llama3Split)))!;
        json["model"]!["vocab"]!["abc"] = 257;
        Assert.Equal(["ab", "c"], Encoded(Load(json.ToJsonString()), "abc"));
        json["model"]!["ignore_merges"] = true;
        Assert.Equal(
            ["abc", "Ġ", "ab"], Encoded(Load(json.ToJsonString()), "abc ab").SelectMany(p => p == "Ġab" ? ["Ġ", "ab"] : new[] { p }));
    }

    [Fact]
    public void TextIsComposedWhereTheFileSaysSo()
    {
        var composed = Load(TokenizerBuilder.ByteLevelJson([], normalizer: """{"type":"NFC"}"""));
        string Composed(string text) => composed.Decode(composed.Encode(text));
        Assert.Equal("é ñ Å", Composed("e\u0301 n\u0303 A\u030A"));
        // A syllable of three letters; marks out of order; a letter that composition leaves apart; a sign that is another.
        Assert.Equal("각", Composed("\u1100\u1161\u11A8"));
        Assert.Equal("\u1E69", Composed("s\u0307\u0323"));
        Assert.Equal("\u092B\u093C", Composed("\u095E"));
        Assert.Equal("Ω", Composed("\u2126"));
        var plain = Load(TokenizerBuilder.ByteLevelJson([]));
        Assert.NotEqual(plain.Encode("é"), plain.Encode("e\u0301"));
        Texts.Whole.Sample(text => Assert.Equal(Composed(text), Composed(Composed(text))), iter: 500);
    }

    [Fact]
    public void AddedTokensStandApart()
    {
        var tokenizer = Load(TokenizerBuilder.ByteLevelJson([], added: Marks));
        Assert.Equal(306, tokenizer.VocabularySize);
        Assert.Equal(["a", "[x]", "b"], Encoded(tokenizer, "a[x]b"));
        // Text that others wrote cannot forge a mark.
        Assert.DoesNotContain(300, tokenizer.Encode("a<|end|>"));
        Assert.Equal([300], tokenizer.Encode("<|end|>", parseSpecial: true));
        Assert.Equal([301, 300], tokenizer.Encode("<|end|>2<|end|>", parseSpecial: true));
        Assert.Equal("ab", tokenizer.Decode(tokenizer.Encode("a<|end|>b", parseSpecial: true)));
        Assert.Equal("a[x]b", tokenizer.Decode(tokenizer.Encode("a[x]b")));
        Assert.True(tokenizer.IsSpecial(300) && !tokenizer.IsSpecial(302));

        Assert.Equal(["a", "Ġ", "[r]", "b"], Encoded(tokenizer, "a [r]  b"));
        Assert.Equal(["a", "[l]", "Ġ", "b"], Encoded(tokenizer, "a \n[l] b"));
        Assert.Equal(["word"], Encoded(tokenizer, "word"));
        Assert.Equal(["(", "word", ")"], Encoded(tokenizer, "(word)"));
        foreach (var inside in (string[])["words", "sword", "word_", "wordé"]) Assert.DoesNotContain(305, tokenizer.Encode(inside));
    }

    [Fact]
    public void MarksGoAroundATextWhenAskedFor()
    {
        var tokenizer = Load(TokenizerBuilder.ByteLevelJson([], postProcessor: Template, added: Marks));
        Assert.Equal((1, 2), (tokenizer.Encode("ab", addSpecial: true)[0], tokenizer.Encode("ab", addSpecial: true)[^1]));
        Assert.Equal(tokenizer.Encode("ab"), tokenizer.Encode("ab", addSpecial: true)[1..^1]);
        Assert.Equal("byte-level BPE", tokenizer.Kind);
        Assert.Equal("character BPE", SentencePiece().Kind);
    }

    [Theory]
    [InlineData("normalizer", """{"type":"Lowercase"}""", "normalizer", "Lowercase")]
    [InlineData("normalizer", """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"StripAccents"}]}""",
        "normalizer.normalizers[1]", "StripAccents")]
    [InlineData("normalizer", """{"type":"Prepend","prepend":"_"}""", "normalizer", "Prepend")]
    [InlineData("pre_tokenizer", """{"type":"Whitespace"}""", "pre_tokenizer", "Whitespace")]
    [InlineData("pre_tokenizer", """{"type":"ByteLevel","add_prefix_space":false,"new_thing":1}""",
        "pre_tokenizer.new_thing", "not supported")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"^a"},"behavior":"Isolated"}""", "pre_tokenizer", "^a")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}""", "pre_tokenizer", "(a")]
    [InlineData("pre_tokenizer", """{"type":"Split","pattern":{"Regex":"a"},"behavior":"Strange"}""", "pre_tokenizer", "Strange")]
    [InlineData("pre_tokenizer", """{"type":"Split","behavior":"Isolated"}""", "pre_tokenizer.pattern", "damaged")]
    [InlineData("decoder", """{"type":"WordPiece"}""", "decoder", "WordPiece")]
    [InlineData("decoder", """{"type":"Fuse"}""", "ByteLevel pre_tokenizer", "another decoder")]
    [InlineData("decoder", "null", "decoder", "damaged")]
    [InlineData("post_processor", """{"type":"BertProcessing"}""", "post_processor", "BertProcessing")]
    [InlineData("model", "null", "model", "damaged")]
    [InlineData("model", """{"type":"Unigram","vocab":[]}""", "model", "Unigram")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":["a b"]}""", "model.merges[0]", "'b'")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":["a b c"]}""", "model.merges[0]", "pair")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":-1},"merges":[]}""", "model.vocab['a']", "id")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"?"}""", "unk_token", "'?'")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":[],"dropout":0.1}""", "model", "dropout")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0}}""", "model.merges", "list")]
    [InlineData("model", """{"type":"BPE","vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}""", "model", "end_of_word_suffix")]
    [InlineData("added_tokens", """[{"content":"x"}]""", "added_tokens[0].id", "damaged")]
    [InlineData("added_tokens", """[{"id":3}]""", "added_tokens[0].content", "damaged")]
    [InlineData("added_tokens", """{"a":3}""", "added_tokens", "list")]
    [InlineData("something", "7", "something", "not supported")]
    public void WhatIsNotSupportedOrDamagedIsNamed(string component, string value, string where, string what)
    {
        var json = JsonNode.Parse(TokenizerBuilder.ByteLevelJson([]))!;
        json[component] = JsonNode.Parse(value);
        Fails(json.ToJsonString(), where, what);
    }

    [Theory]
    [InlineData("", "not a tokenizer.json")]
    [InlineData("[1, 2]", "no JSON object")]
    [InlineData("{\"model\": {", "not a tokenizer.json")]
    [InlineData("just text", "not a tokenizer.json")]
    [InlineData("{}", "model")]
    public void FilesThatAreNoTokenizerAreNamed(string file, string what) => Fails(file, what);

    private static string ByteLevelWhole { get; } =
        """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""";

    private static void Fails(string json, params string[] parts)
    {
        var error = Assert.Throws<LandmarkException>(() => Load(json));
        Assert.All([.. parts, "t.json"], p => Assert.Contains(p, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain('\n', error.Message);
    }

    private static Tokenizer SentencePiece() => Load(TokenizerBuilder.Json(
        SentencePieces, SentenceMerges, TokenizerBuilder.LlamaNormalizer, null, TokenizerBuilder.LlamaDecoder,
        model: """{"unk_token":"<unk>","byte_fallback":true,"fuse_unk":true}"""));

    private static Tokenizer ByteLevel(string kind) => kind switch
    {
        Llama3 => Load(TokenizerBuilder.ByteLevelJson(
            ["Ã ©", "h e", "l l"], TokenizerBuilder.SplitThenBytes(TokenizerBuilder.Llama3Split))),
        Qwen2 => Load(TokenizerBuilder.ByteLevelJson(["Ã ©", "h e"], TokenizerBuilder.SplitThenBytes(TokenizerBuilder.Qwen2Split))),
        _ => Load(TokenizerBuilder.ByteLevelJson(["Ã ©", "Ġ h", "Ġh e"])),
    };

    private static IEnumerable<string> Encoded(Tokenizer tokenizer, string text) => tokenizer.Encode(text).Select(tokenizer.Piece);

    private static Tokenizer Load(string json) => new(HuggingFaceTokenizer.Read(Encoding.UTF8.GetBytes(json), "t.json"));
}
