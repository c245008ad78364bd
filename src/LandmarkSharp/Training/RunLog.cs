using System.Diagnostics;
using System.Text.Json;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Training;

/// <summary>What a run writes of itself as it goes: run.json, metrics, samples and TensorBoard's events.</summary>
internal sealed class RunLog : IDisposable
{
    private readonly string folder;
    private readonly StepFile metrics;
    private readonly EventFile events;
    private readonly Samples? samples;
    private readonly StepFile? samplesFile;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly long firstPositions;
    private RunRecord record;

    /// <summary>Holds a run's folder: of two processes that trained into it each would undo what the other writes.</summary>
    /// <param name="folder">The folder; made if it is not there.</param>
    /// <exception cref="LandmarkException">Another process holds it, or the disk refuses.</exception>
    public static SafeFileHandle Hold(string folder)
    {
        WholeFiles.Guard(folder, () => Directory.CreateDirectory(folder));
        return WriterLock.Take(
            Path.Combine(folder, RunRecord.FileName), $"Another process trains into {folder}; wait until that has ended, or give another output folder.");
    }

    /// <summary>Begins, or goes on after a step: what stands in the folder of later ones was lost.</summary>
    /// <param name="options">The recipe.</param>
    /// <param name="run">Where and how often.</param>
    /// <param name="data">Its data.</param>
    /// <param name="decoder">Its model.</param>
    /// <param name="step">Steps done.</param>
    /// <param name="positions">Positions trained on.</param>
    public RunLog(TrainingOptions options, TrainingRun run, TrainingData data, Decoder decoder, long step, long positions)
    {
        (folder, firstPositions) = (run.Output, positions);
        foreach (var prefix in (ReadOnlySpan<string>)[TrainingCheckpoints.Prefix, BestModel.Prefix])
            WholeFiles.Sweep(folder, prefix + "????????");
        metrics = MetricsFile.Open(folder, step);
        events = new EventFile(folder, step);
        if (run.SampleEvery > 0 && data.HeldOut is not null)
        {
            samples = new Samples(data, decoder, options.Seed);
            samplesFile = new StepFile(Path.Combine(folder, "samples.jsonl"), step);
        }
        var recipe = JsonSerializer.Deserialize<JsonElement>(options.ToJson());
        var earlier = RunRecord.Find(folder);
        if (step == 0 && earlier?.IsOf(recipe, run, data) != true)
        {
            // Of another run. What this one kept before a kill that came before its first checkpoint stays.
            BestModel.Clear(folder);
            earlier = null;
        }
        var before = earlier?.Sessions ?? [];
        // A run that was done and is started again does nothing.
        var session = step == options.Steps && before is [.., var last] ? last : RunSession.Begin(run, step);
        record = new RunRecord
        {
            Recipe = recipe,
            Steps = options.Steps,
            Parameters = decoder.ParameterCount,
            TokenizerFingerprint = data.Tokenizer.Fingerprint,
            Shards = RunShards.Of(run.Shards, data.Shards),
            Validation = data.HeldOut is { } held ? RunShards.Of(run.ValidationShards!, held) : null,
            Base = run.Base,
            StartFrom = run.StartFrom,
            Every = new RunIntervals(
                run.ReportEvery, run.ValidateEvery, run.SampleEvery, run.SaveEvery, run.Keep, run.Limit?.TotalSeconds),
            Sessions = before.Contains(session) ? before : [.. before, session],
            Best = BestModel.Of(folder),
        };
        record.Save(folder);
    }

    /// <summary>Adds metrics.</summary>
    public void Add(IReadOnlyList<MetricsLine> lines)
    {
        metrics.Add(lines);
        events.Add(lines);
    }

    /// <summary>Notes how far the run is.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="positions">Positions trained on.</param>
    /// <param name="speed">Positions a second since the last report.</param>
    public void Report(long step, long positions, double speed)
    {
        events.Add(step, [("positions_per_second", speed)]);
        Update(s => s with { Step = step, PositionsPerSecond = (positions - firstPositions) / clock.Elapsed.TotalSeconds });
    }

    /// <summary>Adds a validation's metrics, and keeps the model if it is the best so far.</summary>
    /// <param name="line">What it found.</param>
    /// <param name="stage">The stage's first step.</param>
    /// <param name="export">Writes the model into a folder.</param>
    public void Judge(MetricsLine line, long stage, Action<string> export)
    {
        Add([line]);
        if ((line.ValidationLoss ?? line.ValidationAnswerLoss) is not { } loss) return;
        record = record with { Best = new BestModel(line.Step, loss) { Stage = stage }.Keep(folder, export) };
        record.Save(folder);
    }

    /// <summary>Lets the model write, if the run has samples.</summary>
    public void Sample(long step) => samplesFile?.Add(samples!.Draw(step));

    /// <summary>Has all that was added on the disk: a checkpoint is not to be newer than what tells of it.</summary>
    public void Sync()
    {
        metrics.Sync();
        events.Sync();
        samplesFile?.Sync();
    }

    /// <summary>Notes that the run ended as it should.</summary>
    public void End(long step, bool done) => End(step, done ? RunState.Done : RunState.Stopped);

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            if (record.Sessions[^1] is { State: RunState.Running, Step: var step }) End(step, RunState.Failed);
        }
        catch (LandmarkException)
        {
            // What ended the run is told, and where it cannot even be noted it may have been the same full disk.
        }
        metrics.Dispose();
        events.Dispose();
        samplesFile?.Dispose();
    }

    private void End(long step, RunState state) =>
        Update(s => s.State == RunState.Done ? s : s with { Step = step, State = state, Ended = DateTimeOffset.Now });

    private void Update(Func<RunSession, RunSession> change)
    {
        record = record with { Sessions = [.. record.Sessions.SkipLast(1), change(record.Sessions[^1])] };
        record.Save(folder);
    }
}
