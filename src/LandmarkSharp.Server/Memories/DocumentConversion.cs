using LandmarkSharp.Text;
using Microsoft.Net.Http.Headers;

namespace LandmarkSharp.Server.Memories;

/// <summary>How what is uploaded becomes a text that can be read into a memory.</summary>
internal static class DocumentConversion
{
    /// <summary>Makes a text file of an uploaded one, by media type; it has its name when it is whole.</summary>
    private static readonly Dictionary<string, Action<string, string, string>> Converters = new()
    {
        ["text/plain"] = AsItStands,
        ["text/markdown"] = AsItStands,
    };

    /// <summary>A media type that can be read, without its parameters.</summary>
    /// <param name="mediaType">As a client says it; nothing is text.</param>
    /// <exception cref="RequestException">It cannot be.</exception>
    public static string Known(string? mediaType)
    {
        if (mediaType is null) return "text/plain";
        if (MediaTypeHeaderValue.TryParse(mediaType, out var said) && said.MediaType.Value?.ToLowerInvariant() is { } type && Converters.ContainsKey(type)
            && (!said.Charset.HasValue || said.Charset.Value!.Trim('"').ToLowerInvariant() is "utf-8" or "us-ascii"))
            return type;
        throw new RequestException(
            StatusCodes.Status415UnsupportedMediaType,
            $"Documents of the type '{mediaType}' cannot be read; send {string.Join(" or ", Converters.Keys)}, in UTF-8.", "media_type",
            "unsupported_media_type");
    }

    /// <summary>Makes a text file of what was uploaded, which need not be there any more then.</summary>
    /// <param name="mediaType">What it is, as <see cref="Known"/> says it.</param>
    /// <param name="uploaded">The file that was uploaded.</param>
    /// <param name="text">The text file that is made.</param>
    /// <param name="name">The document's name, for the message.</param>
    /// <exception cref="LandmarkException">It is not what it is said to be.</exception>
    public static void ToText(string mediaType, string uploaded, string text, string name) => Converters[mediaType](uploaded, text, name);

    private static void AsItStands(string uploaded, string text, string name)
    {
        TextFile.Open(File.OpenRead(uploaded), name).Dispose();
        File.Move(uploaded, text, overwrite: true);
    }
}
