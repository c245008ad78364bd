using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;
using LandmarkSharp.Text;

namespace LandmarkSharp.Server.Api;

/// <summary>Answers as completions.</summary>
/// <inheritdoc cref="AnswerFormat(Tokenizer, string, bool)"/>
internal sealed class CompletionFormat(Tokenizer tokenizer, string model) : AnswerFormat(tokenizer, model, trimsStart: false)
{
    private readonly string id = $"cmpl-{Guid.NewGuid():N}";
    private readonly Dictionary<int, int> spelled = [];                                     // of each answer, so far

    /// <inheritdoc/>
    public override string LikeliestField => "logprobs";

    /// <inheritdoc/>
    public override string Whole(IReadOnlyList<AnswerSoFar> answers, Usage usage, SessionInfo? session) =>
        Text([.. answers.Select((a, i) => new CompletionChoice(
            i, a.Text, Logprobs(i, a.Tokens), Reason(a.Finish), Annotations(a.Sources), a.Sources?.Trace))], usage, session);

    /// <inheritdoc/>
    public override string Chunk(int choice, string text, GeneratedToken token, AnswerSources? sources) => Text(
        [new CompletionChoice(
            choice, text, token.Finish == FinishReason.EndOfText ? null : Logprobs(choice, [token]), Reason(token.Finish), Annotations(sources),
            sources?.Trace)], null);

    /// <inheritdoc/>
    public override string Last(Usage? usage, SessionInfo? session) => Text([], usage, session);

    private string Text(IReadOnlyList<CompletionChoice> choices, Usage? usage, SessionInfo? session = null) =>
        Json(new CompletionResponse(id, "text_completion", Created, Model, choices, usage, session), Protocol.Json.CompletionResponse);

    private CompletionLogprobs? Logprobs(int choice, IReadOnlyList<GeneratedToken> tokens)
    {
        if (tokens.All(t => t.LogProbabilities is null)) return null;
        var (texts, offsets) = (new List<string>(), new List<int>());
        foreach (var token in tokens)
        {
            texts.Add(TokenText.Of(Tokenizer, token.Id));
            offsets.Add(spelled.GetValueOrDefault(choice));
            spelled[choice] = offsets[^1] + texts[^1].Length;
        }
        return new CompletionLogprobs(
            texts, [.. tokens.Select(t => t.LogProbabilities!.Own)], [.. tokens.Select(t => Likeliest(t.LogProbabilities!))], offsets);
    }

    // Tokens may be spelled alike; of those the likelier one counts.
    private Dictionary<string, double> Likeliest(TokenLogProbabilities token)
    {
        var likeliest = new Dictionary<string, double>();
        foreach (var (id, probability) in token.Likeliest) likeliest.TryAdd(TokenText.Of(Tokenizer, id), probability);
        return likeliest;
    }
}
