using System.Text.Json.Serialization;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Api;

/// <summary>Texts gone on with, whole or as a piece of a stream.</summary>
internal sealed record CompletionResponse(
    string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices, Usage? Usage, SessionInfo? LandmarkSession = null);

/// <summary>One of them.</summary>
internal sealed record CompletionChoice(
    int Index, string Text,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] CompletionLogprobs? Logprobs,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] string? FinishReason,
    IReadOnlyList<Annotation>? Annotations = null, TraceFile? LandmarkTrace = null);

/// <summary>How likely its tokens were, in lists beside each other. Offsets are in UTF-16 units from the answer's beginning.</summary>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<double> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, double>> TopLogprobs,
    IReadOnlyList<int> TextOffset);

/// <summary>Tokens read and generated.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails);

/// <summary>Of those read, the ones that an earlier request had read.</summary>
internal sealed record PromptTokensDetails(int CachedTokens);
