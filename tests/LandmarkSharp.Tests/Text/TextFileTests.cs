using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class TextFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TextIsReadWhateverItsMark()
    {
        const string text = "Ein Schiff,\r\nund 漢字 😀.\n";
        Assert.Equal(text, Read(folder.Write("plain.txt", text)));
        foreach (var encoding in (Encoding[])[new UTF8Encoding(true), Encoding.Unicode, Encoding.BigEndianUnicode])
            Assert.Equal(text, Read(folder.Write("marked.txt", [.. encoding.GetPreamble(), .. encoding.GetBytes(text)])));
    }

    [Fact]
    public void AStreamThatCannotGoBackIsReadFromItsStart()
    {
        // Longer than what is looked at first, with a character across its end.
        var text = new string('x', 65_535) + "é and the rest " + new string('y', 100_000);
        using var reader = TextFile.Open(Pipe(Encoding.UTF8.GetBytes(text)), "standard input");
        Assert.Equal(text, reader.ReadToEnd());
    }

    [Fact]
    public void WhatIsNoTextIsNamed()
    {
        Fails("is empty", folder.Write("bad.txt", ""));
        Fails("nothing but white space", folder.Write("bad.txt", " \n\t \u00A0\n"));
        Fails("byte 3 is NUL", folder.Write("bad.txt", "abc\0def"));
        Fails("not UTF-8", folder.Write("bad.txt", Encoding.Latin1.GetBytes("Ça a été très agréable à Besançon.")));
        Fails("no file", Path.Combine(folder.Path, "bad.txt.gone"));
        Fails("is a folder", folder.Path, folder.Path);
        using var blank = new MemoryStream(" \n\t\n"u8.ToArray());
        Assert.Contains("'standard input' holds nothing but white space", Assert.Throws<LandmarkException>(
            () => TextFile.Open(blank, "standard input")).Message, StringComparison.Ordinal);
        using var empty = new MemoryStream();
        Assert.Contains("'standard input' is empty", Assert.Throws<LandmarkException>(
            () => TextFile.Open(empty, "standard input")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ADamagedCharacterOrTwoIsLetThrough()
    {
        var bytes = Encoding.UTF8.GetBytes(new string('a', 3000));
        bytes[1000] = 0xFF;
        Assert.Equal(1, Read(folder.Write("nearly.txt", bytes)).Count(c => c == '\uFFFD'));
    }

    [Fact]
    public void AFolderIsItsTextsInOneOrder()
    {
        foreach (var name in (string[])["b.txt", "a/z.txt", "a/c.txt", "B.txt", "notes.md"]) folder.Write(name, "text");
        Assert.Equal(
            ["B.txt", "a/c.txt", "a/z.txt", "b.txt"],
            TextFile.Enumerate(folder.Path).Select(p => Path.GetRelativePath(folder.Path, p)));
        Assert.Single(TextFile.Enumerate(Path.Combine(folder.Path, "notes.md")));
        Directory.CreateDirectory(Path.Combine(folder.Path, "empty"));
        Assert.Contains("no *.txt", Assert.Throws<LandmarkException>(
            () => TextFile.Enumerate(Path.Combine(folder.Path, "empty"))).Message, StringComparison.Ordinal);
    }

    /// <summary>A pipe can be read once: what was looked at must not be lost.</summary>
    [Fact]
    public async Task APipeGivenAsAFileIsReadFromItsStart()
    {
        var (path, text) = (folder["pipe"], string.Concat(Enumerable.Range(0, 40_000).Select(i => $"{i} ")));
        using (var mkfifo = Process.Start("mkfifo", path)) await mkfifo.WaitForExitAsync(TestContext.Current.CancellationToken);
        var written = Task.Run(() => File.WriteAllText(path, text), TestContext.Current.CancellationToken);
        var read = Task.Run(() => Read(path), TestContext.Current.CancellationToken);
        Assert.Equal(text, await read.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        await written;
    }

    [Fact]
    public void WhatComesThroughAPipeIsCheckedAsAFileIs()
    {
        Assert.Contains("nothing but white space", Refusal(Encoding.UTF8.GetBytes(new string('\n', 65_536))), StringComparison.Ordinal);
        Assert.Contains("nothing but white space",
            Refusal(Encoding.UTF8.GetBytes(new string('\u3000', 100_000))), StringComparison.Ordinal);
        Assert.Contains("nothing but white space",
            Refusal([.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes(new string(' ', 70_000))]), StringComparison.Ordinal);
        Assert.Contains("is not text", Refusal([1, 2, 0, 3]), StringComparison.Ordinal);
        Assert.Contains("is empty", Refusal([]), StringComparison.Ordinal);

        string Refusal(byte[] bytes) =>
            Assert.Throws<LandmarkException>(() => TextFile.Open(Pipe(bytes), "standard input")).Message;
    }

    [Theory]
    [InlineData(65_535)]
    [InlineData(65_536)]
    [InlineData(400_000)]
    public void WhiteSpaceBeforeATextIsPartOfIt(int length)
    {
        var text = new string('\u3000', length) + "text"; // three bytes each: some lie across the pieces read
        using var reader = TextFile.Open(Pipe(Encoding.UTF8.GetBytes(text)), "standard input");
        Assert.Equal(text, reader.ReadToEnd());
    }

    /// <summary>A stream that cannot go back.</summary>
    private static GZipStream Pipe(byte[] bytes)
    {
        var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionMode.Compress, leaveOpen: true)) zip.Write(bytes);
        packed.Position = 0;
        return new GZipStream(packed, CompressionMode.Decompress);
    }

    private static string Read(string path)
    {
        using var reader = TextFile.Open(path);
        return reader.ReadToEnd();
    }

    private static void Fails(string part, string path, string? name = null)
    {
        var error = Assert.Throws<LandmarkException>(() => TextFile.Open(path));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains(name ?? "bad.txt", error.Message, StringComparison.Ordinal);
    }
}
