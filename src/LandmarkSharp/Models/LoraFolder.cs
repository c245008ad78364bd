using System.Text.Json;
using System.Text.Json.Nodes;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Adapters in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, whose names are the decoder's after
/// <c>base_model.model.</c>. The configuration of the tuned model lies beside them.
/// </summary>
internal static class LoraFolder
{
    public const string ConfigName = "adapter_config.json";
    public const string WeightsName = "adapter_model.safetensors";

    /// <summary>What stands before the decoder's names.</summary>
    public const string Prefix = "base_model.model.";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Fields of adapter_config.json that must be as they are here, if they are there, or the adapter means something else.</summary>
    private static readonly (string Name, string[] Values)[] Demanded =
    [
        ("peft_type", ["LORA"]), ("use_rslora", ["False"]), ("use_dora", ["False"]), ("fan_in_fan_out", ["False"]), ("bias", ["none"]),
        ("rank_pattern", ["{}"]), ("alpha_pattern", ["{}"]), ("modules_to_save", ["[]"]), ("lora_bias", ["False"]),
    ];

    /// <summary>Writes a decoder's adapter and its configuration.</summary>
    /// <param name="decoder">The model with its adapter.</param>
    /// <param name="baseFolder">The model that is adapted.</param>
    /// <param name="folder">The folder; made if it is not there.</param>
    public static void Save(Decoder decoder, string baseFolder, string folder)
    {
        ConfigFile.Save(decoder.Config, folder);
        var (lora, own) = (decoder.Config.Lora!, decoder.Config.Landmark!.OwnTokens);
        JsonArray Ids() => new([.. own.Select(id => (JsonNode)id)]);
        var rows = new JsonObject { ["embed_tokens"] = Ids() };
        if (!decoder.Config.TiedEmbeddings) rows["lm_head"] = Ids();
        File.WriteAllText(Path.Combine(folder, ConfigName), new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = baseFolder,
            ["inference_mode"] = true,
            ["r"] = lora.Rank,
            ["lora_alpha"] = lora.Alpha,
            ["lora_dropout"] = 0,
            ["bias"] = "none",
            ["target_modules"] = new JsonArray([.. lora.Targets.Select(t => (JsonNode)t)]),
            ["trainable_token_indices"] = rows,
        }.ToJsonString(Indented) + "\n");
        SafeTensors.Write(Path.Combine(folder, WeightsName), decoder.Trainable.Select(p => (Prefix + p.Key, p.Value)));
    }

    /// <summary>Reads an adapter into a decoder that has one of the same rank and targets.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="theirs">Its <see cref="Options"/>.</param>
    /// <param name="decoder">The model with its adapter.</param>
    /// <exception cref="LandmarkException">It is damaged, or it is of another model or another kind.</exception>
    public static void Restore(string folder, LoraOptions theirs, Decoder decoder)
    {
        var ours = decoder.Config.Lora!;
        if (theirs.Rank != ours.Rank || theirs.Alpha != ours.Alpha || !theirs.Targets.Order().SequenceEqual(ours.Targets.Order()))
            throw new LandmarkException(
                $"The adapter in {folder} has rank {theirs.Rank}, alpha {theirs.Alpha} and targets {string.Join(", ", theirs.Targets)}; "
                + "give the recipe the same.");
        using var quiet = no_grad();
        using var weights = Open(folder);
        foreach (var (name, parameter) in decoder.Trainable)
        {
            using var value = weights.Get(Prefix + name, parameter.shape);
            parameter.copy_(value);
        }
        RequireAllRead(weights, folder);
    }

    /// <summary>Opens an adapter's tensors.</summary>
    /// <exception cref="LandmarkException">There are none, or the file is damaged.</exception>
    public static Weights Open(string folder) => File.Exists(Path.Combine(folder, WeightsName))
        ? Weights.Open(Path.Combine(folder, WeightsName))
        : throw new LandmarkException($"{folder} is no adapter's folder: there is no {WeightsName} in it; give a folder in PEFT's layout.");

    /// <summary>Throws when a tensor of an adapter was left unread.</summary>
    public static void RequireAllRead(Weights adapter, string folder)
    {
        if (adapter.Unread() is [var left, ..])
            throw new LandmarkException(
                $"The adapter in {folder} has a tensor '{left}' that the model has no place for; give the model that it was made from.");
    }

    /// <summary>What an adapter's configuration says, where it means what is done here.</summary>
    /// <exception cref="LandmarkException">There is none, it is damaged, or it is of another kind.</exception>
    public static LoraOptions Options(string folder)
    {
        var path = Path.Combine(folder, ConfigName);
        if (!File.Exists(path))
            throw new LandmarkException($"{folder} is no adapter's folder: there is no {ConfigName} in it; give a folder in PEFT's layout.");
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllText(path));
            var fields = new ConfigFields(json.RootElement, path);
            foreach (var (name, values) in Demanded) fields.Demand(name, values);
            return new LoraOptions
            {
                Rank = fields.Required("r"),
                Alpha = fields.Number("lora_alpha") ?? 8,           // PEFT's own default
                Targets = fields.Texts("target_modules"),
            }.Checked(path);
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"{path} is not valid JSON ({e.InBrief()}); restore the file.", e);
        }
    }
}
