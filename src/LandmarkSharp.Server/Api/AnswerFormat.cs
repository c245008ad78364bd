using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Text;

namespace LandmarkSharp.Server.Api;

/// <summary>Answers as one of the protocol's two forms tells them.</summary>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="model">The model's name.</param>
/// <param name="trimsStart">Whether white space at an answer's beginning belongs to the prompt, whose last word it follows.</param>
internal abstract class AnswerFormat(Tokenizer tokenizer, string model, bool trimsStart)
{
    /// <summary>The model's tokenizer.</summary>
    protected Tokenizer Tokenizer => tokenizer;

    /// <summary>The model's name.</summary>
    protected string Model => model;

    /// <summary>The request's field that asks for the likeliest tokens.</summary>
    public abstract string LikeliestField { get; }

    /// <summary>When this was asked, in seconds since 1970.</summary>
    protected long Created { get; } = DateTimeOffset.UtcNow.ToUnixTimeSeconds();

    /// <summary>The part of a token's text that is shown.</summary>
    /// <param name="text">The text.</param>
    /// <param name="begun">Whether anything of the answer was shown before.</param>
    public string Shown(string text, bool begun) => trimsStart && !begun ? text.TrimStart() : text;

    /// <summary>All answers at once.</summary>
    /// <param name="answers">The answers.</param>
    /// <param name="usage">The tokens.</param>
    /// <param name="session">The session as which they were kept; null for none.</param>
    public abstract string Whole(IReadOnlyList<AnswerSoFar> answers, Usage usage, SessionInfo? session);

    /// <summary>A token of an answer, as an event of a stream.</summary>
    /// <param name="choice">Which answer.</param>
    /// <param name="text">What it shows.</param>
    /// <param name="token">The token.</param>
    /// <param name="sources">With the last one, what the answer was read from, where that is asked for.</param>
    public abstract string Chunk(int choice, string text, GeneratedToken token, AnswerSources? sources);

    /// <summary>The last event of a stream, which tells the tokens, or the session as which it was kept.</summary>
    public abstract string Last(Usage? usage, SessionInfo? session);

    /// <summary>Why an answer ended, in the protocol's words.</summary>
    protected static string? Reason(FinishReason? finish) => finish switch
    {
        null => null,
        FinishReason.Length => "length",
        _ => "stop",
    };

    /// <summary>Passages as annotations; null where none are told.</summary>
    protected static IReadOnlyList<Annotation>? Annotations(AnswerSources? sources) =>
        sources is { Passages: { Count: > 0 } passages } ? [.. passages.Select(p => new Annotation(p))] : null;

    /// <summary>An object as JSON.</summary>
    protected static string Json<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.Serialize(value, type);
}
