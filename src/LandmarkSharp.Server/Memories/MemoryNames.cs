using System.Text;

namespace LandmarkSharp.Server.Memories;

/// <summary>Names that clients may give. A memory's becomes that of a file, so it is of few characters; a document's never does.</summary>
internal static class MemoryNames
{
    private const int MostOfMemory = 64, MostOfText = 256;

    /// <summary>A memory's name, if it is one.</summary>
    /// <exception cref="RequestException">It is none.</exception>
    public static string Memory(string? name, string field = "name") =>
        name is { Length: > 0 and <= MostOfMemory } && name[0] != '.' && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')
            ? name
            : throw RequestException.Field(
                field, $"A memory's name has up to {MostOfMemory} letters, digits, '-', '_' and '.', and does not begin with '.'; choose another.",
                "invalid_name");

    /// <summary>A document's name, if it is one.</summary>
    /// <exception cref="RequestException">It is none.</exception>
    public static string Document(string? name) => Text(name, "document", "document");

    /// <summary>A session's name, if it is one.</summary>
    /// <exception cref="RequestException">It is none.</exception>
    public static string Session(string? name, string field) => Text(name, "session", field);

    /// <summary>A name as it comes in a path: a slash in it comes as %2F, which the framework leaves.</summary>
    public static string Unescaped(string name) => name.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static string Text(string? name, string kind, string field) =>
        name is { Length: > 0 and <= MostOfText } and not ("." or "..") && !name.Any(char.IsControl) && IsText(name) && Unescaped(name) == name
            ? name
            : throw RequestException.Field(
                field,
                $"A {kind}'s name has up to {MostOfText} characters, none of them a control character, is not '.' or '..', and has no '%2F' in it; choose another.",
                "invalid_name");

    // Half a character would not come back from the memory.
    private static bool IsText(string name) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(name)) == name;
}
