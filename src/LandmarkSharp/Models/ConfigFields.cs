using System.Text.Json;

namespace LandmarkSharp.Models;

/// <summary>One JSON object read field by field, each of its type; what was not asked for is known at the end.</summary>
internal sealed class ConfigFields
{
    private readonly Dictionary<string, JsonElement> fields = new(StringComparer.Ordinal);
    private readonly HashSet<string> asked = new(StringComparer.Ordinal);
    private readonly string prefix;

    public ConfigFields(JsonElement json, string path, string prefix = "")
    {
        (Path, this.prefix) = (path, prefix);
        if (json.ValueKind != JsonValueKind.Object)
            throw new LandmarkException(
                $"{path}: {(prefix.Length == 0 ? "the file" : prefix.TrimEnd('.'))} is no JSON object; restore the file.");
        foreach (var p in json.EnumerateObject())
            fields[p.Name] = p.Value;
    }

    public string Path { get; }

    /// <summary>Whether the field is there, be it null.</summary>
    public bool Has(string name) => fields.ContainsKey(name);

    public int Required(string name) =>
        Integer(name) ?? throw new LandmarkException($"{Path} has no {prefix}{name}; it is needed to build the model.");

    public int? Integer(string name) => Get(name) is { } e
        ? e.ValueKind == JsonValueKind.Number && e.TryGetInt32(out var x) ? x : Bad<int>(name, "an integer")
        : null;

    public double? Number(string name) => Get(name) is { } e
        ? e.ValueKind == JsonValueKind.Number ? e.GetDouble() : Bad<double>(name, "a number")
        : null;

    public bool? Flag(string name) => Get(name) is { } e
        ? e.ValueKind is JsonValueKind.True or JsonValueKind.False ? e.GetBoolean() : Bad<bool>(name, "true or false")
        : null;

    public string? Text(string name) => Get(name) is { } e
        ? e.ValueKind == JsonValueKind.String ? e.GetString() : Bad<string>(name, "a string")
        : null;

    public ConfigFields? Object(string name) => Get(name) is { } e ? new ConfigFields(e, Path, $"{prefix}{name}.") : null;

    public string[] Texts(string name) =>
        Get(name) is not { } e ? []
            : e.ValueKind == JsonValueKind.Array ? [.. e.EnumerateArray().Select(x => x.ToString())]
            : Bad<string[]>(name, "a list");

    /// <summary>A number or a list of numbers.</summary>
    public int[] Integers(string name)
    {
        if (Get(name) is not { } e) return [];
        if (e.ValueKind != JsonValueKind.Array) return [Integer(name)!.Value];
        return [.. e.EnumerateArray()
            .Select(x => x.ValueKind == JsonValueKind.Number && x.TryGetInt32(out var i) ? i : Bad<int>(name, "a list of integers"))];
    }

    /// <summary>A field that, when present, may have these values alone.</summary>
    public void Demand(string name, params string[] values)
    {
        if (Get(name) is not { } e) return;
        // Lists and objects may have been written on many lines.
        var told = e.ValueKind is JsonValueKind.Object or JsonValueKind.Array ? JsonSerializer.Serialize(e) : e.ToString();
        if (!values.Contains(told, StringComparer.Ordinal))
            throw new LandmarkException($"{Path}: {prefix}{name} is {told}; only {values[0]} is supported.");
    }

    /// <summary>Names the fields that nobody asked for, unless they are harmless, private or null.</summary>
    public void RefuseOthers(IReadOnlySet<string> harmless)
    {
        var others = fields.Where(f => !asked.Contains(f.Key) && !harmless.Contains(f.Key) && !f.Key.StartsWith('_')
                && f.Value.ValueKind != JsonValueKind.Null)
            .Select(f => prefix + f.Key).ToArray();
        if (others.Length > 0)
            throw new LandmarkException(
                $"{Path}: {string.Join(", ", others)} {(others.Length == 1 ? "is" : "are")} not supported; "
                + $"remove {(others.Length == 1 ? "it" : "them")} if the model does not depend on {(others.Length == 1 ? "it" : "them")}.");
    }

    private JsonElement? Get(string name)
    {
        asked.Add(name);
        return fields.TryGetValue(name, out var e) && e.ValueKind != JsonValueKind.Null ? e : null;
    }

    private T Bad<T>(string name, string expected) =>
        throw new LandmarkException($"{Path}: {prefix}{name} is {fields[name].GetRawText()}; expected {expected}.");
}
