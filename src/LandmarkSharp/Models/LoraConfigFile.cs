using System.Text.Json;
using System.Text.Json.Nodes;

namespace LandmarkSharp.Models;

/// <summary>What an adapter's configuration says.</summary>
/// <param name="Options">Rank, alpha and targets.</param>
/// <param name="Rows">
/// Tokens whose rows are learned whole, by the last name of the embedding: the n-th row of the adapter is the n-th token's.
/// </param>
internal sealed record LoraConfig(LoraOptions Options, IReadOnlyDictionary<string, int[]> Rows);

/// <summary>
/// PEFT's adapter_config.json, read strictly: a field by which the adapter would mean something else than W + α/r · B·A and rows
/// of tokens is named.
/// </summary>
internal static class LoraConfigFile
{
    public const string Name = "adapter_config.json";

    private const string InputEmbedding = "embed_tokens", OutputEmbedding = "lm_head";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Fields that must be as they are here, if they are there.</summary>
    private static readonly (string Name, string[] Values)[] Demanded =
    [
        ("peft_type", ["LORA"]), ("use_rslora", ["False"]), ("use_dora", ["False"]), ("fan_in_fan_out", ["False"]), ("bias", ["none"]),
        ("rank_pattern", ["{}"]), ("alpha_pattern", ["{}"]), ("modules_to_save", ["[]"]), ("lora_bias", ["False"]),
        // The other beginnings take what A and B begin with out of the base's weights.
        ("init_lora_weights", ["True", "False", "gaussian", "eva"]),
    ];

    /// <summary>Fields that tell how an adapter came about; which matrices it has, its tensors say.</summary>
    private static readonly string[] Harmless =
    [
        "auto_mapping", "base_model_name_or_path", "eva_config", "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform",
        "lora_dropout", "megatron_core", "peft_version", "qalora_group_size", "revision", "task_type",
    ];

    /// <summary>Writes the configuration of a decoder's adapter.</summary>
    public static void Save(ModelConfig config, string baseFolder, string folder)
    {
        var (lora, own) = (config.Lora!, config.Landmark!.OwnTokens);
        JsonArray Ids() => new([.. own.Select(id => (JsonNode)id)]);
        var rows = new JsonObject { [InputEmbedding] = Ids() };
        if (!config.TiedEmbeddings) rows[OutputEmbedding] = Ids();
        File.WriteAllText(Path.Combine(folder, Name), new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = baseFolder,
            ["inference_mode"] = true,
            ["r"] = lora.Rank,
            ["lora_alpha"] = lora.Alpha,
            ["lora_dropout"] = 0,
            ["bias"] = "none",
            ["target_modules"] = new JsonArray([.. lora.TargetsIn(config).Select(t => (JsonNode)t)]),
            ["trainable_token_indices"] = rows,
        }.ToJsonString(Indented) + "\n");
    }

    /// <summary>Reads a folder's configuration.</summary>
    /// <exception cref="LandmarkException">There is none, it is damaged, or the adapter is of a kind that is not supported.</exception>
    public static LoraConfig Load(string folder)
    {
        var path = Path.Combine(folder, Name);
        if (!File.Exists(path))
            throw new LandmarkException($"{folder} is no adapter's folder: there is no {Name} in it; give a folder in PEFT's layout.");
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(path));
            return Parse(json.RootElement, path);
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"{path} is not valid JSON ({e.InBrief()}); restore the file.", e);
        }
    }

    private static LoraConfig Parse(JsonElement root, string path)
    {
        var fields = new ConfigFields(root, path);
        foreach (var (name, values) in Demanded) fields.Demand(name, values);
        var (rank, alpha) = (fields.Required("r"), fields.Number("lora_alpha") ?? 8);        // PEFT's own default
        if (rank < 1 || !(alpha > 0))
            throw new LandmarkException(
                $"{path}: r is {rank} and lora_alpha {alpha}; an adapter has a rank of 1 or more and an alpha above 0, so restore the file.");
        var config = new LoraConfig(
            new LoraOptions { Rank = rank, Alpha = alpha, Targets = Targets(root, fields) }, Rows(root, fields));
        // Versions to come will write fields that do nothing unless they are set.
        var unset = root.EnumerateObject().Where(f => f.Value.ToString() is "False" or "{}" or "[]").Select(f => f.Name);
        fields.RefuseOthers(new HashSet<string>([.. Harmless, .. unset], StringComparer.Ordinal));
        return config;
    }

    /// <summary>Names, or a pattern that names fit.</summary>
    private static string[] Targets(JsonElement root, ConfigFields fields) =>
        root.TryGetProperty("target_modules", out var told) && told.ValueKind == JsonValueKind.String
            ? [fields.Text("target_modules")!]
            : fields.Texts("target_modules");

    /// <summary>Tokens by embedding, or a list of them for the input's.</summary>
    private static Dictionary<string, int[]> Rows(JsonElement root, ConfigFields fields)
    {
        const string name = "trainable_token_indices";
        if (!root.TryGetProperty(name, out var told) || told.ValueKind != JsonValueKind.Object)
            return new(StringComparer.Ordinal) { [InputEmbedding] = fields.Integers(name) };
        var embeddings = fields.Object(name)!;
        return told.EnumerateObject().ToDictionary(
            e => e.Name[(e.Name.LastIndexOf('.') + 1)..], e => embeddings.Integers(e.Name), StringComparer.Ordinal);
    }
}
