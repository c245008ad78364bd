using System.Text;
using System.Text.RegularExpressions;

namespace LandmarkSharp.Text.Documents;

/// <summary>
/// The encoding of an HTML file, as the HTML standard finds it: by its mark, by what its beginning declares, and else UTF-8, or
/// windows-1252 where it is not that.
/// </summary>
internal static partial class HtmlEncoding
{
    private const int DeclaredWithin = 1024;

    public static string Decode(byte[] bytes, string name)
    {
        if (bytes is [0xFF, 0xFE, ..]) return Encoding.Unicode.GetString(bytes.AsSpan(2));
        if (bytes is [0xFE, 0xFF, ..]) return Encoding.BigEndianUnicode.GetString(bytes.AsSpan(2));
        if (bytes is [0xEF, 0xBB, 0xBF, ..]) return Encoding.UTF8.GetString(bytes.AsSpan(3));
        var declared = Declaration().Match(Encoding.Latin1.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, DeclaredWithin))));
        if (declared.Success) return Named(declared.Groups["name"].Value, name).GetString(bytes);
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return Named("windows-1252", name).GetString(bytes);
        }
    }

    private static Encoding Named(string encoding, string name)
    {
        // A page that could be read so far as to declare it is not in UTF-16, and Latin 1 means windows-1252 (HTML standard, 13.2.3.3).
        if (encoding.StartsWith("utf-16", StringComparison.OrdinalIgnoreCase)) return Encoding.UTF8;
        if (encoding.ToLowerInvariant() is "iso-8859-1" or "latin1" or "us-ascii" or "ascii") encoding = "windows-1252";
        try
        {
            return CodePagesEncodingProvider.Instance.GetEncoding(encoding) ?? Encoding.GetEncoding(encoding);
        }
        catch (ArgumentException e)
        {
            throw new LandmarkException($"'{name}' declares the encoding '{encoding}', which is not known; convert it to UTF-8.", e);
        }
    }

    [GeneratedRegex("""(?:charset|encoding)\s*=\s*["']?\s*(?<name>[\w:.-]+)""", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture)]
    private static partial Regex Declaration();
}
