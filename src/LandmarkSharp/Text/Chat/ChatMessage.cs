using System.Text.Json;
using System.Text.Json.Nodes;

namespace LandmarkSharp.Text.Chat;

/// <summary>
/// One message of a conversation, as chat templates take it: a role, a content, and whatever else the model's template
/// looks for (<c>tool_calls</c>, <c>name</c>, <c>reasoning_content</c>).
/// </summary>
public sealed class ChatMessage
{
    private ChatMessage(JsonElement json) => Json = json;

    /// <summary>A message of text.</summary>
    /// <param name="role">Who speaks: <c>system</c>, <c>user</c>, <c>assistant</c>, <c>tool</c>, or what the template knows besides.</param>
    /// <param name="content">What is said.</param>
    public ChatMessage(string role, string content)
        : this(JsonSerializer.SerializeToElement(new JsonObject { ["role"] = role, ["content"] = content })) { }

    /// <summary>Who speaks.</summary>
    public string Role => Json.GetProperty("role").GetString()!;

    internal JsonElement Json { get; }

    /// <summary>
    /// A message as chat interfaces write it in JSON: an object with a <c>role</c>. Its <c>content</c>, if there is one,
    /// is a string, null, or a list of parts (<c>{"type": "text", "text": "…"}</c>), for templates that take parts.
    /// </summary>
    /// <exception cref="LandmarkException">It is no such object.</exception>
    public static ChatMessage FromJson(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("role", out var role) || role.ValueKind != JsonValueKind.String)
            throw new LandmarkException("A message is no object with a role; write it as {\"role\": \"user\", \"content\": \"…\"}.");
        if (json.TryGetProperty("content", out var content) && content.ValueKind is not (JsonValueKind.String or JsonValueKind.Null)
            && !(content.ValueKind == JsonValueKind.Array && content.EnumerateArray().All(IsPart)))
            throw new LandmarkException(
                $"The content of a message from '{role.GetString()}' is neither a string nor a list of parts; "
                + "write a string, or parts such as {\"type\": \"text\", \"text\": \"…\"}.");
        // The document it is part of may be disposed before it is rendered.
        return new ChatMessage(json.Clone());
    }

    private static bool IsPart(JsonElement part) => part.ValueKind == JsonValueKind.Object
        && part.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String;
}
