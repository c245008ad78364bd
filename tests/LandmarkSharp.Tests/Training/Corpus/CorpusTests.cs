using System.Diagnostics;
using System.Text;
using CsCheck;
using LandmarkSharp.Training;
using static LandmarkSharp.Tests.Training.Corpus.TextTables;

namespace LandmarkSharp.Tests.Training.Corpus;

/// <summary>Token shards from tables: whatever holds the documents, the tokens are those of the documents as text files.</summary>
public sealed class CorpusTests : IDisposable
{
    // An emoji is two characters: a private one stands for it until the text is made.
    private static readonly Gen<string> Documents = Gen.String[Gen.Char["ab1 .,\"\\\n\n\té漢\u2028\u0085\uE000"], 1, 40]
        .Select(text => text.Replace("\uE000", "😀", StringComparison.Ordinal)).Where(text => !string.IsNullOrWhiteSpace(text));

    private readonly TemporaryFolder folder = new();
    private readonly WordTokenizer tokenizer = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void EveryKindOfFileGivesTheTokensOfTextFiles() =>
        Documents.Array[1, 12].Sample(documents =>
            {
                using var trial = new TemporaryFolder();
                for (var i = 0; i < documents.Length; i++) trial.Write($"text/{i:00}.txt", documents[i]);
                var expected = Tokens(trial["text"]);
                foreach (var kind in Kinds)
                {
                    var bytes = Write(kind, documents);
                    Assert.Equal(expected, Tokens(trial.Write("plain" + kind, bytes)));
                    Assert.Equal(expected, Tokens(trial.Write($"packed{kind}.zst", Zstd(bytes))));
                }
            }, iter: 20, threads: 1);

    [Fact]
    public void RowsWithoutTextAreSkippedAndNamed()
    {
        foreach (var kind in Kinds)
        {
            var path = folder.Write("table" + kind, Write(kind, [null, "one", null, " \n", "two", null, null, "one"], "body"));
            var report = Build(path, column: "body");
            Assert.Equal(new("s", 1, 3, Tokens(path, "body").Tokens.Length, 5), Assert.Single(report.Sources));
            Assert.Equal([1, 3, 4, 6, 7], report.Skipped.Select(s => s.Row!.Value));
            Assert.Equal("holds nothing but white space", report.Skipped[2].Reason);
            Assert.All(report.Skipped.Where(s => s.Row != 4), s => Assert.Equal("has null for 'body'", s.Reason));
            Assert.All(report.Skipped, s => Assert.Equal(path, s.File));
        }
    }

    [Fact]
    public void ATableWithoutTheColumnIsNamed()
    {
        foreach (var kind in Kinds)
        {
            var path = folder.Write("table" + kind, Write(kind, ["one"]));
            var isLines = kind is ".jsonl" or ".ndjson";
            Fails(isLines ? "has no field 'body'" : "has no column 'body' but 'id', 'text'", path, column: "body");
            Fails(isLines ? "has a number for 'id'" : "has a column 'id' of ", path, column: "id");
        }
    }

    [Fact]
    public void BrokenLinesAreNamed()
    {
        var path = folder.Write("a.jsonl", [
            0xEF, 0xBB, 0xBF, .. "{\"text\": \"one\"}\r\n\r\n{\"text\": \"cut\n[1]\n{\"text\": true}\n{\"text\": [1]}\n{\"text\": {}}\n"u8,
            .. "{\"text\": \"\\ud800\"}\n{\"text\": \"a"u8, 0xFF, .. "\"}\n{\"text\": 1, \"text\": \"two\"}"u8]);
        var report = Build(path);
        Assert.Equal(2, report.Sources[0].Documents);
        Assert.Equal(
            [
                "Line 3 of 'a' is not JSON from its byte 13 on", "Line 4 of 'a' is no JSON object", "Line 5 of 'a' has a truth value for 'text'",
                "Line 6 of 'a' has a list for 'text'", "Line 7 of 'a' has an object for 'text'",
                "Line 8 of 'a' has bytes or escapes in 'text' that are no characters",
                "Line 9 of 'a' has bytes or escapes in 'text' that are no characters",
            ],
            report.Skipped.Select(s => s.ToString().Replace(path, "a", StringComparison.Ordinal)));
    }

    [Fact]
    public void BytesThatAreNoTextAreNamed()
    {
        foreach (var kind in (string[])[".parquet", ".arrow", ".stream.arrows", ".large.arrow"])
        {
            var bytes = Write(kind, ["one", "two", "wxyz"]);
            for (var at = 0; (at = bytes.AsSpan().IndexOf("wxyz"u8)) >= 0;) bytes[at + 1] = 0xFF;
            var report = Build(folder.Write("table" + kind, bytes));
            Assert.Equal((2, "is not UTF-8 text: byte 1 is part of no character"), (report.Sources[0].Documents, report.Skipped[0].Reason));
        }
    }

    [Fact]
    public void FilesThatAreNotWhatTheirNamesSayAreSkippedAndTheOthersRead()
    {
        folder.Write("in/0.txt", "one");
        foreach (var kind in Kinds.Append(".txt"))
        {
            folder.Write("in/empty" + kind, []);
            folder.Write("in/wrong" + kind, "no such thing\0"u8.ToArray());
            folder.Write($"in/wrong{kind}.zst", "no such thing"u8.ToArray());
            if (kind != ".txt") folder.Write("in/short" + kind, Write(kind, ["kept", "x", "y", "cut " + new string('z', 500)])[..^400]);
        }
        folder.Write("in/notes.md", "no text");
        var report = Build(folder["in"]);
        var spoilt = report.Skipped.Select(s => Path.GetFileName(s.File)).ToHashSet(StringComparer.Ordinal);
        foreach (var kind in Kinds.Append(".txt"))
        {
            // A file of no lines is a table of no rows.
            if (kind is not (".jsonl" or ".ndjson")) Assert.Contains("empty" + kind, spoilt);
            Assert.Contains("wrong" + kind, spoilt);
            Assert.Contains($"wrong{kind}.zst", spoilt);
            if (kind != ".txt") Assert.Contains("short" + kind, spoilt);
        }
        Assert.DoesNotContain("0.txt", spoilt);
        Assert.All(report.Skipped, s => Assert.DoesNotContain('\n', s.ToString()));
    }

    [Fact]
    public void LinksAreFilesAndNoFoldersAndLeadRoundNoCircle()
    {
        folder.Write("in/sub/a.txt", "one two");
        File.CreateSymbolicLink(folder["in/b.txt"], folder["in/sub/a.txt"]);
        File.CreateSymbolicLink(folder["in/gone.txt"], folder["nowhere"]);
        Directory.CreateSymbolicLink(folder["in/sub/up"], folder["in"]);
        var report = Build(folder["in"]);
        Assert.Equal((3, 2, 1), (report.Sources[0].Files, report.Sources[0].Documents, report.Sources[0].Skipped));
        Assert.Contains("gone.txt' cannot be read", Assert.Single(report.Skipped).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AFileWhoseNameIsNotUtf8IsSkippedAndNamed()
    {
        folder.Write("in/a.txt", "one");
        var name = $"\"$(printf '{folder["in"]}/b\\377.txt')\"";
        Shell("echo two > " + name);
        var report = Build(folder["in"]);
        Shell("rm " + name);        // .NET cannot
        Assert.Equal((1, 1), (report.Sources[0].Documents, report.Sources[0].Skipped));
        Assert.Contains("b\uFFFD.txt' cannot be read", report.Skipped[0].ToString(), StringComparison.Ordinal);

        static void Shell(string command)
        {
            using var shell = Process.Start("sh", ["-c", command]);
            shell.WaitForExit();
            Assert.Equal(0, shell.ExitCode);
        }
    }

    [Fact]
    public void ADocumentThatBreaksOffLeavesNothing()
    {
        var whole = string.Concat(Enumerable.Range(0, 400_000).Select(i => $"{i} "));
        var packed = Zstd(Encoding.UTF8.GetBytes(whole));
        folder.Write("in/a.txt", "one");
        folder.Write("in/b.txt.zst", packed[..^100]);
        folder.Write("in/c.txt", "two");
        var report = Build(folder["in"]);
        Assert.Equal((2, 1), (report.Sources[0].Documents, report.Sources[0].Skipped));
        Assert.Contains("b.txt.zst' cannot be read", Assert.Single(report.Skipped).ToString(), StringComparison.Ordinal);
        folder.Write("in/b.txt.zst", "gone");
        File.Move(folder["in/b.txt.zst"], folder["b"]);
        Assert.Equal(Tokens(folder["in"]).Tokens.Length, report.Sources[0].Tokens);
    }

    [Fact]
    public void StrictStopsAtTheFirst()
    {
        folder.Write("in/a.jsonl", "{\"text\": \"one\"}\n{}\nbroken\n");
        folder.Write("in/b.txt", "");
        Fails("Line 2 of '", folder["in"], strict: true);
        Assert.False(Directory.EnumerateFiles(folder["out"]).Any());
        File.Delete(folder["in/a.jsonl"]);
        Fails("b.txt' is empty; mend or remove it", folder["in"], strict: true);
    }

    [Fact]
    public void WhereNothingIsLeftThatIsAnError()
    {
        Fails("in.jsonl', as its files have no rows; give", folder.Write("in.jsonl", "\n\n"));
        Fails("has no field 'text' (and 1 more); give", folder.Write("in.jsonl", "{}\n{}"));
        Directory.CreateDirectory(folder["empty"]);
        Fails("holds no *.txt, *.jsonl, ", folder["empty"]);
    }

    [Fact]
    public void ARowLargerThanAPieceIsCutAsATextIs()
    {
        var text = string.Concat(Enumerable.Range(0, 150_000).Select(i => $"Line {i % 77} of  the text,\n\n")) + new string('é', 700_000);
        var expected = Tokens(folder.Write("large.txt", text));
        foreach (var kind in Kinds) Assert.Equal(expected, Tokens(folder.Write("large" + kind, Write(kind, [text]))));
    }

    [Fact]
    public void TablesOfOtherProgramsAreRead()
    {
        var expected = Tokens(Golden.Path("tables", "expected.jsonl"));
        Assert.Equal(16, expected.Starts.Length);
        foreach (var name in (string[])["snappy.parquet", "v2-zstd.parquet", "dictionary.arrow", "stream.arrows"])
            Assert.Equal(expected, Tokens(Golden.Path("tables", name)));
    }

    private TokenShardsReport Build(string path, string column = "text", bool strict = false) =>
        new TokenShardsBuilder(tokenizer.Encode, tokenizer.VocabularySize, WordTokenizer.EndOfText, "words") { Column = column, Strict = strict }
            .Build(folder["out"], [("s", path)], TestContext.Current.CancellationToken);

    /// <summary>The tokens and starts of a source, as text to be compared at once.</summary>
    private Shard Tokens(string path, string column = "text")
    {
        Build(path, column);
        using var shards = TokenShards.Open(folder["out"]);
        var tokens = new int[shards["s"].Count];
        shards["s"].Window(0, tokens);
        var starts = shards.Documents("s");
        return new Shard([.. tokens], [.. Enumerable.Range(0, (int)starts.Count).Select(i => starts[i])]);
    }

    private void Fails(string part, string path, string column = "text", bool strict = false) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(() => Build(path, column, strict)).Message, StringComparison.Ordinal);

    private sealed record Shard(int[] Tokens, long[] Starts)
    {
        public bool Equals(Shard? other) => other is not null && Tokens.AsSpan().SequenceEqual(other.Tokens) && Starts.AsSpan().SequenceEqual(other.Starts);

        public override int GetHashCode() => Tokens.Length;
    }
}
