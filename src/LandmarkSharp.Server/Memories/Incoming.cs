using System.Diagnostics;
using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Api;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// A document on its way into a memory: uploaded into a file of its own, made a text, and read. What it is stands beside in a small file, so that
/// it goes on after the server has ended, however it ended. Names of its files come from its id alone.
/// </summary>
/// <param name="folder">Where its files are.</param>
/// <param name="record">What it is.</param>
internal sealed class Incoming(string folder, IncomingRecord record) : IDisposable
{
    private const string Suffix = ".json", Unfinished = ".new";

    private readonly Stopwatch clock = new();
    private CancellationTokenSource interrupt = new();
    /// <summary>What it is.</summary>
    public IncomingRecord Record { get; private set; } = record;

    /// <summary>What has been uploaded.</summary>
    public string PartPath => Path.Combine(folder, $"{Record.Id}.part");

    /// <summary>The text that is to be read, when all of it is there.</summary>
    public string TextPath => Path.Combine(folder, $"{Record.Id}.text");

    /// <summary>One at a time writes to its part.</summary>
    public SemaphoreSlim Writing { get; } = new(1);

    /// <summary>How far it is.</summary>
    public IncomingState State { get; set; }

    /// <summary>Whether nobody wants it any more.</summary>
    public bool IsRemoved { get; private set; }

    /// <summary>Ends its reading.</summary>
    public CancellationToken Interrupted => interrupt.Token;

    /// <summary>Bytes that have been uploaded.</summary>
    public long Received =>
        new FileInfo(State == IncomingState.Receiving ? PartPath : TextPath) is { Exists: true, Length: var length } ? length : 0;

    /// <summary>When anything last came of it.</summary>
    public DateTimeOffset Changed => new FileInfo(PartPath) is { Exists: true, LastWriteTimeUtc: var written } ? new DateTimeOffset(written) : Record.Began;

    /// <summary>How far its reading is, while it is read.</summary>
    public ReadingProgress? Progress { get; private set; }

    /// <summary>A guess at the tokens of a text.</summary>
    public static long TokensAbout(long bytes) => Math.Max(1, bytes * 10 / 38);

    /// <summary>Begins one, and notes it on the disk.</summary>
    public static Incoming Begin(string folder, IncomingRecord record)
    {
        Directory.CreateDirectory(folder);
        var begun = new Incoming(folder, record);
        begun.Save();
        File.Create(begun.PartPath).Dispose();
        return begun;
    }

    /// <summary>Those that an earlier process left, in the order in which they came; files of none are removed.</summary>
    public static IReadOnlyList<Incoming> Left(string folder)
    {
        if (!Directory.Exists(folder)) return [];
        Dictionary<string, Incoming> all = [];
        foreach (var file in Directory.EnumerateFiles(folder, "*" + Suffix))
            if (Read(file) is { } record)
                all.Add(record.Id, new Incoming(folder, record));
        foreach (var file in Directory.EnumerateFiles(folder))
            if (!all.ContainsKey(Path.GetFileNameWithoutExtension(file)) || Path.GetExtension(file) == Unfinished)
                File.Delete(file);
        foreach (var incoming in all.Values)
            incoming.State = incoming.Record.Error is not null ? IncomingState.Failed
                : File.Exists(incoming.TextPath) ? IncomingState.Waiting : IncomingState.Receiving;
        return [.. all.Values.OrderBy(i => i.Record.Began)];
    }

    /// <summary>Notes that it is being read, and how far that is.</summary>
    public void Tell(MemoryProgress told)
    {
        if (told.NewTokens == 0) clock.Restart();
        var total = Math.Max(told.Tokens, TokensAbout(Received));
        var speed = told.NewTokens > 0 ? told.NewTokens / clock.Elapsed.TotalSeconds : (double?)null;
        Progress = new ReadingProgress(
            told.Tokens, total, speed is { } s ? Math.Round(s) : null, speed is { } t ? Math.Round((total - told.Tokens) / t, 1) : null);
    }

    /// <summary>Stops its reading, which goes on later.</summary>
    public void Interrupt() => interrupt.Cancel();

    /// <summary>Makes it ready to be read again.</summary>
    public void Wait()
    {
        (State, Progress) = (IncomingState.Waiting, null);
        interrupt.Dispose();
        interrupt = new CancellationTokenSource();
    }

    /// <summary>Notes that it will never be read, and why; its text goes.</summary>
    public void Fail(string error)
    {
        (State, Record, Progress) = (IncomingState.Failed, Record with { Error = error }, null);
        Save();
        File.Delete(TextPath);
        File.Delete(PartPath);
    }

    /// <summary>Removes all of it.</summary>
    public void Remove()
    {
        IsRemoved = true;
        interrupt.Cancel();
        foreach (var path in (string[])[PartPath, TextPath, Path.Combine(folder, Record.Id + Suffix)]) File.Delete(path);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        interrupt.Dispose();
        Writing.Dispose();
    }

    private void Save()
    {
        var (path, partial) = (Path.Combine(folder, Record.Id + Suffix), Path.Combine(folder, Record.Id + Unfinished));
        using (var file = new FileStream(partial, FileMode.Create, FileAccess.Write))
        {
            JsonSerializer.Serialize(file, Record, Protocol.Json.IncomingRecord);
            file.Flush(flushToDisk: true);
        }
        File.Move(partial, path, overwrite: true);
    }

    private static IncomingRecord? Read(string path)
    {
        try
        {
            using var file = File.OpenRead(path);
            return JsonSerializer.Deserialize(file, Protocol.Json.IncomingRecord) is { } read && read.Id == Path.GetFileNameWithoutExtension(path)
                ? read : null;
        }
        catch (JsonException)
        {
            return null;                                                                    // none of ours
        }
    }
}

/// <summary>What a document on its way is.</summary>
/// <param name="Id">Its id: hexadecimal digits.</param>
/// <param name="Memory">The memory that it is for.</param>
/// <param name="Document">Its name.</param>
/// <param name="MediaType">What is uploaded.</param>
/// <param name="Began">When it began to come.</param>
/// <param name="Bytes">Bytes that it will have; null where they come in one request.</param>
/// <param name="Sha256">Their hash, in hexadecimal; null where it is not told.</param>
/// <param name="Error">Why it will never be read; null where it may be.</param>
internal sealed record IncomingRecord(
    string Id, string Memory, string Document, string MediaType, DateTimeOffset Began, long? Bytes = null, string? Sha256 = null, string? Error = null);

/// <summary>How far a document on its way is.</summary>
internal enum IncomingState
{
    /// <summary>It is being uploaded.</summary>
    Receiving,

    /// <summary>It is there, and not read yet.</summary>
    Waiting,

    /// <summary>It is being read.</summary>
    Reading,

    /// <summary>It cannot be read.</summary>
    Failed,
}

/// <summary>How far a document's reading is.</summary>
/// <param name="Tokens">Tokens that have been read.</param>
/// <param name="Total">Of how many, about.</param>
/// <param name="TokensPerSecond">How fast.</param>
/// <param name="SecondsLeft">For how long still, about.</param>
internal sealed record ReadingProgress(long Tokens, long Total, double? TokensPerSecond, double? SecondsLeft);
