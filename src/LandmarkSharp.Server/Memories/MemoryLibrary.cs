using System.Collections.Concurrent;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Scheduling;
using Microsoft.Win32.SafeHandles;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// Memories that callers make, fill and ask: a folder, and in it one of each caller. Whoever asks in this process uses it as it is, others by
/// HTTP. For any number of threads.
/// </summary>
internal sealed class MemoryLibrary : IAsyncDisposable
{
    private readonly string folder;
    private readonly LibraryParts parts;
    private readonly CancellationTokenSource stopping = new();
    private readonly ConcurrentDictionary<string, Lazy<MemoryShelf>> shelves = new();
    private readonly SafeFileHandle held;                                                   // or another server would go on with the same documents

    /// <summary>Opens a library.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="model">Its name.</param>
    /// <param name="scheduler">Computes.</param>
    /// <param name="options">Where the library is, and how much each caller may have.</param>
    /// <param name="log">Told of failures.</param>
    /// <exception cref="LandmarkException">The folder cannot be used, or the model has no memories.</exception>
    public MemoryLibrary(LandmarkEngine engine, string model, Scheduler scheduler, ServerOptions options, ServerLog log)
    {
        folder = Path.GetFullPath(options.Memories!);
        if (engine.Decoder.Device.type != TorchSharp.DeviceType.CPU)
            throw new LandmarkException("Memories are made and read on the CPU alone; give --memories none, or load the model there.");
        var open = new OpenMemories(engine, scheduler, options);
        parts = new LibraryParts(engine, model, scheduler, new DocumentReader(engine, scheduler, open), open, options, log, stopping.Token);
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"The folder of memories {folder} cannot be used ({e.Message.TrimEnd('.')}); check the path and its permissions, or give --memories none.", e);
        }
        held = WriterLock.Take(
            Path.Combine(folder, ".server"), $"The memories in {folder} are those of another server that runs; give other ones by --memories FOLDER, or none by --memories none.");
    }

    /// <summary>Bytes of landmark keys of memories that are open, and of indexes over them.</summary>
    public long OpenBytes => parts.Open.Bytes;

    /// <summary>
    /// Goes on with the documents that were on their way when the server ended, each caller's within the limits of its key. Those of keys that
    /// let nobody in wait for a key of that name.
    /// </summary>
    /// <param name="keys">The keys; null where there are none, and so one caller.</param>
    public void Resume(KeyRing? keys)
    {
        foreach (var name in Directory.EnumerateDirectories(folder).Select(Path.GetFileName).OfType<string>())
            if ((keys is null ? (name == Caller.Local.Name ? Caller.Local : null) : keys.Holder(name)) is { } caller)
                Of(caller);
    }

    /// <summary>A caller's memories, when a request of it asks for them: its limits are those of now.</summary>
    public MemoryShelf Of(Caller caller)
    {
        var shelf = shelves.GetOrAdd(
            caller.Name, name => new Lazy<MemoryShelf>(() => new MemoryShelf(Path.Combine(folder, name), parts, caller))).Value;
        shelf.Caller = caller;
        return shelf;
    }

    /// <summary>Ranks documents by what a question reads of them.</summary>
    /// <param name="caller">Who asks.</param>
    /// <param name="client">Whose turns it takes.</param>
    /// <param name="memories">The memories' names.</param>
    /// <param name="query">The question.</param>
    /// <param name="passages">Passages of each document.</param>
    /// <param name="cancel">Gives it up.</param>
    /// <exception cref="RequestException">A memory is not there, the question cannot be read, or too many wait.</exception>
    public async Task<IReadOnlyList<FoundDocument>> Search(
        Caller caller, string client, IReadOnlyList<string> memories, string query, int passages, CancellationToken cancel)
    {
        using var lease = Of(caller).Lease(memories);
        caller.Spend(parts.Engine.Tokenizer.Encode(query).Length);
        var job = new TurnJob<IReadOnlyList<RankedDocument>>(
            client, () => parts.Engine.Search(lease.Memory.Opened, query, new SearchOptions { Passages = passages }, cancel), cancel, lease)
        {
            Limits = caller.Shares,
        };
        parts.Scheduler.Submit(job);
        try
        {
            return [.. (await job.Result).Select(d => new FoundDocument(
                d.Name, d.Mass, [.. d.Passages.Select(p => lease.Of(p.Passage, p.Mass)).OfType<ReadPassage>()]))];
        }
        catch (LandmarkException e)
        {
            throw lease.Told(e);
        }
    }

    /// <summary>Reads no more documents; those on their way go on when the library is opened again.</summary>
    public async Task Stop()
    {
        await stopping.CancelAsync();
        await Task.WhenAll(shelves.Values.Select(s => s.Value.Queue.Stop()));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Stop();
        parts.Open.Dispose();
        held.Dispose();
        stopping.Dispose();
    }
}

/// <summary>What all shelves of a library have in common.</summary>
internal sealed record LibraryParts(
    LandmarkEngine Engine, string ModelName, Scheduler Scheduler, DocumentReader Reader, OpenMemories Open, ServerOptions Options, ServerLog Log,
    CancellationToken Stopping);

/// <summary>A document, by how much of a question's attention it had.</summary>
/// <param name="Document">Its name.</param>
/// <param name="Mass">The share of attention that its blocks had together.</param>
/// <param name="Passages">Its most read passages.</param>
internal sealed record FoundDocument(string Document, double Mass, IReadOnlyList<ReadPassage> Passages);
