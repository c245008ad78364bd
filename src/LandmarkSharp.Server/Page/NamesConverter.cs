using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Server.Page;

/// <summary>Names as JSON: a text where there is one, as conversations about one memory always had it, and an array of several.</summary>
internal sealed class NamesConverter : JsonConverter<IReadOnlyList<string>>
{
    /// <inheritdoc/>
    public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String) return [reader.GetString()!];
        if (reader.TokenType != JsonTokenType.StartArray) throw new JsonException();
        List<string> names = [];
        while (reader.Read() && reader.TokenType == JsonTokenType.String) names.Add(reader.GetString()!);
        return reader.TokenType == JsonTokenType.EndArray ? names : throw new JsonException();
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options)
    {
        if (value is [var one])
        {
            writer.WriteStringValue(one);
            return;
        }
        writer.WriteStartArray();
        foreach (var name in value) writer.WriteStringValue(name);
        writer.WriteEndArray();
    }
}
