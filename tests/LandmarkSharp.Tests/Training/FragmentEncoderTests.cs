using CsCheck;
using LandmarkSharp.Tests.Text;
using LandmarkSharp.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

public class FragmentEncoderTests
{
    [Fact]
    public void FragmentsGiveTheTokensOfTheWhole()
    {
        var tokenizer = new WordTokenizer();
        Gen.String[Gen.Char[" \n\n ab1.,\"é"], 0, 40].Sample(text =>
        {
            var tokens = new List<int>();
            tokenizer.Encoder.Append(text, tokens, atStart: true);
            // A space in front belongs to the tokenizer's own, so a text that begins with one is not split there.
            if (text.Length > 0 && text[0] is not (' ' or '\n')) Assert.Equal(tokenizer.Encode(text), tokens);
        });
    }

    // Tokens of two characters, most of them white space, as vocabularies of code have them.
    [Theory]
    [InlineData(TokenizerBuilder.Gpt2Split)]
    [InlineData(TokenizerBuilder.Llama3Split)]
    [InlineData(TokenizerBuilder.Qwen2Split)]
    public void WhiteSpaceOfAllKindsGivesTheTokensOfTheWhole(string split)
    {
        using var folder = new TemporaryFolder();
        string[] merges = ["Ġ Ġ", "Ċ Ċ", "č Ċ", "Ċ Ġ", "Ġ Ċ", "ĉ Ġ", "Ġ ĉ", "ĉ Ċ", "Ċ ĉ", "ĉ ĉ", ". Ċ", "Ġ a", "ĉ a", "a b"];
        var tokenizer = Tokenizer.Load(folder.Write("tokenizer.json", TokenizerBuilder.ByteLevelJson(merges, TokenizerBuilder.SplitThenBytes(split))));
        var encoder = new FragmentEncoder(text => tokenizer.Encode(text));
        Gen.String[Gen.Char[" \n\r\t\u00a0ab1.é"], 0, 30].Sample(text =>
        {
            var tokens = new List<int>();
            encoder.Append(text, tokens, atStart: true);
            Assert.Equal(tokenizer.Encode(text), tokens);
        });
    }

    [Fact]
    public void TokenizerThatJoinsLineEndsIsSplitAtSpacesOnly()
    {
        // ".\n" is one token here, as in tokenizers of the byte-level kind.
        static int[] Encode(string text) => [.. text.Replace(".\n", "\u2028").Select(c => (int)c)];
        var encoder = new FragmentEncoder(Encode);
        var tokens = new List<int>();
        encoder.Append("One.\nTwo three.\nFour", tokens, atStart: true);
        Assert.Equal(Encode("One.\nTwo three.\nFour"), tokens);
        Assert.False(encoder.Splits('a', '\n'));
    }

    [Fact]
    public void TokenizerThatJoinsWordsIsRefused()
    {
        static int[] Encode(string text) => [.. text.Replace("e k", "\u2028").Select(c => (int)c)];
        var error = Assert.Throws<LandmarkException>(() => new FragmentEncoder(Encode));
        Assert.Contains("spaces", error.Message);
    }
}
