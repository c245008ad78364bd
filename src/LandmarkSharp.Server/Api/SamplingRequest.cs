using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Api;

/// <summary>What requests for completions and for chats have in common.</summary>
internal abstract class SamplingRequest
{
    /// <summary>The name of the model that is served.</summary>
    public string? Model { get; set; }

    /// <summary>Tokens to generate at most.</summary>
    public int? MaxTokens { get; set; }

    /// <summary>From 0, which takes the likeliest token, to 2; 1 when not given.</summary>
    public double? Temperature { get; set; }

    /// <summary>Keeps the likeliest tokens whose probabilities reach this sum.</summary>
    public double? TopP { get; set; }

    /// <summary>Taken from a token's logit for each time that it was chosen in the answer; from -2 to 2.</summary>
    public double? FrequencyPenalty { get; set; }

    /// <summary>Taken once from the logits of tokens that were chosen in the answer; from -2 to 2.</summary>
    public double? PresencePenalty { get; set; }

    /// <summary>Answers to each prompt.</summary>
    public int? N { get; set; }

    /// <summary>Whether the answer comes as it is made.</summary>
    public bool? Stream { get; set; }

    /// <summary>What comes with it then.</summary>
    public StreamOptions? StreamOptions { get; set; }

    /// <summary>A string, or up to four, before which an answer ends.</summary>
    public JsonElement? Stop { get; set; }

    /// <summary>Equal seeds give equal answers; none gives another each time.</summary>
    public long? Seed { get; set; }

    /// <summary>Names of memories after whose documents the texts go on.</summary>
    public List<string>? Memories { get; set; }

    /// <summary>How texts are read, and what is told of that.</summary>
    public LandmarkFields? Landmark { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>How tokens are chosen.</summary>
    /// <param name="tokens">Tokens of an answer at most, as asked; null for not.</param>
    /// <param name="field">The field that asked.</param>
    /// <param name="unasked">Tokens of an answer when not asked.</param>
    /// <param name="limit">Tokens that an answer may have.</param>
    /// <param name="likeliest">With how many of the likeliest tokens each comes; null for none.</param>
    /// <exception cref="RequestException">A field is out of range, or is not followed here.</exception>
    protected GenerationOptions Sampling(int? tokens, string field, int unasked, int limit, int? likeliest)
    {
        NeutralFields.Check(Others);
        NeutralFields.Check(StreamOptions?.Others, "stream_options.");
        if (StreamOptions is not null && Stream is not true)
            throw RequestException.Field("stream_options", "The field 'stream_options' is about streams alone; leave it out, or stream.");
        Within("temperature", Temperature, 0, 2);
        if (TopP is not null and not (> 0 and <= 1))
            throw RequestException.Field("top_p", "The field 'top_p' must lie above 0 and not above 1; choose another number.");
        Within("frequency_penalty", FrequencyPenalty, -2, 2);
        Within("presence_penalty", PresencePenalty, -2, 2);
        Within("n", N, 1, 128);
        Within(field, tokens, 1, limit);
        var seed = Seed ?? Random.Shared.NextInt64();
        return new GenerationOptions
        {
            MaxTokens = tokens ?? Math.Min(unasked, limit),
            Temperature = Temperature ?? 1,
            TopP = TopP ?? 1,
            FrequencyPenalty = FrequencyPenalty ?? 0,
            PresencePenalty = PresencePenalty ?? 0,
            Seed = (int)(seed ^ (seed >> 32)),
            Stop = Stops(),
            LogProbabilities = likeliest,
        };
    }

    /// <summary>Refuses a number that is out of range.</summary>
    public static void Within(string field, double? value, double from, double to)
    {
        if (value < from || value > to)
            throw RequestException.Field(field, $"The field '{field}' must lie between {from} and {to}; choose another number.");
    }

    private string[] Stops()
    {
        if (Stop is not { ValueKind: not JsonValueKind.Null } stop) return [];
        string[] all = stop.ValueKind == JsonValueKind.Array
            ? [.. stop.EnumerateArray().Select(s => RequestBody.Text(s, "stop"))] : [RequestBody.Text(stop, "stop")];
        return all.Length <= 4 && all.All(s => s.Length > 0) ? all
            : throw RequestException.Field("stop", "The field 'stop' must be a string or up to four, none of them empty; send fewer or leave it out.");
    }
}

/// <summary>What comes with a stream.</summary>
internal sealed class StreamOptions
{
    /// <summary>Whether a last event tells the tokens.</summary>
    public bool? IncludeUsage { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }
}
