using System.Globalization;
using System.Text.Json;

namespace LandmarkSharp.Text;

/// <summary>What the files beside a tokenizer say about its special tokens; null where they say nothing.</summary>
internal sealed class TokenizerSettings
{
    /// <summary>The files' names.</summary>
    public const string Config = "tokenizer_config.json", SpecialTokens = "special_tokens_map.json", AddedTokens = "added_tokens.json";

    private readonly Dictionary<string, string> roles = new(StringComparer.Ordinal);
    private readonly HashSet<string> specials = new(StringComparer.Ordinal);
    private readonly Dictionary<int, AddedToken> added = [];
    private bool? addsBos;
    private bool? addsEos;

    public static TokenizerSettings Read(string folder)
    {
        var settings = new TokenizerSettings();
        ReadFile(Path.Combine(folder, SpecialTokens), settings.AddRoles);
        ReadFile(Path.Combine(folder, AddedTokens), settings.AddTokens);
        ReadFile(Path.Combine(folder, Config), settings.AddConfig);
        return settings;
    }

    /// <summary>The tokenizer with these settings; what they say comes before what its own file says.</summary>
    public TokenizerParts Apply(TokenizerParts parts, string file)
    {
        var entries = new Dictionary<int, VocabularyEntry>();
        for (var id = 0; id < parts.Vocabulary.Count; id++)
        {
            if (parts.Vocabulary[id] is { } entry) entries[id] = entry;
        }
        var tokens = parts.AddedTokens.ToList();
        foreach (var (id, token) in added)
        {
            if (entries.TryGetValue(id, out var known))
            {
                if (known.Text == token.Text) continue;
                throw new LandmarkException(
                    $"The files beside '{file}' call token {id} '{token.Text}', but its own name is '{known.Text}'; "
                    + "use the files of one tokenizer.");
            }
            var special = token with { Special = token.Special || specials.Contains(token.Text) };
            entries[id] = HuggingFaceTokenizer.Entry(special);
            tokens.Add(special);
        }

        var vocabulary = tokens.Count == parts.AddedTokens.Count ? parts.Vocabulary : new Vocabulary(entries);
        var bos = Role("bos_token", vocabulary, file) ?? parts.BosId ?? parts.Prefix.Cast<int?>().FirstOrDefault();
        var eos = Role("eos_token", vocabulary, file) ?? parts.EosId ?? parts.Suffix.Cast<int?>().LastOrDefault();
        return parts with
        {
            Vocabulary = vocabulary,
            AddedTokens = tokens,
            BosId = bos,
            EosId = eos,
            Prefix = With(parts.Prefix, bos, addsBos),
            Suffix = With(parts.Suffix, eos, addsEos),
        };
    }

    private static IReadOnlyList<int> With(IReadOnlyList<int> ids, int? id, bool? wanted) =>
        id is not { } mark || wanted is null || wanted == ids.Contains(mark) ? ids
        : wanted.Value ? [mark, .. ids] : [.. ids.Where(other => other != mark)];

    private int? Role(string role, Vocabulary vocabulary, string file)
    {
        if (!roles.TryGetValue(role, out var text)) return null;
        return vocabulary.Find(text) ?? throw new LandmarkException(
            $"The files beside '{file}' name '{text}' as {role}, but the tokenizer has no such token; use the files of one tokenizer.");
    }

    private void AddRoles(JsonElement map)
    {
        foreach (var field in map.EnumerateObject())
        {
            if (Text(field.Value) is { } text)
            {
                roles[field.Name] = text;
                specials.Add(text);
            }
            else if (field.Value.ValueKind == JsonValueKind.Array)
            {
                specials.UnionWith(field.Value.EnumerateArray().Select(Text).OfType<string>());
            }
        }
    }

    private void AddTokens(JsonElement map)
    {
        foreach (var field in map.EnumerateObject())
            added[field.Value.GetInt32()] = new AddedToken(field.Name, field.Value.GetInt32(), Special: false);
    }

    private void AddConfig(JsonElement config)
    {
        foreach (var role in (string[])["bos_token", "eos_token"])
        {
            if (config.TryGetProperty(role, out var value) && Text(value) is { } text) roles[role] = text;
        }
        addsBos = Bool(config, "add_bos_token");
        addsEos = Bool(config, "add_eos_token");
        if (!config.TryGetProperty("added_tokens_decoder", out var tokens)) return;
        foreach (var field in tokens.EnumerateObject())
        {
            var id = int.Parse(field.Name, CultureInfo.InvariantCulture);
            added[id] = new AddedToken(field.Value.GetProperty("content").GetString()!, id, Bool(field.Value, "special") ?? false)
            {
                TakesSpaceBefore = Bool(field.Value, "lstrip") ?? false,
                TakesSpaceAfter = Bool(field.Value, "rstrip") ?? false,
                WholeWord = Bool(field.Value, "single_word") ?? false,
            };
        }
    }

    // A token is written as its text, or as an object that holds it.
    internal static string? Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Object when value.TryGetProperty("content", out var content) => content.GetString(),
        _ => null,
    };

    private static bool? Bool(JsonElement element, string field) =>
        element.TryGetProperty(field, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? value.GetBoolean()
            : null;

    internal static void ReadFile(string path, Action<JsonElement> read)
    {
        if (TokenizerFiles.ReadFile(path) is not { } bytes) return;
        try
        {
            using var document = JsonDocument.Parse(bytes);
            read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new LandmarkException($"'{path}' cannot be read as JSON of its kind ({e.InBrief()}); fetch the file again.", e);
        }
    }
}
