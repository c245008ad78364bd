using LandmarkSharp.Text;

namespace LandmarkSharp.Server.Memories;

/// <summary>How what is uploaded becomes a text that can be read into a memory.</summary>
internal static class DocumentConversion
{
    /// <summary>The media types that can be read.</summary>
    public static IReadOnlyList<string> MediaTypes { get; } = ["text/plain", "text/markdown"];

    /// <summary>A media type that can be read, without its parameters.</summary>
    /// <param name="mediaType">As a client says it; nothing is text.</param>
    /// <exception cref="RequestException">It cannot be.</exception>
    public static string Known(string? mediaType)
    {
        var type = (mediaType ?? MediaTypes[0]).Split(';')[0].Trim().ToLowerInvariant();
        return MediaTypes.Contains(type) ? type : throw new RequestException(
            StatusCodes.Status415UnsupportedMediaType,
            $"Documents of the type '{type}' cannot be read; send {string.Join(" or ", MediaTypes)}, in UTF-8.", "media_type", "unsupported_media_type");
    }

    /// <summary>Makes a text file of what was uploaded, which is then no more.</summary>
    /// <param name="mediaType">What it is, one of <see cref="MediaTypes"/>.</param>
    /// <param name="uploaded">The file that was uploaded.</param>
    /// <param name="text">The text file that is made; it has its name when it is whole.</param>
    /// <param name="name">The document's name, for the message.</param>
    /// <exception cref="LandmarkException">It is not what it is said to be.</exception>
    public static void ToText(string mediaType, string uploaded, string text, string name)
    {
        // All types there are are text as it stands.
        _ = mediaType;
        TextFile.Open(File.OpenRead(uploaded), name).Dispose();
        File.Move(uploaded, text, overwrite: true);
    }
}
