using System.IO.Compression;
using System.Text;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class TextFileTests : IDisposable
{
    private readonly TempFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TextIsReadWhateverItsMark()
    {
        const string text = "Ein Schiff,\r\nund 漢字 😀.\n";
        Assert.Equal(text, TextFile.ReadAll(folder.Write("plain.txt", text)));
        foreach (var encoding in (Encoding[])[new UTF8Encoding(true), Encoding.Unicode, Encoding.BigEndianUnicode])
            Assert.Equal(text, TextFile.ReadAll(folder.Write("marked.txt", [.. encoding.GetPreamble(), .. encoding.GetBytes(text)])));
    }

    [Fact]
    public void AStreamThatCannotGoBackIsReadFromItsStart()
    {
        // Longer than what is looked at first, with a character across its end.
        var text = new string('x', 65_535) + "é and the rest " + new string('y', 100_000);
        using var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionMode.Compress, leaveOpen: true)) zip.Write(Encoding.UTF8.GetBytes(text));
        packed.Position = 0;
        using var reader = TextFile.Open(new GZipStream(packed, CompressionMode.Decompress), "standard input");
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
        Assert.Contains("'standard input' holds nothing but white space", Assert.Throws<LandmarkException>(() => TextFile.Open(blank, "standard input")).Message, StringComparison.Ordinal);
        using var empty = new MemoryStream();
        Assert.Contains("'standard input' is empty", Assert.Throws<LandmarkException>(() => TextFile.Open(empty, "standard input")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ADamagedCharacterOrTwoIsLetThrough()
    {
        var bytes = Encoding.UTF8.GetBytes(new string('a', 3000));
        bytes[1000] = 0xFF;
        Assert.Equal(1, TextFile.ReadAll(folder.Write("nearly.txt", bytes)).Count(c => c == '\uFFFD'));
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
        Assert.Contains("no *.txt", Assert.Throws<LandmarkException>(() => TextFile.Enumerate(Path.Combine(folder.Path, "empty"))).Message, StringComparison.Ordinal);
    }

    private static void Fails(string part, string path, string? name = null)
    {
        var error = Assert.Throws<LandmarkException>(() => TextFile.Open(path));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains(name ?? "bad.txt", error.Message, StringComparison.Ordinal);
    }
}
