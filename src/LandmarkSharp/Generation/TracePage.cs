using System.Net;

namespace LandmarkSharp.Generation;

/// <summary>A trace as one HTML page with all that it needs in it: its parts are files of their own here.</summary>
internal static class TracePage
{
    /// <summary>The page.</summary>
    public static string Of(TraceFile trace)
    {
        // In this order: a text may hold what looks like a place for another part.
        var title = trace.Header.Text is { } file ? Path.GetFileName(file) : trace.Header.Model;
        return string.Concat(Pieces(Part("trace.html"), new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["title"] = WebUtility.HtmlEncode(title),
            ["style"] = Part("trace.css"),
            ["script"] = Part("trace-data.js") + Part("trace-draw.js") + Part("trace-page.js"),
            ["data"] = trace.ToJson(),
        }));
    }

    /// <summary>The page's text with each <c>{{name}}</c> replaced; what is put in is not looked at.</summary>
    private static IEnumerable<string> Pieces(string page, Dictionary<string, string> parts)
    {
        foreach (var (i, piece) in page.Split("{{").Index())
        {
            if (i == 0) yield return piece;
            else
            {
                var end = piece.IndexOf("}}", StringComparison.Ordinal);
                yield return parts[piece[..end]];
                yield return piece[(end + 2)..];
            }
        }
    }

    private static string Part(string name)
    {
        using var reader = new StreamReader(typeof(TracePage).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
