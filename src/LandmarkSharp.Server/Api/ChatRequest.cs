using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Chat;

namespace LandmarkSharp.Server.Api;

/// <summary>A request to answer in a conversation.</summary>
internal sealed class ChatRequest : SamplingRequest
{
    private const int MostLikeliest = 20;

    /// <summary>What was said so far.</summary>
    public List<ChatRequestMessage>? Messages { get; set; }

    /// <summary>Tokens to generate at most, by its newer name.</summary>
    public int? MaxCompletionTokens { get; set; }

    /// <summary>Whether tokens come with their log-probabilities.</summary>
    public bool? Logprobs { get; set; }

    /// <summary>With how many of the likeliest tokens each comes.</summary>
    public int? TopLogprobs { get; set; }

    /// <summary>How tokens are chosen.</summary>
    public GenerationOptions Sampling(ServerOptions limits)
    {
        Within("top_logprobs", TopLogprobs, 0, MostLikeliest);
        if (TopLogprobs is not null && Logprobs is not true)
            throw RequestException.Field("top_logprobs", "The field 'top_logprobs' needs 'logprobs'; set that to true, or leave this out.");
        if (MaxTokens is not null && MaxCompletionTokens is not null)
            throw RequestException.Field("max_tokens", "The fields 'max_tokens' and 'max_completion_tokens' are one; leave one of them out.");
        return Sampling(
            MaxCompletionTokens ?? MaxTokens, MaxCompletionTokens is null ? "max_tokens" : "max_completion_tokens", limits.MaxAnswerTokens,
            limits.MaxAnswerTokens, Logprobs is true ? TopLogprobs ?? 0 : null);
    }

    /// <summary>The conversation.</summary>
    /// <exception cref="RequestException">There is none, or a message is not text of someone who speaks.</exception>
    public ChatTurn[] Turns() => Messages is { Count: > 0 } messages
        ? [.. messages.Select((m, i) => m?.Turn($"messages[{i}]") ?? throw RequestException.Field($"messages[{i}]", "A message is null; leave it out."))]
        : throw RequestException.Field("messages", "The field 'messages' must be an array of messages; send one at least.");
}

/// <summary>What was said by one.</summary>
internal sealed class ChatRequestMessage
{
    /// <summary>Who said it: system, developer, user or assistant.</summary>
    public string? Role { get; set; }

    /// <summary>What: a text, or parts of text.</summary>
    public JsonElement? Content { get; set; }

    /// <summary>All other fields.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; set; }

    /// <summary>It as a turn of the conversation.</summary>
    /// <param name="path">The path to it.</param>
    public ChatTurn Turn(string path)
    {
        var role = Role switch
        {
            "system" or "developer" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            _ => throw RequestException.Field($"{path}.role", $"The role '{Role}' is not known here; use system, developer, user or assistant."),
        };
        NeutralFields.Check(Others, $"{path}.");
        var field = $"{path}.content";
        return new ChatTurn(role, Content switch
        {
            { ValueKind: JsonValueKind.Array } parts => string.Join('\n', parts.EnumerateArray().Select(p => Part(p, field))),
            { ValueKind: not JsonValueKind.Null } text => RequestBody.Text(text, field),
            _ => throw RequestException.Field(field, $"The field '{field}' is missing; send a text."),
        });
    }

    private static string Part(JsonElement part, string field) =>
        part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String
        && type.ValueEquals("text") && part.TryGetProperty("text", out var text) && part.EnumerateObject().Count() == 2
            ? RequestBody.Text(text, field)
            : throw RequestException.Field(field, $"A part of '{field}' is no text; this server reads parts with 'type': 'text' and 'text' alone.");
}
