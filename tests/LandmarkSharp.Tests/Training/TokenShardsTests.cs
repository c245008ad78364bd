using System.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Training;

public sealed class TokenShardsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("shards").FullName;
    private readonly WordTokenizer tokenizer = new();

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void DocumentsStandOneAfterTheOtherWithEndOfTextBetween()
    {
        Write("text/b.txt", "A second one,\nwith two lines.");
        Write("text/a.txt", "The first document.");
        Builder().Build(Out, [("tiny", Path.Combine(folder, "text"))], Cancellation);

        using var shards = TokenShards.Open(Out, "words");
        var (first, second) = (tokenizer.Encode("The first document."), tokenizer.Encode("A second one,\nwith two lines."));
        int[] expected = [.. first, WordTokenizer.EndOfText, .. second, WordTokenizer.EndOfText];
        var tokens = new int[shards["tiny"].Count];
        shards["tiny"].Window(0, tokens);
        Assert.Equal(expected, tokens);
        Assert.Equal([0, first.Length + 1], shards.Meta.Sources[0].Documents);
        Assert.Equal(2, shards.Meta.BytesPerToken);

        var window = new int[5];
        shards["tiny"].Window(3, window);
        Assert.Equal(expected[3..8], window);
        Assert.Throws<ArgumentOutOfRangeException>(() => shards["tiny"].Window(expected.Length - 4, new int[5]));
        Assert.Contains("tiny", Assert.Throws<LandmarkException>(() => shards["other"]).Message);
    }

    [Fact]
    public void LongFileReadInPiecesGivesTheTokensOfTheWhole()
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < 1_200_000; i++) text.Append($"Line {i % 77} of  the text,\n\n it goes on. ");
        Write("long.txt", text.ToString());
        Builder(vocabulary: 1 << 20).Build(Out, [("long", Path.Combine(folder, "long.txt"))], Cancellation);

        using var shards = TokenShards.Open(Out);
        Assert.Equal(4, shards.Meta.BytesPerToken);
        var tokens = new int[shards["long"].Count];
        shards["long"].Window(0, tokens);
        Assert.Equal([.. tokenizer.Encode(text.ToString()), WordTokenizer.EndOfText], tokens);
    }

    [Fact]
    public void WrongInputIsNamed()
    {
        Write("bad/a.txt", "");
        File.WriteAllBytes(Path.Combine(folder, "bad/a.txt"), [0x41, 0xFF, 0xFE, 0x42]);
        Fails("a.txt' is not UTF-8", () => Builder().Build(Out, [("bad", Path.Combine(folder, "bad"))], Cancellation));
        Write("bad/a.txt", "zero \0 byte");
        Fails("a.txt' is not text", () => Builder().Build(Out, [("bad", Path.Combine(folder, "bad"))], Cancellation));
        Write("bad/a.txt", "");
        Fails("a.txt' is empty", () => Builder().Build(Out, [("bad", Path.Combine(folder, "bad"))], Cancellation));
        File.Delete(Path.Combine(folder, "bad/a.txt"));
        Fails("no *.txt file", () => Builder().Build(Out, [("bad", Path.Combine(folder, "bad"))], Cancellation));
        Fails("no file or folder", () => Builder().Build(Out, [("bad", Path.Combine(folder, "nowhere"))], Cancellation));
        Fails("no token shards", () => TokenShards.Open(Path.Combine(folder, "nowhere")));
    }

    [Fact]
    public void ShardsThatDoNotFitAreRefused()
    {
        Write("a.txt", "Some text to be kept.");
        Builder().Build(Out, [("a", Path.Combine(folder, "a.txt"))], Cancellation);
        Fails("another tokenizer", () => TokenShards.Open(Out, "other"));
        File.WriteAllBytes(Path.Combine(Out, "a.bin"), [1, 2]);
        Fails("expected", () => TokenShards.Open(Out));
        File.WriteAllText(Path.Combine(Out, "tokens.json"), "{");
        Fails("not valid JSON", () => TokenShards.Open(Out));
        Fails("vocabulary has 5", () => Builder(vocabulary: 5).Build(Out, [("a", Path.Combine(folder, "a.txt"))], Cancellation));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Out => Path.Combine(folder, "out");

    private TokenShardsBuilder Builder(int vocabulary = 60_000) =>
        new(tokenizer.Encode, vocabulary, WordTokenizer.EndOfText, "words");

    private void Write(string name, string text)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    private static void Fails(string part, Action action) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(action).Message);
}
