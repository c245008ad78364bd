using System.Text;
using LandmarkSharp.Text.Documents;

namespace LandmarkSharp.Tests.Text.Documents;

public sealed class DocumentTextTests : IDisposable
{
    private static readonly byte[] Pdf = Made.Pdf([(60, 700, "Of a PDF.")]), Epub = Made.Epub(("a", "Of a book."));

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void TheFormatIsFoundByWhatAFileBeginsWithAndItsName()
    {
        Assert.Equal("Of a PDF.", Read("a.pdf", Pdf));
        Assert.Equal("Of a PDF.", Read("a.txt", Pdf));
        Assert.Equal("Of a book.", Read("a.epub", Epub));
        Assert.Equal("Of a book.", Read("book", Epub));
        Assert.Equal("Of a page.", Read("a.HTML", "<p>Of a page."u8.ToArray()));
        Assert.Equal("Of a page.", Read("page", "\n<!DOCTYPE html><p>Of a page."u8.ToArray()));
        // Text is as it is: markup in it is what it is about.
        Assert.Equal("<html> is how it begins.", Read("a.txt", "<html> is how it begins."u8.ToArray()));
        Assert.Equal("# Title\n\n<b>x</b>\n", Read("a.md", "# Title\n\n<b>x</b>\n"u8.ToArray()));
        Assert.Equal("A <b> word", Read("words", "A <b> word"u8.ToArray()));
    }

    [Fact]
    public void AFileThatIsNotWhatItsNameSaysIsRefused()
    {
        Assert.Contains("is no PDF, or damaged", Assert.Throws<LandmarkException>(() => Read("a.pdf", "text"u8.ToArray())).Message, StringComparison.Ordinal);
        Assert.Contains("is no EPUB, or damaged", Assert.Throws<LandmarkException>(() => Read("a.epub", "text"u8.ToArray())).Message, StringComparison.Ordinal);
        Assert.Contains("is not text: byte 5 is NUL", Assert.Throws<LandmarkException>(() => Read("a.zip", Made.Zip(("a", "b")))).Message, StringComparison.Ordinal);
        Assert.Contains("There is no file", Assert.Throws<LandmarkException>(() => DocumentText.Open(folder["gone.pdf"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/html; charset=utf-8", DocumentFormat.Html)]
    [InlineData("Application/PDF", DocumentFormat.Pdf)]
    [InlineData("application/epub+zip", DocumentFormat.Epub)]
    [InlineData("text/markdown", DocumentFormat.Text)]
    [InlineData("image/png", null)]
    public void MediaTypesAreKnown(string mediaType, DocumentFormat? format) => Assert.Equal(format, DocumentText.OfMediaType(mediaType));

    [Fact]
    public void TextIsExtractedAsItIs()
    {
        Assert.Equal("a  b\n", Made.Extract("a  b\n"u8.ToArray(), DocumentFormat.Text));
        Made.Fails("is not UTF-8 text", Encoding.Latin1.GetBytes("Ça a été très agréable à Besançon."), DocumentFormat.Text);
    }

    [Fact]
    public void AStreamWithoutEndEndsAtItsLimit()
    {
        using var endless = new Endless();
        var e = Assert.Throws<LandmarkException>(() => DocumentText.Extract(endless, DocumentFormat.Html, "it", new DocumentLimits { Bytes = 1 << 20 }));
        Assert.Contains("has more than 1,048,576 bytes", e.Message, StringComparison.Ordinal);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => DocumentText.Extract(endless, DocumentFormat.Pdf, "it", cancel: cancelled.Token));
    }

    [Fact]
    public void AFolderIsItsDocuments()
    {
        foreach (var name in (string[])["b.pdf", "a/z.epub", "a/c.TXT", "d.md", "e.htm", "f.png", "g.json"]) folder.Write(name, "text");
        Assert.Equal(["a/c.TXT", "a/z.epub", "b.pdf", "d.md", "e.htm"], DocumentText.Enumerate(folder.Path).Select(f => Path.GetRelativePath(folder.Path, f)));
        Directory.CreateDirectory(folder["empty"]);
        Assert.Contains("holds no *.txt, *.md", Assert.Throws<LandmarkException>(() => DocumentText.Enumerate(folder["empty"])).Message, StringComparison.Ordinal);
    }

    private string Read(string name, byte[] bytes)
    {
        using var reader = DocumentText.Open(folder.Write(name, bytes));
        return reader.ReadToEnd();
    }

    private sealed class Endless : MemoryStream
    {
        public override int Read(Span<byte> buffer)
        {
            buffer.Fill((byte)'x');
            return buffer.Length;
        }
    }
}
