using LandmarkSharp.Text;
using LandmarkSharp.Text.Documents;
using Microsoft.Net.Http.Headers;

namespace LandmarkSharp.Server.Memories;

/// <summary>How what is uploaded becomes a text that can be read into a memory.</summary>
internal static class DocumentConversion
{
    /// <summary>A document that its sender made to take long is not to keep others waiting for hours.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>One at a time: each may take much memory.</summary>
    private static readonly SemaphoreSlim Converting = new(1);

    /// <summary>Media types that can be read.</summary>
    public static IReadOnlyList<string> MediaTypes { get; } = ["text/plain", "text/markdown", "text/html", "application/epub+zip", "application/pdf"];

    /// <summary>A media type that can be read, without its parameters.</summary>
    /// <param name="mediaType">As a client says it; nothing is text.</param>
    /// <exception cref="RequestException">It cannot be.</exception>
    public static string Known(string? mediaType)
    {
        if (mediaType is null) return "text/plain";
        if (MediaTypeHeaderValue.TryParse(mediaType, out var said) && said.MediaType.Value is { } type && DocumentText.OfMediaType(type) is { } format
            && (format != DocumentFormat.Text || !said.Charset.HasValue || said.Charset.Value!.Trim('"').ToLowerInvariant() is "utf-8" or "us-ascii"))
            return type;
        throw new RequestException(
            StatusCodes.Status415UnsupportedMediaType,
            $"Documents of the type '{mediaType}' cannot be read; send text/plain or text/markdown in UTF-8, text/html, application/epub+zip or application/pdf.",
            "media_type", "unsupported_media_type");
    }

    /// <summary>Makes a text file of what was uploaded.</summary>
    /// <param name="mediaType">What it is, as <see cref="Known"/> says it.</param>
    /// <param name="uploaded">The file that was uploaded, which need not be there any more then.</param>
    /// <param name="text">The text file that is made; it has its name when it is whole.</param>
    /// <param name="name">The document's name, for the message.</param>
    /// <param name="mostBytes">Bytes that the uploaded file may have.</param>
    /// <param name="cancel">Gives it up.</param>
    /// <exception cref="LandmarkException">It is not what it is said to be, is damaged, holds no text, or takes more than it may.</exception>
    public static async Task ToText(string mediaType, string uploaded, string text, string name, long mostBytes, CancellationToken cancel)
    {
        var format = DocumentText.OfMediaType(mediaType)!.Value;
        if (format == DocumentFormat.Text)
        {
            TextFile.Open(File.OpenRead(uploaded), name).Dispose();
            File.Move(uploaded, text, overwrite: true);
            return;
        }
        await Converting.WaitAsync(cancel);
        var whole = text + ".new";
        try
        {
            await using (var file = File.OpenRead(uploaded))
            {
                var extracted = DocumentText.Extract(file, format, name, new DocumentLimits { Bytes = mostBytes, Time = Patience }, cancel);
                await using var target = new FileStream(whole, FileMode.Create, FileAccess.Write);
                await using (var writer = new StreamWriter(target, leaveOpen: true)) await writer.WriteAsync(extracted.AsMemory(), cancel);
                target.Flush(flushToDisk: true);
            }
            File.Move(whole, text, overwrite: true);
            File.Delete(uploaded);
        }
        catch
        {
            File.Delete(whole);
            throw;
        }
        finally
        {
            Converting.Release();
        }
    }
}
