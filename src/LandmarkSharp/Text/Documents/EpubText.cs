using System.IO.Compression;
using System.Text;
using System.Xml;
using System.Xml.Linq;

namespace LandmarkSharp.Text.Documents;

/// <summary>The text of an EPUB: its chapters in the order of its spine, without its table of contents.</summary>
internal sealed class EpubText
{
    private const int MetadataCharacters = 16 << 20;

    private static readonly XNamespace Container = "urn:oasis:names:tc:opendocument:xmlns:container";
    private static readonly XNamespace Package = "http://www.idpf.org/2007/opf";
    private static readonly XNamespace Encryption = "http://www.w3.org/2001/04/xmlenc#";

    private readonly ZipArchive archive;
    private readonly DocumentBudget budget;

    private EpubText(ZipArchive archive, DocumentBudget budget) => (this.archive, this.budget) = (archive, budget);

    public static string Extract(byte[] bytes, DocumentBudget budget)
    {
        try
        {
            using var archive = new ZipArchive(new MemoryStream(bytes), ZipArchiveMode.Read);
            budget.Parts(archive.Entries.Count, "files in it");
            return new EpubText(archive, budget).Read();
        }
        catch (Exception e) when (e is InvalidDataException or XmlException or NotSupportedException or EndOfStreamException)
        {
            throw Damaged(budget, "a file in it cannot be read", e);
        }
    }

    private string Read()
    {
        var package = Xml("META-INF/container.xml").Descendants(Container + "rootfile").FirstOrDefault()?.Attribute("full-path")?.Value
            ?? throw Damaged("it names no package");
        var document = Xml(package);
        var items = new Dictionary<string, XElement>(StringComparer.Ordinal);
        foreach (var item in document.Descendants(Package + "item"))
            if (item.Attribute("id") is { } id) items.TryAdd(id.Value, item);
        var encrypted = Encrypted();
        var layout = new TextLayout();
        foreach (var reference in document.Descendants(Package + "itemref"))
        {
            if (!items.TryGetValue(reference.Attribute("idref")?.Value ?? "", out var item)) throw Damaged("its spine names a chapter that it has not");
            if (!IsChapter(item)) continue;
            var path = Resolve(package, item.Attribute("href")?.Value ?? "");
            if (encrypted.Contains(path))
                throw new LandmarkException($"'{budget.Name}' is encrypted by its seller; give a copy without protection.");
            HtmlText.Append(layout, HtmlEncoding.Decode(Bytes(path), budget.Name), budget, hasTitle: false);
            budget.Characters(layout.Length);
        }
        return layout.Length > 0 ? layout.ToString() : throw new LandmarkException($"'{budget.Name}' holds no text; give a book that has some.");
    }

    private static bool IsChapter(XElement item) =>
        item.Attribute("media-type")?.Value is "application/xhtml+xml" or "text/html"
        && item.Attribute("properties")?.Value.Split(' ').Contains("nav") != true;

    /// <summary>Files that a reader needs a key for. Fonts are often among them; only chapters matter.</summary>
    private HashSet<string> Encrypted() => archive.GetEntry("META-INF/encryption.xml") is null
        ? []
        : [.. Xml("META-INF/encryption.xml").Descendants(Encryption + "CipherReference")
            .Select(c => Uri.UnescapeDataString(c.Attribute("URI")?.Value ?? "")).Select(u => u.TrimStart('/'))];

    /// <summary>The path in the archive that a reference from a file in it stands for.</summary>
    private static string Resolve(string from, string reference)
    {
        List<string> parts = [.. from.Split('/')[..^1]];
        foreach (var part in Uri.UnescapeDataString(reference.Split('#')[0]).Split('/'))
            if (part == "..")
            {
                if (parts.Count > 0) parts.RemoveAt(parts.Count - 1);
            }
            else if (part is not ("" or "."))
            {
                parts.Add(part);
            }
        return string.Join('/', parts);
    }

    private XDocument Xml(string path)
    {
        using var text = new StreamReader(new MemoryStream(Bytes(path)), Encoding.UTF8, detectEncodingFromByteOrderMarks: true);
        // A document type may stand there; what it defines or names is not looked at.
        var settings = new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null, MaxCharactersInDocument = MetadataCharacters };
        using var reader = XmlReader.Create(text, settings);
        return XDocument.Load(reader);
    }

    /// <summary>What is in a file of the archive: as much as comes, whatever length it tells.</summary>
    private byte[] Bytes(string path)
    {
        var entry = archive.GetEntry(path) ?? throw Damaged($"it has no file '{path}'");
        using var stream = entry.Open();
        using var bytes = new MemoryStream();
        var buffer = new byte[1 << 16];
        var unpacked = 0L;
        for (int read; (read = stream.Read(buffer)) > 0; bytes.Write(buffer, 0, read)) budget.Unpack(read, ref unpacked);
        return bytes.ToArray();
    }

    private LandmarkException Damaged(string why) => Damaged(budget, why, null);

    private static LandmarkException Damaged(DocumentBudget budget, string why, Exception? inner) =>
        new($"'{budget.Name}' is no EPUB, or damaged: {why}; give a whole copy.", inner!);
}
