using System.Diagnostics.Metrics;
using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server;

/// <summary>What the server counts; requests, their durations and errors the framework counts itself.</summary>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>The meter's name.</summary>
    public const string Name = "LandmarkSharp.Server";

    private readonly Meter meter = new(Name);
    private readonly Counter<long> read, reused, generated;
    private readonly Histogram<double> firstToken;

    /// <summary>Counts from now on.</summary>
    public ServerMetrics(Scheduler scheduler, MemoryLibrary? library)
    {
        read = meter.CreateCounter<long>("landmark.tokens.read", description: "Tokens of prompts, those read before counted.");
        reused = meter.CreateCounter<long>("landmark.tokens.reused", description: "Tokens of prompts that an earlier request had read.");
        generated = meter.CreateCounter<long>("landmark.tokens.generated", description: "Tokens of answers.");
        firstToken = meter.CreateHistogram<double>("landmark.first_token", "s", "Time from a request to its first token.");
        meter.CreateObservableGauge("landmark.requests.active", () => scheduler.State.Active, description: "Requests that are computed.");
        meter.CreateObservableGauge("landmark.requests.waiting", () => scheduler.State.Waiting, description: "Requests that wait.");
        meter.CreateObservableGauge("landmark.cache", () => scheduler.State.CachedBytes, "By", "Keys and values kept of earlier texts.");
        if (library is not null)
            meter.CreateObservableGauge("landmark.memories", () => library.OpenBytes, "By", "Landmark keys of memories that are open, and indexes over them.");
    }

    /// <summary>Counts a request's first token.</summary>
    public void Began(TimeSpan after) => firstToken.Record(after.TotalSeconds);

    /// <summary>Counts a request that was answered.</summary>
    public void Answered(AnswerJob job, int tokens)
    {
        read.Add(job.PromptTokens);
        reused.Add(job.Reused);
        generated.Add(tokens);
    }

    /// <inheritdoc/>
    public void Dispose() => meter.Dispose();
}
