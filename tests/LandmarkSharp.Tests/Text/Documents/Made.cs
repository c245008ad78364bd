using System.IO.Compression;
using System.Text;
using LandmarkSharp.Text.Documents;
using UglyToad.PdfPig.Core;
using UglyToad.PdfPig.Fonts.Standard14Fonts;
using UglyToad.PdfPig.Writer;

namespace LandmarkSharp.Tests.Text.Documents;

/// <summary>Documents that tests make, and what becomes of them.</summary>
internal static class Made
{
    public const string Container = """
        <?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
        <rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>
        """;

    public static string Extract(byte[] bytes, DocumentFormat format, DocumentLimits? limits = null)
    {
        using var stream = new MemoryStream(bytes);
        return DocumentText.Extract(stream, format, "the document", limits);
    }

    public static void Fails(string part, byte[] bytes, DocumentFormat format, DocumentLimits? limits = null)
    {
        var message = Assert.Throws<LandmarkException>(() => Extract(bytes, format, limits)).Message;
        Assert.StartsWith("'the document' ", message, StringComparison.Ordinal);
        Assert.True(message.Contains(part, StringComparison.Ordinal), message);
    }

    /// <summary>An EPUB of chapters in the order given, the manifest in another.</summary>
    public static byte[] Epub(params (string Name, string Body)[] chapters)
    {
        var items = string.Concat(chapters.Reverse().Select((c, i) => $"""<item id="{c.Name}" href="text/{c.Name}.xhtml" media-type="application/xhtml+xml"/>"""));
        var spine = string.Concat(chapters.Select(c => $"""<itemref idref="{c.Name}"/>"""));
        return Zip([
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", Container),
            ("OEBPS/book.opf", $"""
                <?xml version="1.0"?><!DOCTYPE package PUBLIC "x" "http://192.0.2.1/x.dtd">
                <package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>
                <item id="toc" href="toc.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="cover" href="cover.png" media-type="image/png"/>
                {items}</manifest><spine><itemref idref="toc"/>{spine}</spine></package>
                """),
            ("OEBPS/toc.xhtml", "<?xml version='1.0'?><html><body><nav><ol><li>Contents</li></ol></nav>Contents</body></html>"),
            .. chapters.Select(c => ($"OEBPS/text/{c.Name}.xhtml",
                $"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title>The Book</title></head><body>{c.Body}</body></html>")),
        ]);
    }

    public static byte[] Zip(params (string Name, string Content)[] files)
    {
        using var bytes = new MemoryStream();
        using (var archive = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
            foreach (var (name, content) in files)
            {
                using var entry = archive.CreateEntry(name, name == "mimetype" ? CompressionLevel.NoCompression : CompressionLevel.Optimal).Open();
                entry.Write(Encoding.UTF8.GetBytes(content));
            }
        return bytes.ToArray();
    }

    /// <summary>A PDF of pages, each of lines at places (points from the left and the bottom).</summary>
    public static byte[] Pdf(params (double Left, double Bottom, string Line)[][] pages)
    {
        using var builder = new PdfDocumentBuilder();
        var font = builder.AddStandard14Font(Standard14Font.Helvetica);
        foreach (var lines in pages)
        {
            var page = builder.AddPage(595, 842);
            foreach (var (left, bottom, line) in lines) page.AddText(line, 10, new PdfPoint(left, bottom), font);
        }
        return builder.Build();
    }

    /// <summary>A PDF whose one page is written in a stream of these bytes.</summary>
    public static byte[] PdfOf(string filter, byte[] stream)
    {
        using var bytes = new MemoryStream();
        List<long> at = [];
        Write("%PDF-1.7\n");
        Object("<< /Type /Catalog /Pages 2 0 R >>");
        Object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>");
        Object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>");
        at.Add(bytes.Position);
        Write($"4 0 obj\n<< /Length {stream.Length} /Filter {filter} >>\nstream\n");
        bytes.Write(stream);
        Write("\nendstream\nendobj\n");
        Object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
        var table = bytes.Position;
        Write($"xref\n0 {at.Count + 1}\n0000000000 65535 f \n{string.Concat(at.Select(a => $"{a:D10} 00000 n \n"))}");
        Write($"trailer\n<< /Size {at.Count + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
        return bytes.ToArray();

        void Object(string content)
        {
            at.Add(bytes.Position);
            Write($"{at.Count} 0 obj\n{content}\nendobj\n");
        }

        void Write(string text) => bytes.Write(Encoding.Latin1.GetBytes(text));
    }
}
