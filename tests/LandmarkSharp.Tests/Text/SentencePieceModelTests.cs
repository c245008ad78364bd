using System.Text;
using CsCheck;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class SentencePieceModelTests
{
    private static readonly TestPiece[] Marks = [new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3)];

    private static readonly TestPiece[] Words =
        [.. "▁abcdehlorw".Select(c => new TestPiece(c.ToString(), -100)),
            new("he", -1), new("ll", -2), new("hell", -3), new("▁w", -4), new("lo", -2), new("▁▁", -5)];

    [Theory]
    [InlineData("hello", "▁ hell o")]
    [InlineData("hello world", "▁ hell o ▁w o r l d")]
    // Equal scores: the leftmost pair first.
    [InlineData("llo", "▁ ll o")]
    [InlineData("lllo", "▁ ll lo")]
    [InlineData("", "")]
    [InlineData(" ", "▁▁")]
    [InlineData("  w", "▁▁ ▁w")]
    // What has no piece of its own is spelled in bytes.
    [InlineData("é", "▁ <0xC3> <0xA9>")]
    [InlineData("a\n😀", "▁ a <0x0A> <0xF0> <0x9F> <0x98> <0x80>")]
    public void MergesGoByScore(string text, string pieces)
    {
        var tokenizer = Load(TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words]));
        Assert.Equal(pieces, Pieces(tokenizer, tokenizer.Encode(text)));
        Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
    }

    [Fact]
    public void AnyVocabularyMergesAsTheDefinitionSays() =>
        Gen.Select(Gen.Int[0, 100_000], Gen.String[Gen.Char["ab c"], 0, 25], Gen.Bool).Sample((seed, text, prefix) =>
        {
            var random = new Random(seed);
            var merges = PlainMerges.Random(random, "▁ab", 14);
            // Few scores, so that many are equal; c has no piece.
            var scores = merges.ToDictionary(m => m.Left + m.Right, _ => (float)random.Next(4), StringComparer.Ordinal);
            var tokenizer = Load(TokenizerBuilder.Model(
                [.. Marks, .. TokenizerBuilder.BytePieces(), .. "▁ab".Select(c => new TestPiece(c.ToString(), -9)),
                    .. scores.Select(s => new TestPiece(s.Key, s.Value))],
                dummyPrefix: prefix));
            var marked = (prefix && text.Length > 0 ? " " + text : text).Replace(' ', '▁');
            var expected = PlainMerges.Merge(marked.Select(c => c.ToString()), (a, b) => scores.TryGetValue(a + b, out var s) ? -s : null)
                .Select(p => p == "c" ? "<0x63>" : p);
            Assert.Equal(string.Join(' ', expected), Pieces(tokenizer, tokenizer.Encode(text)));
        }, iter: 500);

    [Fact]
    public void AnyTextComesBack() =>
        Gen.Select(Gen.OneOf(Texts.Whole, Texts.Broken), Gen.Bool).Sample((text, prefix) =>
        {
            var tokenizer = Load(TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words], dummyPrefix: prefix));
            Assert.Equal(Texts.Valid(text), tokenizer.Decode(tokenizer.Encode(text)));
            var decoder = tokenizer.CreateDecoder(atStart: false);
            var later = string.Concat(tokenizer.Encode(text, atStart: false).Select(decoder.Push)) + decoder.Flush();
            Assert.Equal(Texts.Valid(text), later);
        }, iter: 300);

    [Fact]
    public void UserDefinedPiecesAreOneTokenAndControlsAreNoText()
    {
        var tokenizer = Load(TokenizerBuilder.Model([.. Marks, new("<sep>", 0, 4), .. TokenizerBuilder.BytePieces(), .. Words]));
        Assert.Equal("▁ hell <sep> o", Pieces(tokenizer, tokenizer.Encode("hell<sep>o")));
        Assert.Equal("hell<sep>o", tokenizer.Decode(tokenizer.Encode("hell<sep>o")));

        Assert.DoesNotContain(2, tokenizer.Encode("a</s>b"));
        Assert.Equal("a</s>b", tokenizer.Decode(tokenizer.Encode("a</s>b")));
        Assert.Equal("▁ a </s> ▁ b", Pieces(tokenizer, tokenizer.Encode("a</s>b", parseSpecial: true)));
        Assert.True(tokenizer.IsSpecial(2));
        Assert.False(tokenizer.IsSpecial(3));
    }

    [Fact]
    public void MarksAreFoundByName()
    {
        var tokenizer = Load(TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words]));
        Assert.Equal((1, 2, true), (tokenizer.BosId, tokenizer.EosId, tokenizer.AddsBos));
        Assert.Equal("<s> ▁ a", Pieces(tokenizer, tokenizer.Encode("a", addSpecial: true)));
        Assert.Equal("a", tokenizer.Decode(tokenizer.Encode("a", addSpecial: true)));
        Assert.Equal(3 + 256 + Words.Length, tokenizer.VocabularySize);
        Assert.Equal(tokenizer.VocabularySize - Words.Length, tokenizer.Find("▁"));
        Assert.Null(tokenizer.Find("nowhere"));
        Assert.Contains("no token 9999", Assert.Throws<LandmarkException>(() => tokenizer.Piece(9999)).Message, StringComparison.Ordinal);

        var plain = Load(TokenizerBuilder.Model([new("<unk>", 0, 2), .. TokenizerBuilder.BytePieces(), .. Words]));
        Assert.Equal((null, null, false), (plain.BosId, plain.EosId, plain.AddsBos));
    }

    [Fact]
    public void WithoutBytesARunOfStrangeCharactersIsOneUnknown()
    {
        var tokenizer = Load(TokenizerBuilder.Model([.. Marks, .. Words], byteFallback: false));
        Assert.Equal("▁ a <unk> b <unk>", Pieces(tokenizer, tokenizer.Encode("aéüb😀")));
        Assert.Equal("a ⁇ b ⁇ ", tokenizer.Decode(tokenizer.Encode("aéüb😀")));
    }

    [Fact]
    public void ExtraSpacesGoWhereTheModelSaysSo()
    {
        var tokenizer = Load(TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words], removeExtraSpaces: true));
        Assert.Equal("▁ a ▁ b", Pieces(tokenizer, tokenizer.Encode("  a   b  ")));
        Assert.Equal("a b", tokenizer.Decode(tokenizer.Encode("  a   b  ")));
    }

    [Fact]
    public void FingerprintsTellVocabulariesApart()
    {
        string Print(params TestPiece[] more) =>
            Load(TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words, .. more])).Fingerprint;
        Assert.Equal(Print(), Print());
        Assert.Matches("^[0-9a-f]{64}$", Print());
        Assert.Equal(3, new[] { Print(), Print(new TestPiece("zz")), Print(new TestPiece("zy")) }.Distinct().Count());
    }

    [Fact]
    public void WhatIsNotSupportedIsNamed()
    {
        TestPiece[] pieces = [.. Marks, .. TokenizerBuilder.BytePieces(), .. Words];
        Fails("UNIGRAM", TokenizerBuilder.Model(pieces, modelType: 1));
        Fails("CHAR", TokenizerBuilder.Model(pieces, modelType: 4));
        Fails("number 9", TokenizerBuilder.Model(pieces, modelType: 9));
        Fails("treat_whitespace_as_suffix", TokenizerBuilder.Model(pieces, spaceAsSuffix: true));
        Fails("escape_whitespaces", TokenizerBuilder.Model(pieces, escapeSpaces: false));
        Fails("UNUSED", TokenizerBuilder.Model([.. pieces, new("x", 0, 5)]));
        Fails("unknown type 8", TokenizerBuilder.Model([.. pieces, new("x", 0, 8)]));
        Fails("<0x07>", TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces().Where(p => p.Text != "<0x07>"), .. Words]));
        Fails("precompiled_charsmap", TokenizerBuilder.Model(pieces, characterMap: [255, 0, 0, 0, 1]));
    }

    [Fact]
    public void FilesThatAreNoModelAreNamed()
    {
        Fails("no pieces", []);
        Fails("not a SentencePiece model", Encoding.UTF8.GetBytes("This is a text, and not a model at all."));
        var whole = TokenizerBuilder.Model([.. Marks, .. TokenizerBuilder.BytePieces(), .. Words]);
        // Cut anywhere inside the pieces, it does not read to its end or lacks something.
        foreach (var length in (ReadOnlySpan<int>)[1, 5, 100, 1000, whole.Length / 2]) Fails("m.model", whole[..length]);
    }

    [Fact]
    public void RandomBytesNeverGetPastTheReader() =>
        Gen.Byte.Array[1, 200].Sample(bytes =>
        {
            try
            {
                SentencePieceModel.Read(bytes, "m.model");
            }
            catch (LandmarkException e)
            {
                Assert.Contains("m.model", e.Message, StringComparison.Ordinal);
            }
        }, iter: 2000);

    private static void Fails(string part, byte[] file)
    {
        var error = Assert.Throws<LandmarkException>(() => Load(file));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains("m.model", error.Message, StringComparison.Ordinal);
    }

    private static Tokenizer Load(byte[] file) => new(SentencePieceModel.Read(file, "m.model"));

    private static string Pieces(Tokenizer tokenizer, int[] ids) => string.Join(' ', ids.Select(tokenizer.Piece));
}
