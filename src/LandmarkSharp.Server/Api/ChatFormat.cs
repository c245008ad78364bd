using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Text;

namespace LandmarkSharp.Server.Api;

/// <summary>Answers as messages of a conversation.</summary>
/// <inheritdoc cref="AnswerFormat(Tokenizer, string, bool)"/>
internal sealed class ChatFormat(Tokenizer tokenizer, string model, bool trimsStart) : AnswerFormat(tokenizer, model, trimsStart)
{
    private const string Role = "assistant";

    private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";
    private readonly HashSet<int> begun = [];                                               // answers whose speaker was told

    /// <inheritdoc/>
    public override string LikeliestField => "top_logprobs";

    /// <inheritdoc/>
    public override string Whole(IReadOnlyList<AnswerSoFar> answers, Usage usage, SessionInfo? session) => Text("chat.completion", [.. answers.Select((a, i) =>
        new ChatChoice(
            i, new ChatMessage(Role, a.Text, Annotations(a.Sources)), null, Logprobs(a.Tokens), Reason(a.Finish), a.Sources?.Trace))], usage, session);

    /// <inheritdoc/>
    public override string Chunk(int choice, string text, GeneratedToken token, AnswerSources? sources)
    {
        var logprobs = token.Finish == FinishReason.EndOfText ? null : Logprobs([token]);
        var delta = new ChatMessage(begun.Add(choice) ? Role : null, text, Annotations(sources));
        return Text("chat.completion.chunk", [new ChatChoice(choice, null, delta, logprobs, Reason(token.Finish), sources?.Trace)], null);
    }

    /// <inheritdoc/>
    public override string Last(Usage? usage, SessionInfo? session) => Text("chat.completion.chunk", [], usage, session);

    private string Text(string kind, IReadOnlyList<ChatChoice> choices, Usage? usage, SessionInfo? session = null) =>
        Json(new ChatResponse(id, kind, Created, Model, choices, usage, session), Protocol.Json.ChatResponse);

    private ChatLogprobs? Logprobs(IReadOnlyList<GeneratedToken> tokens) => tokens.All(t => t.LogProbabilities is null) ? null
        : new ChatLogprobs([.. tokens.Select(t => new ChatLogprob(
            Spelled(t.Id), t.LogProbabilities!.Own, Bytes(t.Id),
            [.. t.LogProbabilities.Likeliest.Select(l => new ChatLikely(Spelled(l.Id), l.LogProbability, Bytes(l.Id)))]))]);

    private string Spelled(int token) => TokenText.Of(Tokenizer, token);

    private int[] Bytes(int token) => TokenText.Numbers(Tokenizer, token);
}
