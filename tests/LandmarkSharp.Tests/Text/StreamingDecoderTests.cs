using System.Text;
using CsCheck;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class StreamingDecoderTests
{
    private static readonly TestPiece[] Pieces =
        [new("<unk>", 0, 2), new("<s>", 0, 3), new("</s>", 0, 3),
            .. TokenizerBuilder.BytePieces(), new("▁"), new("▁a"), new("é"), new("😀"), new("▁▁")];

    private static readonly Tokenizer Characters = new(SentencePieceModel.Read(TokenizerBuilder.Model(Pieces), "m.model"));

    // Tokens of two and three bytes that end or begin inside a character.
    private static readonly Tokenizer Bytes = new(HuggingFaceTokenizer.Read(
        Encoding.UTF8.GetBytes(TokenizerBuilder.ByteLevelJson(["Ã ©", "ð Ł", "ĺ Ģ", "ðŁ ĺ", "© Ã"])), "tokenizer.json"));

    [Fact]
    public void NoCharacterComesInHalves() =>
        Gen.Select(Texts.Whole, Gen.Bool).Sample((text, later) =>
        {
            var utf8 = Encoding.UTF8.GetBytes(text);
            var decoder = Characters.CreateDecoder(atStart: !later);
            var shown = "";
            for (var i = 0; i < utf8.Length; i++)
            {
                shown += decoder.Push(Characters.Find($"<0x{utf8[i]:X2}>")!.Value);
                // All characters that are whole by now, and nothing of the next one.
                Assert.Equal(WholeCharacters(utf8.AsSpan(0, i + 1)), shown);
            }
            Assert.Equal("", decoder.Flush());
        });

    [Fact]
    public void AnyTokensGiveWhatTheyGiveTogether() =>
        Gen.Select(Gen.Bool, Gen.Int[0, 400].Array[0, 40], Gen.Bool).Sample((characters, ids, later) =>
        {
            var tokenizer = characters ? Characters : Bytes;
            var decoder = tokenizer.CreateDecoder(atStart: !later);
            string[] Steps() => [.. ids.Select(decoder.Push), decoder.Flush()];
            var steps = Steps();
            Assert.All(steps, s => Assert.Equal(Texts.Valid(s), s));
            var all = string.Concat(steps);
            if (!later) Assert.Equal(tokenizer.Decode(ids), all);
            // Flushing makes it as new.
            Assert.Equal(steps, Steps());
            // Byte-level spelling says what the bytes are: the text is theirs.
            if (characters) return;
            var bytes = ids.Where(id => id < tokenizer.VocabularySize).SelectMany(id => tokenizer.Piece(id).Select(ByteOf)).ToArray();
            Assert.Equal(Encoding.UTF8.GetString(bytes), all);
        }, iter: 500);

    [Fact]
    public void AnyTextComesBackThroughTokensThatCutCharacters() =>
        Texts.Whole.Sample(text =>
        {
            text += "é😀éé";
            var decoder = Bytes.CreateDecoder();
            var steps = Bytes.Encode(text).Select(decoder.Push).ToArray();
            Assert.Equal(text, string.Concat(steps));
            Assert.DoesNotContain(steps, s => s.Contains('\uFFFD') && !text.Contains('\uFFFD'));
            Assert.Equal("", decoder.Flush());
        });

    [Fact]
    public void OnlyTheTextsOwnLeadingSpaceIsTaken()
    {
        int Id(string piece) => Characters.Find(piece)!.Value;
        string Decode(bool atStart, params int[] ids)
        {
            var decoder = Characters.CreateDecoder(atStart);
            return string.Concat(ids.Select(decoder.Push)) + decoder.Flush();
        }
        Assert.Equal("a a", Decode(true, Id("▁a"), Id("▁a")));
        Assert.Equal("a a", Decode(true, 1, Id("▁a"), Id("▁a"), 2));
        Assert.Equal(" a a", Decode(false, Id("▁a"), Id("▁a")));
        Assert.Equal("  a", Decode(true, Id("▁▁"), Id("▁a")));
        Assert.Equal(" ", Decode(true, Id("<0x20>")));
    }

    [Fact]
    public void BytesThatAreNoCharacterComeOutAtTheEnd()
    {
        var decoder = Characters.CreateDecoder();
        Assert.Equal("", decoder.Push(Characters.Find("<0xF0>")!.Value));
        Assert.Equal("", decoder.Push(Characters.Find("<0x9F>")!.Value));
        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Push(Characters.Find("<0xC3>")!.Value));
        Assert.Equal("\uFFFDé", decoder.Push(Characters.Find("é")!.Value));
        Assert.Equal("", decoder.Push(100_000) + decoder.Push(-1) + decoder.Flush());
    }

    private static string WholeCharacters(ReadOnlySpan<byte> utf8)
    {
        var end = utf8.Length;
        while (end > 0 && Rune.DecodeLastFromUtf8(utf8[..end], out _, out _) != System.Buffers.OperationStatus.Done) end--;
        return Encoding.UTF8.GetString(utf8[..end]);
    }

    private static byte ByteOf(char spelled) => (byte)TokenizerBuilder.Bytes().Select((s, b) => (s, b)).First(p => p.s[0] == spelled).b;
}
