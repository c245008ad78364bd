using System.Globalization;

namespace LandmarkSharp.Tensors;

/// <summary>Reads the kernel's tables of "name: value" lines.</summary>
internal static class ProcFile
{
    /// <summary>The text after the first line that starts with the field; null when there is none.</summary>
    public static string? TextOf(string file, string field)
    {
        try
        {
            foreach (var line in File.ReadLines(file))
            {
                if (line.StartsWith(field, StringComparison.Ordinal))
                    return line[field.Length..].TrimStart(' ', '\t', ':');
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        return null;
    }

    /// <summary>A field in kilobytes ("VmHWM:  1234 kB") as bytes; null when there is none.</summary>
    public static long? KilobytesOf(string file, string field) =>
        TextOf(file, field) is { } text
        && long.TryParse(text.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var kilobytes)
            ? kilobytes * 1024
            : null;
}
