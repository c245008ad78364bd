using System.Text;
using LandmarkSharp.Text.Documents;

namespace LandmarkSharp.Tests.Text.Documents;

public sealed class EpubTextTests
{
    [Fact]
    public void ChaptersComeInTheOrderOfTheSpine() => Assert.Equal(
        "One\n\nIt began.\n\nTwo\n\nIt went on & ended.",
        Made.Extract(Made.Epub(("b", "<h1>One</h1><p>It began.</p>"), ("a", "<h1>Two</h1><p>It went on &amp; ended.</p>")), DocumentFormat.Epub));

    [Fact]
    public void ChaptersAreFoundByTheirPaths() => Assert.Equal("x", Made.Extract(
        Made.Zip(
            ("META-INF/container.xml", Made.Container),
            ("OEBPS/book.opf", Opf("../text%20files/./a.xhtml#top")),
            ("text files/a.xhtml", "<html><body>x</body></html>")),
        DocumentFormat.Epub));

    [Fact]
    public void DamagedOnesAreRefused()
    {
        var whole = Made.Epub(("a", string.Concat(Enumerable.Range(0, 2000).Select(i => $"<p>{i * 7919 % 10007}</p>"))));
        Made.Fails("is no EPUB, or damaged", whole[..(whole.Length / 2)], DocumentFormat.Epub);
        Made.Fails("is no EPUB, or damaged", "PK\u0003\u0004 and so on"u8.ToArray(), DocumentFormat.Epub);
        Made.Fails("is empty", [], DocumentFormat.Epub);
        Made.Fails("it has no file 'META-INF/container.xml'", Made.Zip(("a", "b")), DocumentFormat.Epub);
        Made.Fails("it has no file 'OEBPS/book.opf'", Made.Zip(("META-INF/container.xml", Made.Container)), DocumentFormat.Epub);
        Made.Fails("it names no package", Made.Zip(("META-INF/container.xml", "<container/>")), DocumentFormat.Epub);
        Made.Fails("damaged: a file in it cannot be read", Made.Zip(("META-INF/container.xml", "<container>")), DocumentFormat.Epub);
        Made.Fails("it has no file 'OEBPS/gone.xhtml'", Made.Zip(("META-INF/container.xml", Made.Container), ("OEBPS/book.opf", Opf("gone.xhtml"))), DocumentFormat.Epub);
        Made.Fails(
            "its spine names a chapter that it has not",
            Made.Zip(("META-INF/container.xml", Made.Container), ("OEBPS/book.opf", Opf("a.xhtml").Replace("idref=\"a\"", "idref=\"z\"", StringComparison.Ordinal))),
            DocumentFormat.Epub);
        Made.Fails("holds no text", Made.Epub(("a", "<img src='cover.png'/>")), DocumentFormat.Epub);
    }

    [Theory]
    [InlineData("OEBPS/a.xhtml", true)]
    [InlineData("OEBPS/font.otf", false)]
    public void ProtectedOnesAreRefused(string encrypted, bool isRefused)
    {
        var book = Made.Zip(
            ("META-INF/container.xml", Made.Container), ("OEBPS/book.opf", Opf("a.xhtml")), ("OEBPS/a.xhtml", "<html><body>x</body></html>"),
            ("META-INF/encryption.xml", $"""
                <encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:e="http://www.w3.org/2001/04/xmlenc#"><e:EncryptedData>
                <e:CipherData><e:CipherReference URI="{encrypted}"/></e:CipherData></e:EncryptedData></encryption>
                """));
        if (isRefused) Made.Fails("is encrypted by its seller", book, DocumentFormat.Epub);
        else Assert.Equal("x", Made.Extract(book, DocumentFormat.Epub));
    }

    [Fact]
    public void BombsEndAtTheirLimits()
    {
        var chapter = new string(' ', 4 << 20) + "x";
        var bomb = Made.Epub([.. Enumerable.Range(0, 8).Select(i => ($"c{i}", chapter))]);
        Assert.InRange(bomb.Length, 0, 100_000);
        Made.Fails("has a part that unpacks to more than 1,048,576 bytes", bomb, DocumentFormat.Epub, new DocumentLimits { PartBytes = 1 << 20 });
        Made.Fails("unpacks to more than 16,777,216 bytes", bomb, DocumentFormat.Epub, new DocumentLimits { UnpackedBytes = 16 << 20 });
        Made.Fails("has 12 files in it, and 10 are taken", bomb, DocumentFormat.Epub, new DocumentLimits { Parts = 10 });
        Made.Fails("has more than 1,000 bytes", bomb, DocumentFormat.Epub, new DocumentLimits { Bytes = 1000 });
        Made.Fails("has a text of more than 3 characters", Made.Epub(("a", "abcd")), DocumentFormat.Epub, new DocumentLimits { Characters = 3 });
        Made.Fails("took more than 0 seconds", bomb, DocumentFormat.Epub, new DocumentLimits { Time = TimeSpan.Zero });
    }

    [Fact]
    public void EntitiesAreNotExpanded()
    {
        var laughs = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>""";
        Made.Fails("damaged", Made.Zip(("META-INF/container.xml", laughs + "<container>&b;</container>")), DocumentFormat.Epub);
        Assert.Equal("&b;", Made.Extract(
            Made.Zip(("META-INF/container.xml", Made.Container), ("OEBPS/book.opf", Opf("a.xhtml")), ("OEBPS/a.xhtml", laughs + "<html><body>&b;</body></html>")),
            DocumentFormat.Epub));
    }

    private static string Opf(string href) => $"""
        <package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="{href}" media-type="application/xhtml+xml"/></manifest>
        <spine><itemref idref="a"/></spine></package>
        """;
}
