using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Training;

/// <summary>How the files of a run's folder are written: names as recipes have them, text as people read it.</summary>
internal static class RunJson
{
    /// <summary>A line.</summary>
    public static JsonSerializerOptions Line { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>A file of its own.</summary>
    public static JsonSerializerOptions Whole { get; } = new(Line) { WriteIndented = true };

    /// <summary>Writes a file beside and renames it: whatever has the name is whole.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void Write<T>(string path, T value) => WholeFiles.Write(path, JsonSerializer.Serialize(value, Whole) + "\n");
}
