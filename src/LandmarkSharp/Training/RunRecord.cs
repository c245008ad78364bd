using System.Diagnostics;
using System.Reflection;
using System.Text.Json;
using LandmarkSharp.Tensors;
using TorchSharp;

namespace LandmarkSharp.Training;

/// <summary>How a run is, or how it ended.</summary>
public enum RunState
{
    /// <summary>A process trains.</summary>
    Running,

    /// <summary>The recipe is done.</summary>
    Done,

    /// <summary>It was asked to stop, or its time was up; the same command goes on.</summary>
    Stopped,

    /// <summary>It ended with an error.</summary>
    Failed,

    /// <summary>The process is gone and did not say why; the same command goes on.</summary>
    Killed,

    /// <summary>There are metrics alone, which do not tell.</summary>
    Unknown,
}

/// <summary>What a run is made from and how it went: run.json of its folder.</summary>
public sealed record RunRecord
{
    internal const string FileName = "run.json";

    /// <summary>The recipe as used, every field written out.</summary>
    public required JsonElement Recipe { get; init; }

    /// <summary>Optimizer steps of the whole run.</summary>
    public required long Steps { get; init; }

    /// <summary>Parameters of the model.</summary>
    public required long Parameters { get; init; }

    /// <summary>Fingerprint of the tokenizer.</summary>
    public required string TokenizerFingerprint { get; init; }

    /// <summary>Texts it trains on.</summary>
    public required RunShards Shards { get; init; }

    /// <summary>Texts it is judged by; null for none.</summary>
    public RunShards? Validation { get; init; }

    /// <summary>Folder of the model that is fine-tuned; null where one is trained anew.</summary>
    public string? Base { get; init; }

    /// <summary>Folder of the model, or adapter, that it began with; null for none.</summary>
    public string? StartFrom { get; init; }

    /// <summary>How often it reported and saved, as last asked for.</summary>
    public required RunIntervals Every { get; init; }

    /// <summary>The times that it was started, in order.</summary>
    public required IReadOnlyList<RunSession> Sessions { get; init; }

    /// <summary>The model of the lowest held-out loss, kept in <see cref="BestModel.Folder"/>; null without validation.</summary>
    public BestModel? Best { get; init; }

    /// <summary>How it is: a session that has no end is over when its process is.</summary>
    public RunState State => Sessions is not [.., var last] ? RunState.Unknown
        : last is { State: RunState.Running, IsAlive: false } ? RunState.Killed
        : last.State;

    /// <summary>Reads a folder's run.json.</summary>
    /// <exception cref="LandmarkException">It is damaged, or of something else.</exception>
    internal static RunRecord Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        try
        {
            return JsonSerializer.Deserialize<RunRecord>(File.ReadAllText(path), RunJson.Whole)
                ?? throw new LandmarkException($"{path} is empty; train into this folder again, or remove it.");
        }
        catch (JsonException e)
        {
            throw new LandmarkException(
                $"{path} is no record of a run, by its line {e.LineNumber + 1}; train into this folder again, or remove it.", e);
        }
    }

    /// <summary>A folder's run.json; null where there is none or it is damaged: it is written anew, for what is computed does not depend on it.</summary>
    internal static RunRecord? Find(string folder)
    {
        try
        {
            return Load(folder);
        }
        catch (Exception e) when (e is LandmarkException or FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Whether it is of a run of this recipe, these texts and this beginning.</summary>
    internal bool IsOf(JsonElement recipe, TrainingRun run, TrainingData data) =>
        JsonElement.DeepEquals(Recipe, recipe) && (Base, StartFrom) == (run.Base, run.StartFrom)
        && Shards.Fingerprint == data.Shards.Fingerprint && Validation?.Fingerprint == data.HeldOut?.Fingerprint;

    /// <summary>Throws when a run that goes on would be fed or judged by other texts than those that it began with.</summary>
    internal void RequireSame(TrainingRun run, TrainingData data)
    {
        Same("--shards", Shards, data.Shards, run.Shards);
        if (Validation is { } before && data.HeldOut is { } now) Same("--validation", before, now, run.ValidationShards!);

        void Same(string option, RunShards before, TokenShards now, string folder)
        {
            if (before.Fingerprint != now.Fingerprint)
                throw new LandmarkException(
                    $"The run in {run.Output} was begun with other token shards than those in {folder} "
                    + $"(fingerprint {before.Fingerprint[..12]}…, these have {now.Fingerprint[..12]}…); "
                    + $"give {option} those that it was begun with, or another output folder.");
        }
    }

    internal void Save(string folder) => RunJson.Write(Path.Combine(folder, FileName), this);
}

/// <summary>Token shards as a run found them.</summary>
/// <param name="Folder">Where.</param>
/// <param name="Fingerprint"><see cref="TokenShards.Fingerprint"/>.</param>
/// <param name="Tokens">Tokens of each source.</param>
public sealed record RunShards(string Folder, string Fingerprint, IReadOnlyDictionary<string, long> Tokens)
{
    internal static RunShards Of(string folder, TokenShards shards) =>
        new(folder, shards.Fingerprint, shards.Meta.Sources.ToDictionary(s => s.Name, s => s.Tokens));
}

/// <summary>Steps between what a run does beside training.</summary>
/// <param name="Report">Between reports.</param>
/// <param name="Validate">Between validations.</param>
/// <param name="Sample">Between samples; 0 for none.</param>
/// <param name="Save">Between checkpoints.</param>
/// <param name="Keep">Checkpoints kept.</param>
/// <param name="LimitSeconds">After how many seconds it stops; null for never.</param>
public sealed record RunIntervals(int Report, int Validate, int Sample, int Save, int Keep, double? LimitSeconds);

/// <summary>One start of a run.</summary>
public sealed record RunSession
{
    /// <summary>Steps done before it.</summary>
    public required long FromStep { get; init; }

    /// <summary>Steps done at its last report.</summary>
    public required long Step { get; init; }

    /// <summary>When it started.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>When it ended; null while it runs, or if it was killed.</summary>
    public DateTimeOffset? Ended { get; init; }

    /// <summary>How it ended, as it said itself.</summary>
    public required RunState State { get; init; }

    /// <summary>Positions a second from its start to its last report, all that it did beside training counted.</summary>
    public double? PositionsPerSecond { get; init; }

    /// <summary>Where it ran, in words.</summary>
    public required IReadOnlyList<string> Devices { get; init; }

    /// <summary>This library's version, with the commit that it was built from where the build knew it.</summary>
    public required string Version { get; init; }

    /// <summary>libtorch's version.</summary>
    public required string LibTorch { get; init; }

    /// <summary>.NET's version.</summary>
    public required string DotNet { get; init; }

    /// <summary>The machine's name.</summary>
    public required string Machine { get; init; }

    /// <summary>The process's number there.</summary>
    public required int Process { get; init; }

    /// <summary>Processes that trained together, of which this is the first; null for one alone.</summary>
    public int? Processes { get; init; }

    internal static RunSession Begin(TrainingRun run, long step) => new()
    {
        FromStep = step,
        Step = step,
        Started = DateTimeOffset.Now,
        State = RunState.Running,
        Devices = [.. run.Devices.DefaultIfEmpty(torch.CPU).Select(Describe)],
        Version = typeof(RunSession).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
        LibTorch = Tensors.LibTorch.Version,
        DotNet = Environment.Version.ToString(),
        Machine = Environment.MachineName,
        Process = Environment.ProcessId,
        Processes = run.Group?.Size,
    };

    /// <summary>Whether its process is there. Of another machine's nothing is known: what it said last is believed.</summary>
    internal bool IsAlive
    {
        get
        {
            if (State != RunState.Running) return false;
            if (Machine != Environment.MachineName) return true;
            try
            {
                using var process = System.Diagnostics.Process.GetProcessById(Process);
                return process.StartTime <= Started.LocalDateTime;      // a later one has its number now
            }
            catch (Exception e) when (e is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                return false;
            }
        }
    }

    private static string Describe(torch.Device device) => device.type == DeviceType.CUDA
        ? $"{device} {CudaDriver.Devices().FirstOrDefault(d => d.Index == device.index)?.Name}".TrimEnd()
        : $"{device} {ProcFile.TextOf("/proc/cpuinfo", "model name")}".TrimEnd();
}
