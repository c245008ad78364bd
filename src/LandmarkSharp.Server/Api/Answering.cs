using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
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
/// <param name="log">Told of every answer.</param>
/// <param name="metrics">Counts them.</param>
internal sealed class Answering(Scheduler scheduler, ServerOptions options, ServerLog log, ServerMetrics metrics)
{
    private const int MostAnswers = 128;

    /// <summary>Answers a request.</summary>
    /// <param name="http">The request.</param>
    /// <param name="plan">What it asks for.</param>
    /// <param name="field">The field that prompts come from.</param>
    /// <param name="cancel">Told when the client goes away.</param>
    public async Task<IResult> Answer(HttpContext http, AnswerPlan plan, string field, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        var job = Begin(http, plan, field, cancel);
        AnswerSoFar[] answers = [.. Enumerable.Range(0, plan.Prompts.Length * plan.Answers).Select(_ => new AnswerSoFar())];
        // What fails before the first token has a status of its own, whether it streams or not.
        await job.Tokens.WaitToReadAsync(cancel);
        metrics.Began(clock.Elapsed);
        void Ended()
        {
            var tokens = answers.Sum(a => a.Tokens.Count);
            log.Answered(http.Request.Path, job.PromptTokens, job.Reused, tokens, clock.ElapsedMilliseconds);
            metrics.Answered(job, tokens);
        }
        if (plan.Streams) return TypedResults.ServerSentEvents(Events(job, plan, answers, Ended, cancel));
        await foreach (var next in job.Tokens.ReadAllAsync(cancel)) Add(answers[next.Choice], next, plan.Format);
        cancel.ThrowIfCancellationRequested();
        Ended();
        return TypedResults.Text(plan.Format.Whole(answers, Tokens(job, answers)), "application/json");
    }

    private AnswerJob Begin(HttpContext http, AnswerPlan plan, string field, CancellationToken cancel)
    {
        try
        {
            if (plan.Prompts.FirstOrDefault(p => p.Length > options.MaxPromptTokens) is { } tooLong)
                throw RequestException.Field(
                    field, $"The text has {tooLong.Length:N0} tokens, and this server reads up to {options.MaxPromptTokens:N0}; send a shorter one.",
                    "context_length_exceeded");
            if ((long)plan.Prompts.Length * plan.Answers > MostAnswers)
                throw RequestException.Field("n", $"A request may have up to {MostAnswers} answers in all; ask for fewer at once.");
            CheckLogprobs(plan);
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

    private static async IAsyncEnumerable<string> Events(
        AnswerJob job, AnswerPlan plan, AnswerSoFar[] answers, Action ended, [EnumeratorCancellation] CancellationToken cancel)
    {
        while (true)
        {
            var (more, failure) = await Wait(job, cancel);
            if (failure is not null)
            {
                yield return JsonSerializer.Serialize(ErrorBody.Of(ErrorBody.Failure(failure)), Protocol.Json.ErrorBody);
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
        if (plan.TellsUsage) yield return plan.Format.Last(Tokens(job, answers));
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
