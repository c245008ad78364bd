using System.Text.Json.Serialization;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Api;

/// <summary>Answers in a conversation, whole or as a piece of a stream.</summary>
internal sealed record ChatResponse(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices, Usage? Usage, SessionInfo? LandmarkSession = null);

/// <summary>One of them: its message, or what a piece of a stream adds to it.</summary>
internal sealed record ChatChoice(
    int Index, ChatMessage? Message, ChatMessage? Delta,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] ChatLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason,
    TraceFile? LandmarkTrace = null);

/// <summary>What the model said.</summary>
internal sealed record ChatMessage(string? Role, string? Content, IReadOnlyList<Annotation>? Annotations = null);

/// <summary>A passage that an answer was read from.</summary>
internal sealed record Annotation(ReadPassage LandmarkPassage)
{
    /// <summary>What it is, in the protocol's way.</summary>
    [JsonPropertyOrder(-1)]
    public string Type { get; } = "landmark_passage";
}

/// <summary>How likely its tokens were.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatLogprob> Content);

/// <summary>How likely a token was, and the likeliest in its place. Bytes are numbers.</summary>
internal sealed record ChatLogprob(string Token, double Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatLikely> TopLogprobs);

/// <summary>One of the likeliest.</summary>
internal sealed record ChatLikely(string Token, double Logprob, IReadOnlyList<int> Bytes);
