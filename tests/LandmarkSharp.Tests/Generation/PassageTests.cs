using System.Text;
using CsCheck;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Blocks as passages of text.</summary>
public sealed class PassageTests
{
    private static readonly Tokenizer Letters = Load();
    private static readonly string[] Parts = ["a", " ", "é", "日", "🙂", "\n", "th"];

    /// <summary>Letters that the tokenizer does not have are several tokens, and blocks part them.</summary>
    [Fact]
    public void PassagesStandWhereTheySay() =>
        Gen.Select(Gen.Int[0, 6].Select(i => Parts[i]).Array[1, 60], Gen.Int[1, 9]).Sample((parts, blockTokens) =>
        {
            var text = string.Concat(parts);
            var tokens = Letters.Encode(text, addSpecial: true);
            var blocks = (tokens.Length + blockTokens - 1) / blockTokens;
            var bytes = Encoding.UTF8.GetBytes(text);
            var passages = Passage.Of(Letters, tokens, blockTokens, Enumerable.Range(0, blocks).Reverse().Select(b => (long)b));
            Assert.Equal(text, string.Concat(passages.Select(p => p.Text)));
            Assert.Equal(tokens.Length, passages.Sum(p => p.Tokens));
            foreach (var (i, p) in passages.Index())
            {
                Assert.Equal((i, i * blockTokens), (p.Block, p.FirstToken));
                Assert.Equal(p.Text, Encoding.UTF8.GetString(bytes.AsSpan((int)p.FirstByte!, p.Bytes)));
                Assert.Equal(p.Text, text.Substring((int)p.FirstCharacter!, p.Text.Length));
                // Alone it is what it is among others.
                if (i < blocks - 1) Assert.Equal(p, Assert.Single(Passage.Of(Letters, tokens, blockTokens, [i])));
            }
        }, iter: 200);

    [Fact]
    public void ABlockThatIsNotThereIsRefused()
    {
        var tokens = Letters.Encode("abcde", addSpecial: false);
        Assert.Equal(2, Passage.Of(Letters, tokens, 3, [1, 0, 1]).Count);
        foreach (var block in (long[])[-1, 2])
            Assert.Contains("they are numbered from 0 to 1", Assert.Throws<LandmarkException>(
                () => Passage.Of(Letters, tokens, 3, [block])).Message, StringComparison.Ordinal);
    }

    private static Tokenizer Load()
    {
        using var folder = new TemporaryFolder();
        TinyRun.WriteTokenizer(folder["tokenizer.model"]);
        return Tokenizer.Load(folder.Path);
    }
}
