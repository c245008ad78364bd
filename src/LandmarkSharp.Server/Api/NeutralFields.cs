using System.Text.Json;

namespace LandmarkSharp.Server.Api;

/// <summary>
/// Fields of OpenAI's protocol that this server does not follow. With a value that asks for nothing they are accepted, since clients send
/// them unasked; otherwise they are refused, as fields that nobody knows are.
/// </summary>
internal static class NeutralFields
{
    /// <summary>Values that ask for nothing, besides null.</summary>
    private static readonly Dictionary<string, string[]> Neutral = new()
    {
        ["annotations"] = ["[]"],
        ["audio"] = [],
        ["echo"] = ["false"],
        ["function_call"] = ["\"none\"", "\"auto\""],
        ["functions"] = ["[]"],
        ["include_obfuscation"] = ["false"],
        ["logit_bias"] = ["{}"],
        ["metadata"] = ["{}"],
        ["modalities"] = ["[\"text\"]"],
        ["name"] = [],
        ["parallel_tool_calls"] = ["true", "false"],
        ["prediction"] = [],
        ["reasoning_effort"] = ["\"none\""],
        ["refusal"] = [],
        ["response_format"] = ["{\"type\":\"text\"}"],
        ["service_tier"] = ["\"auto\"", "\"default\""],
        ["store"] = ["false"],
        ["suffix"] = ["\"\""],
        ["tool_calls"] = ["[]"],
        ["tool_choice"] = ["\"none\"", "\"auto\""],
        ["tools"] = ["[]"],
        ["verbosity"] = [],
    };

    /// <summary>Names for who is behind a client, or for requests that begin alike, which are found here without: they change no answer.</summary>
    private static readonly string[] Names = ["user", "safety_identifier", "prompt_cache_key"];

    /// <summary>Refuses what is not followed.</summary>
    /// <param name="others">The fields that are no others.</param>
    /// <param name="within">The path to them, with its point.</param>
    /// <exception cref="RequestException">One asks for something, or is not known.</exception>
    public static void Check(Dictionary<string, JsonElement>? others, string within = "")
    {
        foreach (var (name, value) in others ?? [])
        {
            if (Names.Contains(name) && value.ValueKind is JsonValueKind.String or JsonValueKind.Null) continue;
            if (!Neutral.TryGetValue(name, out var neutral))
                throw RequestException.Field(within + name, $"The field '{within}{name}' is not known here; leave it out.", "unknown_field");
            if (value.ValueKind != JsonValueKind.Null && !neutral.Any(n => Same(value, n)))
                throw RequestException.Field(
                    within + name, $"The field '{within}{name}' is not supported here; leave it out.", "unsupported_field");
        }
    }

    private static bool Same(JsonElement value, string json)
    {
        using var document = JsonDocument.Parse(json);
        return JsonElement.DeepEquals(value, document.RootElement);
    }
}
