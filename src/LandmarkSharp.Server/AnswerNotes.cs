using System.Diagnostics;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server;

/// <summary>What is noted and counted of every answer, whoever asked: a program or the page.</summary>
/// <param name="log">Told of it.</param>
/// <param name="metrics">Count it.</param>
internal sealed class AnswerNotes(ServerLog log, ServerMetrics metrics)
{
    /// <summary>Begins with a request.</summary>
    /// <param name="path">Where it came to.</param>
    public AnswerNote Begin(string path) => new(path, log, metrics);
}

/// <summary>What is noted of one request, from when it came.</summary>
internal sealed class AnswerNote(string path, ServerLog log, ServerMetrics metrics)
{
    private readonly Stopwatch clock = Stopwatch.StartNew();

    /// <summary>Its first token is there.</summary>
    public void Began() => metrics.Began(clock.Elapsed);

    /// <summary>It was answered.</summary>
    /// <param name="job">As which it was computed.</param>
    /// <param name="tokens">Tokens of its answers.</param>
    public void Answered(AnswerJob job, int tokens)
    {
        log.Answered(path, job.PromptTokens, job.Reused, tokens, clock.ElapsedMilliseconds);
        metrics.Answered(job, tokens);
    }

    /// <summary>It was not taken on, or failed.</summary>
    public void Refused(RequestException why) => log.Refused(path, why.Status, why.Code);
}
