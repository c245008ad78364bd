using System.Text.Json;

namespace LandmarkSharp.Text;

/// <summary>
/// One component of a <c>tokenizer.json</c>, read so that nothing in it is passed over: every field must be asked for
/// or be known to have no effect, and <see cref="Done"/> refuses what is left.
/// </summary>
internal sealed class HuggingFaceJson(string path, string name, JsonElement element)
{
    private readonly HashSet<string> read = new(StringComparer.Ordinal) { "type" };

    /// <summary>Where in the file this is, for errors: <c>pre_tokenizer.pretokenizers[0]</c>.</summary>
    public string Name => name;

    /// <summary>What component it is; null when the file does not say.</summary>
    public string? Type => element.TryGetProperty("type", out var type) ? type.GetString() : null;

    public bool Bool(string field, bool otherwise) => Field(field) is { } value
        ? value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(field, "true or false")
        : otherwise;

    public string? String(string field) => Field(field) is { } value
        ? value.ValueKind == JsonValueKind.String ? value.GetString() : throw Wrong(field, "a string")
        : null;

    public int Int(string field, int otherwise) => Field(field) is { } value
        ? value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw Wrong(field, "a whole number")
        : otherwise;

    /// <summary>A nested component, or null where the file has none.</summary>
    public HuggingFaceJson? Component(string field) => Field(field) is { } value
        ? value.ValueKind == JsonValueKind.Object ? new HuggingFaceJson(path, Join(field), value) : throw Wrong(field, "an object")
        : null;

    /// <summary>The items of a list of components; empty where the file has none.</summary>
    public IEnumerable<HuggingFaceJson> Components(string field)
    {
        if (Field(field) is not { } value) return [];
        if (value.ValueKind != JsonValueKind.Array) throw Wrong(field, "a list");
        return value.EnumerateArray().Select((item, i) => item.ValueKind == JsonValueKind.Object
            ? new HuggingFaceJson(path, $"{Join(field)}[{i}]", item) : throw Wrong($"{field}[{i}]", "an object"));
    }

    /// <summary>A field as it stands, or null when it is missing or null.</summary>
    public JsonElement? Field(string field)
    {
        read.Add(field);
        return element.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    /// <summary>Marks fields as known to have no effect on tokens or text.</summary>
    public HuggingFaceJson Ignore(params ReadOnlySpan<string> fields)
    {
        foreach (var field in fields) read.Add(field);
        return this;
    }

    /// <summary>Refuses a field that was not asked for.</summary>
    public void Done()
    {
        foreach (var field in element.EnumerateObject())
        {
            if (!read.Contains(field.Name) && field.Value.ValueKind != JsonValueKind.Null)
                throw new LandmarkException(
                    $"'{path}' has the field {Join(field.Name)}, which is not supported; use a tokenizer without it.");
        }
    }

    /// <summary>The error for a component, or a value in it, that is known but not supported.</summary>
    public LandmarkException Unsupported(string what) => new(
        $"'{path}' asks for {what}{(name.Length == 0 ? "" : $" in {name}")}, which is not supported; "
        + "use a byte-pair tokenizer without it.");

    /// <summary>The error for a value that cannot be.</summary>
    public LandmarkException Wrong(string field, string expected) => new(
        $"'{path}' is damaged: {Join(field)} is not {expected}; fetch the file again.");

    private string Join(string field) => name.Length == 0 ? field : $"{name}.{field}";
}
