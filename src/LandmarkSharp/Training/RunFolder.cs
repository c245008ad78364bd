namespace LandmarkSharp.Training;

/// <summary>A run as its folder shows it, while it trains or after.</summary>
/// <param name="Path">The folder.</param>
/// <param name="Record">run.json; null where there are metrics alone.</param>
/// <param name="Metrics">metrics.jsonl.</param>
public sealed record RunFolder(string Path, RunRecord? Record, RunMetrics Metrics)
{
    /// <summary>How it is, or how it ended.</summary>
    public RunState State => Record?.State ?? RunState.Unknown;

    /// <summary>Steps done; 0 before the first report.</summary>
    public long Step => Metrics.LastStep;

    /// <summary>Positions trained on, landmarks counted.</summary>
    public long Positions => (long)(Metrics["positions"] is [.., var last] ? last.Value : 0);

    /// <summary>Positions a second in its newest session; null where nothing was reported.</summary>
    public double? PositionsPerSecond => Record?.Sessions is [.., var last] ? last.PositionsPerSecond : null;

    /// <summary>How long it trained; null where that is not recorded. A session that was killed has no end and does not count.</summary>
    public TimeSpan? Duration => Record?.Sessions.Aggregate(
        TimeSpan.Zero, (sum, s) => sum + ((s.Ended ?? (s.IsAlive ? DateTimeOffset.Now : s.Started)) - s.Started));

    /// <summary>The model of the lowest held-out loss, by the record or else by the metrics.</summary>
    public BestModel? Best => Record?.Best
        ?? Metrics.Best("validation_loss") ?? Metrics.Best("validation_answer_loss");

    /// <summary>Reads a run's folder.</summary>
    /// <exception cref="LandmarkException">It is no run's folder, or a file in it is damaged; the message names it.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static RunFolder Read(string path)
    {
        if (!Directory.Exists(path)) throw new LandmarkException($"There is no folder '{path}'; check the path.");
        var metrics = System.IO.Path.Combine(path, MetricsFile.Name);
        var hasRecord = File.Exists(System.IO.Path.Combine(path, RunRecord.FileName));
        if (!hasRecord && !File.Exists(metrics))
            throw new LandmarkException(
                $"{path} is no folder of a run: it has neither {RunRecord.FileName} nor {MetricsFile.Name}; "
                + "give one that 'landmark train' wrote.");
        return new RunFolder(path, hasRecord ? RunRecord.Load(path) : null, RunMetrics.Read(metrics));
    }

    /// <summary>The folders of runs at or below one, in the order of their names; folders that cannot be entered are passed over.</summary>
    /// <exception cref="LandmarkException">There is no such folder.</exception>
    public static IReadOnlyList<string> Find(string root)
    {
        if (!Directory.Exists(root)) throw new LandmarkException($"There is no folder '{root}'; check the path.");
        var everywhere = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            IgnoreInaccessible = true,
            AttributesToSkip = FileAttributes.ReparsePoint,      // a link may lead round in a circle
        };
        return [.. new[] { RunRecord.FileName, MetricsFile.Name }
            .SelectMany(name => Directory.EnumerateFiles(root, name, everywhere))
            .Select(file => System.IO.Path.GetDirectoryName(file)!)
            .Select(folder => folder.StartsWith("./", StringComparison.Ordinal) ? folder[2..] : folder)
            .Distinct().Order(StringComparer.Ordinal)];
    }
}
