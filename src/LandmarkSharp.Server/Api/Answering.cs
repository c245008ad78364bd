using System.Runtime.CompilerServices;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Api;

/// <summary>What a request asks for.</summary>
/// <param name="Prompts">Each prompt's tokens.</param>
/// <param name="Answers">Answers to each.</param>
/// <param name="Sampling">How tokens are chosen.</param>
/// <param name="Streams">Whether the answer comes as it is made.</param>
/// <param name="TellsUsage">Whether its last event tells the tokens then.</param>
/// <param name="Format">The protocol's form.</param>
/// <param name="Basis">What answers are read from besides, and what is told of it.</param>
internal sealed record AnswerPlan(
    int[][] Prompts, int Answers, GenerationOptions Sampling, bool Streams, bool TellsUsage, AnswerFormat Format, AnswerBasis Basis);

/// <summary>Has requests computed and sends what comes, at once or as events.</summary>
/// <param name="scheduler">Computes.</param>
/// <param name="options">How long prompts may be.</param>
/// <param name="notes">Told of every answer.</param>
internal sealed class Answering(Scheduler scheduler, ServerOptions options, AnswerNotes notes)
{
    private const int MostAnswers = 128;

    /// <summary>Answers a request.</summary>
    /// <param name="http">The request.</param>
    /// <param name="plan">What it asks for.</param>
    /// <param name="field">The field that prompts come from.</param>
    /// <param name="cancel">Told when the client goes away.</param>
    public async Task<IResult> Answer(HttpContext http, AnswerPlan plan, string field, CancellationToken cancel)
    {
        if (plan.Basis.Kept is not { } kept) return await Answer(http, plan, field, null, cancel);
        http.Response.RegisterForDispose(kept);                                             // however the request ends
        try
        {
            return await Answer(http, plan, field, kept, cancel);
        }
        catch
        {
            kept.Dispose();                                                                 // who is told may ask again at once
            throw;
        }
    }

    private async Task<IResult> Answer(HttpContext http, AnswerPlan plan, string field, NamedSession? kept, CancellationToken cancel)
    {
        var note = notes.Begin(http.Request.Path);
        var job = Begin(http, plan, field, cancel);
        AnswerSoFar[] answers = [.. Enumerable.Range(0, plan.Prompts.Length * plan.Answers).Select(_ => new AnswerSoFar())];
        // What fails before the first token has a status of its own, whether it streams or not.
        await job.Tokens.WaitToReadAsync(cancel);
        note.Began();
        void Ended() => note.Answered(job, answers.Sum(a => a.Tokens.Count));
        if (plan.Streams) return TypedResults.ServerSentEvents(Events(job, plan, answers, Ended, cancel));
        await foreach (var next in job.Tokens.ReadAllAsync(cancel)) Add(answers[next.Choice], next, plan.Format);
        cancel.ThrowIfCancellationRequested();
        var session = kept is null ? null : await kept.Keep();
        Ended();
        return TypedResults.Text(plan.Format.Whole(answers, Tokens(job, answers), session), "application/json");
    }

    private AnswerJob Begin(HttpContext http, AnswerPlan plan, string field, CancellationToken cancel)
    {
        try
        {
            var before = plan.Basis.Kept?.Tokens ?? 0;
            if (plan.Prompts.FirstOrDefault(p => before + p.Length > options.MaxPromptTokens) is { } tooLong)
                throw RequestException.Field(
                    field,
                    $"The text has {before + tooLong.Length:N0} tokens{(before > 0 ? " with its session's" : "")}, and this server reads up to "
                    + $"{options.MaxPromptTokens:N0}; send a shorter one.", "context_length_exceeded");
            if ((long)plan.Prompts.Length * plan.Answers > MostAnswers)
                throw RequestException.Field("n", $"A request may have up to {MostAnswers} answers in all; ask for fewer at once.");
            CheckLogprobs(plan);
            CheckTraces(plan);
            if (plan.Basis.Kept is not null && plan.Prompts.Length * plan.Answers > 1)
                throw RequestException.Field("landmark.session", "A session goes on with one answer; ask for one, or leave out 'landmark.session'.");
            var caller = Caller.Of(http);
            caller.Spend(0);
            var job = new AnswerJob(caller.Client(http), plan.Prompts, plan.Answers, plan.Sampling, cancel, plan.Basis)
            {
                Limits = caller.Shares,
                Spend = caller.Spend,
            };
            scheduler.Submit(job);
            return job;
        }
        catch
        {
            plan.Basis.Dispose();
            throw;
        }
    }

    /// <summary>Refuses more log-probabilities than there is memory meant for: they are all there when an answer is sent whole, or is not fetched.</summary>
    private void CheckLogprobs(AnswerPlan plan)
    {
        if (plan.Sampling.LogProbabilities is not { } likeliest) return;
        var (answers, each) = ((long)plan.Prompts.Length * plan.Answers, likeliest + 1);
        if (answers * plan.Sampling.MaxTokens * each > options.MaxLogprobs)
            throw RequestException.Field(
                likeliest == 0 ? "logprobs" : plan.Format.LikeliestField,
                $"{answers} answers of up to {plan.Sampling.MaxTokens:N0} tokens with {each} log-probabilities each may come to "
                + $"{answers * plan.Sampling.MaxTokens * each:N0}, and this server tells up to {options.MaxLogprobs:N0}; ask for fewer of either.");
    }

    /// <summary>Refuses more of an account than there is memory meant for: it is told when an answer is whole, in a stream too.</summary>
    private void CheckTraces(AnswerPlan plan)
    {
        var (answers, each) = ((long)plan.Prompts.Length * plan.Answers, plan.Basis.TracedBlocks);
        if (answers * plan.Sampling.MaxTokens * each > options.MaxTraceReads)
            throw RequestException.Field(
                "landmark.trace",
                $"A trace of {answers:N0} answers of up to {plan.Sampling.MaxTokens:N0} tokens, each with {each:N0} blocks by layers and heads, may come to "
                + $"{answers * plan.Sampling.MaxTokens * each:N0} reads, and this server tells up to {options.MaxTraceReads:N0}; ask for fewer tokens.");
    }

    private static async IAsyncEnumerable<string> Events(
        AnswerJob job, AnswerPlan plan, AnswerSoFar[] answers, Action ended, [EnumeratorCancellation] CancellationToken cancel)
    {
        while (true)
        {
            var (more, failure) = await Wait(job, cancel);
            if (failure is not null)
            {
                plan.Basis.Kept?.Dispose();                                                 // who is told may ask again at once
                yield return Failed(failure);
                yield break;
            }
            if (!more) break;
            while (job.Tokens.TryRead(out var next))
            {
                var (choice, token, sources) = next;
                var shown = Add(answers[choice], next, plan.Format);
                if (shown.Length > 0 || token.Finish is not null || token.LogProbabilities is not null)
                    yield return plan.Format.Chunk(choice, shown, token, sources);
            }
        }
        cancel.ThrowIfCancellationRequested();
        SessionInfo? session = null;
        if (plan.Basis.Kept is { } kept)
        {
            (session, var failure) = await Keep(kept);
            if (failure is not null)
            {
                yield return Failed(failure);
                yield break;
            }
        }
        if (plan.TellsUsage || session is not null) yield return plan.Format.Last(plan.TellsUsage ? Tokens(job, answers) : null, session);
        ended();
        yield return "[DONE]";
    }

    private static async Task<(bool More, Exception? Failure)> Wait(AnswerJob job, CancellationToken cancel)
    {
        try
        {
            return (await job.Tokens.WaitToReadAsync(cancel), null);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return (false, e);
        }
    }

    private static async Task<(SessionInfo? Session, Exception? Failure)> Keep(NamedSession kept)
    {
        try
        {
            return (await kept.Keep(), null);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return (null, e);
        }
    }

    private static string Failed(Exception failure) => JsonSerializer.Serialize(ErrorBody.Of(ErrorBody.Failure(failure)), Protocol.Json.ErrorBody);

    private static string Add(AnswerSoFar answer, AnswerToken next, AnswerFormat format)
    {
        var shown = format.Shown(next.Token.Text, answer.Begun);
        answer.Add(next.Token, shown, next.Sources);
        return shown;
    }

    private static Usage Tokens(AnswerJob job, AnswerSoFar[] answers)
    {
        var generated = answers.Sum(a => a.Tokens.Count);
        return new Usage(job.PromptTokens, generated, job.PromptTokens + generated, new PromptTokensDetails(job.Reused));
    }
}
