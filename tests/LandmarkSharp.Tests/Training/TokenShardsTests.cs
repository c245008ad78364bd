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
        Build("tiny", "text");

        using var shards = TokenShards.Open(Out, "words");
        var first = tokenizer.Encode("The first document.");
        var second = tokenizer.Encode("A second one,\nwith two lines.");
        int[] expected = [.. first, WordTokenizer.EndOfText, .. second, WordTokenizer.EndOfText];
        var tokens = new int[shards["tiny"].Count];
        shards["tiny"].Window(0, tokens);
        Assert.Equal(expected, tokens);
        var starts = shards.Documents("tiny");
        Assert.Equal([0, first.Length + 1], [starts[0], starts[1]]);
        Assert.Equal((2, 2), (starts.Count, shards.Meta.Sources[0].DocumentCount));
        Assert.Throws<ArgumentOutOfRangeException>(() => starts[2]);
        Assert.Equal(2, shards.Meta.BytesPerToken);

        var window = new int[5];
        shards["tiny"].Window(3, window);
        Assert.Equal(expected[3..8], window);
        Assert.Throws<ArgumentOutOfRangeException>(() => shards["tiny"].Window(expected.Length - 4, new int[5]));
        Assert.Contains("tiny", Assert.Throws<LandmarkException>(() => shards["other"]).Message);
    }

    [Fact]
    public void FilesMayBeLinks()
    {
        Write("text/a.txt", "The first document.");
        Build("tiny", "text");
        var links = Path.Combine(folder, "links");
        Directory.CreateDirectory(links);
        foreach (var file in Directory.EnumerateFiles(Out)) File.CreateSymbolicLink(Path.Combine(links, Path.GetFileName(file)), file);
        using var shards = TokenShards.Open(links, "words");
        Assert.Equal(tokenizer.Encode("The first document.").Length + 1, shards["tiny"].Count);
        File.Delete(Path.Combine(Out, "tiny.docs"));
        Fails("tiny.docs has gone", () => TokenShards.Open(links));
    }

    [Fact]
    public void LongFileReadInPiecesGivesTheTokensOfTheWhole()
    {
        var text = new StringBuilder();
        for (var i = 0; text.Length < 1_200_000; i++) text.Append($"Line {i % 77} of  the text,\n\n it goes on. ");
        Write("long.txt", text.ToString());
        Build("long", "long.txt", vocabulary: 1 << 20);

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
        Fails("a.txt' is not UTF-8", () => Build("bad", "bad"));
        Write("bad/a.txt", "zero \0 byte");
        Fails("a.txt' is not text", () => Build("bad", "bad"));
        Write("bad/a.txt", "");
        Fails("a.txt' is empty", () => Build("bad", "bad"));
        File.Delete(Path.Combine(folder, "bad/a.txt"));
        Fails("holds no *.txt, ", () => Build("bad", "bad"));
        Fails("no file or folder", () => Build("bad", "nowhere"));
        Fails("no token shards", () => TokenShards.Open(Path.Combine(folder, "nowhere")));
    }

    [Fact]
    public void ShardsThatDoNotFitAreRefused()
    {
        Write("a.txt", "Some text to be kept.");
        Build("a", "a.txt");
        Fails("another tokenizer", () => TokenShards.Open(Out, "other"));
        File.WriteAllBytes(Path.Combine(Out, "a.docs"), [1, 2]);
        Fails("a.docs has 2 bytes, expected 8", () => TokenShards.Open(Out));
        File.WriteAllBytes(Path.Combine(Out, "a.bin"), [1, 2]);
        Fails("a.bin has 2 bytes, expected", () => TokenShards.Open(Out));
        File.WriteAllText(Path.Combine(Out, "tokens.json"),
            """{"vocabulary": "words", "bytes_per_token": 2, "end_of_text": 2, "sources": [{"name": "a", "file": "a.bin", "tokens": 1, "documents": [0]}]}""");
        Fails("have layout 1, and this version reads 2; make the shards again", () => TokenShards.Open(Out));
        File.WriteAllText(Path.Combine(Out, "tokens.json"), "{");
        Fails("not valid JSON", () => TokenShards.Open(Out));
        Fails("vocabulary has 5", () => Build("a", "a.txt", vocabulary: 5));
    }

    [Theory]
    [InlineData("../evil")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData(".hidden")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("a b")]
    public void NamesThatAreNoFileNamesAreRefused(string name)
    {
        Write("a.txt", "Some text.");
        Fails($"'{name}'", () => Build(name, "a.txt"));
        Assert.False(Directory.Exists(Out));
        Build("Büch-1_a.b", "a.txt");
        Assert.True(File.Exists(Path.Combine(Out, "Büch-1_a.b.bin")));
    }

    [Fact]
    public void TwoSourcesOfOneNameAreRefused()
    {
        Write("a.txt", "Some text.");
        var path = Path.Combine(folder, "a.txt");
        Fails("several sources named 'books'", () => Builder(tokenizer.Encode).Build(
            Out, [("books", path), ("Books", path)], Cancellation));
    }

    [Fact]
    public void WhatEndsBeforeItsTimeLeavesTheOldShardsWhole()
    {
        Write("a.txt", "Some text to be kept.");
        Build("a", "a.txt");
        var before = Files();
        Write("b.txt", "Another text, which is longer than the first.");
        Write("stop.txt", "stop");
        (string, string)[] sources = [("a", Path.Combine(folder, "b.txt")), ("stop", Path.Combine(folder, "stop.txt"))];

        using var cancel = new CancellationTokenSource();
        var cancelled = Builder(text => Encode(text, cancel.Cancel));
        Assert.ThrowsAny<OperationCanceledException>(() => cancelled.Build(Out, sources, cancel.Token));
        Assert.Equal(before, Files());
        var failed = Builder(text => Encode(text, () => throw new LandmarkException("It stopped.")));
        Fails("It stopped", () => failed.Build(Out, sources, Cancellation));
        Assert.Equal(before, Files());
        Builder(tokenizer.Encode).Build(Out, sources, Cancellation);
        Assert.Equal(["a.bin", "a.docs", "stop.bin", "stop.docs", "tokens.json"], Files().Keys);
        TokenShards.Open(Out).Dispose();

        int[] Encode(string text, Action stop)
        {
            if (text == "stop") stop();
            return tokenizer.Encode(text);
        }

        SortedDictionary<string, string> Files() => new(
            Directory.EnumerateFiles(Out).ToDictionary(
                f => Path.GetFileName(f), f => Convert.ToHexString(File.ReadAllBytes(f))),
            StringComparer.Ordinal);
    }

    [Fact]
    public void TextWithoutSpacesIsNotCutInsideACharacter()
    {
        static int[] Encode(string text) => [.. text.EnumerateRunes().Select(r => r.Value)];
        var text = "x" + string.Concat(Enumerable.Repeat("😀", 600_000));
        Write("long.txt", text);
        new TokenShardsBuilder(Encode, 0x110000, 0, "runes").Build(Out, [("long", Path.Combine(folder, "long.txt"))], Cancellation);
        using var shards = TokenShards.Open(Out);
        var tokens = new int[shards["long"].Count];
        shards["long"].Window(0, tokens);
        Assert.Equal([.. Encode(text), 0], tokens);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Out => Path.Combine(folder, "out");

    private void Build(string name, string path, int vocabulary = 60_000) =>
        Builder(tokenizer.Encode, vocabulary)
            .Build(Out, [(name, Path.Combine(folder, path))], Cancellation);

    private static TokenShardsBuilder Builder(Func<string, int[]> encode, int vocabulary = 60_000) =>
        new(encode, vocabulary, WordTokenizer.EndOfText, "words");

    private void Write(string name, string text)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    private static void Fails(string part, Action action) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(action).Message);
}
