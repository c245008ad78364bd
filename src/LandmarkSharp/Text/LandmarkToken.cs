using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LandmarkSharp.Text;

/// <summary>
/// Makes the landmark known to a tokenizer's files, in each of the places where programs look: <c>tokenizer.json</c>,
/// <c>tokenizer_config.json</c>, and the files of old that go with a <c>tokenizer.model</c>. It is a special token, which no
/// text spells.
/// </summary>
internal static class LandmarkToken
{
    /// <summary>Its spelling, that of the official models.</summary>
    public const string Text = "<landmark>";

    // A vocabulary is written as it was read, not in \u escapes.
    private static readonly JsonSerializerOptions Plain =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Adds the token to the files of a folder that a tokenizer was read from without error.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="id">The landmark's id: the first that the tokenizer does not use.</param>
    public static void AddTo(string folder, int id)
    {
        Change(folder, "tokenizer.json", json =>
        {
            var token = Described();
            token.Insert(0, "id", id);
            List(json, "added_tokens").Add(token);
        });
        Change(folder, "tokenizer_config.json", json =>
        {
            if (json["added_tokens_decoder"] is JsonObject decoder) decoder[$"{id}"] = Described();
            if (json["additional_special_tokens"] is JsonArray special) special.Add(Text);
        });
        Change(folder, "added_tokens.json", json => json[Text] = id, otherwise: "{}");
        Change(folder, "special_tokens_map.json", json => List(json, "additional_special_tokens").Add(Text), otherwise: "{}");
    }

    private static JsonObject Described() => new()
    {
        ["content"] = Text,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonArray List(JsonObject json, string field)
    {
        if (json[field] is not JsonArray list) json[field] = list = [];
        return list;
    }

    private static void Change(string folder, string name, Action<JsonObject> change, string? otherwise = null)
    {
        var path = Path.Combine(folder, name);
        if ((File.Exists(path) ? File.ReadAllText(path) : otherwise) is not { } text) return;
        var json = JsonNode.Parse(text)!.AsObject();
        change(json);
        File.WriteAllText(path, json.ToJsonString(Plain) + "\n");
    }
}
