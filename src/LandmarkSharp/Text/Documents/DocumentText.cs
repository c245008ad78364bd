using System.Text;

namespace LandmarkSharp.Text.Documents;

/// <summary>
/// The text of documents: HTML, EPUB and PDF, in reading order, with an empty line between paragraphs. What is no text (scripts,
/// styles, navigation, pictures) is left out, and nothing that a document names outside of itself is ever loaded.
/// </summary>
/// <example>
/// <code>
/// using var text = DocumentText.Open("report.pdf");
/// session.Append(text);
/// </code>
/// </example>
public static class DocumentText
{
    private const int HeadBytes = 1024;

    private static readonly Dictionary<string, DocumentFormat> Extensions = new(StringComparer.OrdinalIgnoreCase)
    {
        [".html"] = DocumentFormat.Html,
        [".htm"] = DocumentFormat.Html,
        [".xhtml"] = DocumentFormat.Html,
        [".epub"] = DocumentFormat.Epub,
        [".pdf"] = DocumentFormat.Pdf,
    };

    /// <summary>The format that a file's name tells; text where it tells none.</summary>
    public static DocumentFormat OfName(string name) => Extensions.GetValueOrDefault(Path.GetExtension(name), DocumentFormat.Text);

    /// <summary>The format of a media type such as <c>text/html; charset=utf-8</c>; null for one that is not read here.</summary>
    public static DocumentFormat? OfMediaType(string mediaType) => mediaType.Split(';')[0].Trim().ToLowerInvariant() switch
    {
        "text/html" or "application/xhtml+xml" => DocumentFormat.Html,
        "application/epub+zip" => DocumentFormat.Epub,
        "application/pdf" => DocumentFormat.Pdf,
        "text/plain" or "text/markdown" or "text/x-markdown" => DocumentFormat.Text,
        _ => null,
    };

    /// <summary>
    /// Opens a document: a PDF or EPUB by what it begins with, HTML by its name, or what it begins with where it has no ending;
    /// anything else as <see cref="TextFile.Open(string, Func{Stream, Stream})"/> does.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="through">What its bytes are read through, for one who wants to see them; closed with the reader.</param>
    /// <param name="limits">What it may take.</param>
    /// <exception cref="LandmarkException">
    /// There is no such file, it cannot be read, it is damaged or encrypted, holds no text, or takes more than it may.
    /// </exception>
    public static TextReader Open(string path, Func<Stream, Stream>? through = null, DocumentLimits? limits = null) =>
        TextFile.Reading(path, file => Open(through?.Invoke(file) ?? file, path, limits));

    /// <summary>Opens a document that a stream holds, which is closed with the reader.</summary>
    /// <param name="stream">The bytes; need not be seekable.</param>
    /// <param name="name">What to call it in an error, and what may tell its format.</param>
    /// <param name="limits">What it may take.</param>
    /// <exception cref="LandmarkException">As when a file is opened.</exception>
    public static TextReader Open(Stream stream, string name, DocumentLimits? limits = null)
    {
        try
        {
            var head = new byte[HeadBytes];
            var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
            var whole = new ReplayStream(head.AsMemory(0, length), stream);
            var format = Detect(head.AsSpan(0, length), name);
            if (format == DocumentFormat.Text) return TextFile.Open(whole, name);
            using (whole) return new StringReader(Extract(whole, format, name, limits));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>The text of a document whose format is known.</summary>
    /// <param name="stream">The bytes; need not be seekable.</param>
    /// <param name="format">What they are.</param>
    /// <param name="name">What to call it in an error.</param>
    /// <param name="limits">What it may take; the defaults of <see cref="DocumentLimits"/> when not given.</param>
    /// <param name="cancel">Asked to stop.</param>
    /// <exception cref="LandmarkException">It is damaged or encrypted, holds no text, or takes more than it may.</exception>
    public static string Extract(
        Stream stream, DocumentFormat format, string name, DocumentLimits? limits = null, CancellationToken cancel = default)
    {
        var budget = new DocumentBudget(name, limits ?? new DocumentLimits(), cancel);
        var bytes = budget.ReadFile(stream);
        if (bytes.Length == 0) throw new LandmarkException($"'{name}' is empty; give a file with text in it.");
        var text = format switch
        {
            DocumentFormat.Html => Html(bytes, budget),
            DocumentFormat.Epub => EpubText.Extract(bytes, budget),
            DocumentFormat.Pdf => PdfText.Extract(bytes, budget),
            _ => Plain(bytes, name),
        };
        budget.Characters(text.Length);
        return text;
    }

    /// <summary>Paths of the documents that a path stands for: itself, or those of a folder and below that have a name of their kind, in ordinal order.</summary>
    /// <exception cref="LandmarkException">The path does not exist, or the folder holds none.</exception>
    public static IReadOnlyList<string> Enumerate(string path)
    {
        if (!Directory.Exists(path)) return TextFile.Enumerate(path);
        string[] files = [.. TextFile.Below(path)
            .Where(f => OfName(f) != DocumentFormat.Text || Path.GetExtension(f).ToLowerInvariant() is ".txt" or ".md")];
        return files.Length > 0
            ? files
            : throw new LandmarkException($"The folder '{path}' holds no *.txt, *.md, *.html, *.epub or *.pdf file; give a folder of documents.");
    }

    private static DocumentFormat Detect(ReadOnlySpan<byte> head, string name)
    {
        if (head.StartsWith("%PDF-"u8)) return DocumentFormat.Pdf;
        if (head.StartsWith("PK\u0003\u0004"u8) && head.IndexOf("mimetypeapplication/epub+zip"u8) >= 0) return DocumentFormat.Epub;
        if (Path.GetExtension(name).Length > 0) return OfName(name);
        var start = Encoding.UTF8.GetString(head).TrimStart('\uFEFF').TrimStart();
        return start.StartsWith("<!doctype html", StringComparison.OrdinalIgnoreCase) || start.StartsWith("<html", StringComparison.OrdinalIgnoreCase)
            ? DocumentFormat.Html
            : DocumentFormat.Text;
    }

    private static string Html(byte[] bytes, DocumentBudget budget)
    {
        var text = HtmlText.Extract(HtmlEncoding.Decode(bytes, budget.Name), budget);
        return text.Length > 0 ? text : throw new LandmarkException($"'{budget.Name}' holds no text; give a page that does without scripts.");
    }

    private static string Plain(byte[] bytes, string name)
    {
        using var reader = TextFile.Open(new MemoryStream(bytes), name);
        return reader.ReadToEnd();
    }
}
