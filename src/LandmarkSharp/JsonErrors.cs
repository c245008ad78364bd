using System.Text.Json;

namespace LandmarkSharp;

/// <summary>What a JSON reader says, as the part of a sentence.</summary>
internal static class JsonErrors
{
    /// <summary>The first thing it says, and the line for people: its own words go on with paths and bytes.</summary>
    public static string InBrief(this Exception error)
    {
        var first = error.Message.Split(". ")[0].TrimEnd('.');
        return error is JsonException { LineNumber: { } line } ? $"{first}, in line {line + 1}" : first;
    }
}
