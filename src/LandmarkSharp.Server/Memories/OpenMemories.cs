using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// Memories that are open for answers: one object for all requests that ask the same memories as they are now. Those that have changed are
/// closed when the last request that reads them has ended, and of those that nobody asks the ones asked least recently. For any number of threads.
/// </summary>
/// <param name="engine">The model.</param>
/// <param name="scheduler">Told of what is closed: it keeps sessions of it.</param>
/// <param name="idleBytes">Bytes of landmark keys of memories that nobody asks.</param>
internal sealed class OpenMemories(LandmarkEngine engine, Scheduler scheduler, long idleBytes) : IDisposable
{
    /// <summary>Memories, or sets of them that are asked together, that one caller has open at once: each has its part of what may be hot.</summary>
    private const int MostOfACaller = 4;

    private readonly Lock held = new();
    private readonly MemoryModel model = engine.MemoryModel();
    private readonly List<Entry> entries = [];                                              // the one asked last is the last
    private readonly List<SharedMemory> closed = [];                                        // of which sessions may be kept

    /// <summary>Opens memories, or holds them where they are open.</summary>
    /// <param name="caller">Whose they are.</param>
    /// <param name="names">Their names, for messages.</param>
    /// <param name="paths">Their files, in the order in which they are read.</param>
    /// <param name="hotBytes">Bytes of blocks that all of a caller's open memories keep in RAM; null for as many as the system likes.</param>
    /// <exception cref="LandmarkException">One cannot be opened.</exception>
    /// <exception cref="RequestException">The caller's requests hold as many as may be open.</exception>
    public MemoryLease Open(string caller, IReadOnlyList<string> names, IReadOnlyList<string> paths, long? hotBytes)
    {
        var versions = Versions(paths);
        try
        {
            lock (held)
            {
                foreach (var old in entries.Where(e => e.IsOf(paths) && !e.Versions.SequenceEqual(versions)).ToArray()) Close(old);
                if (entries.Find(e => e.IsOf(paths)) is { } there) return Lease(there, names);
                foreach (var idle in entries.Where(e => e.Caller == caller && e.Leases == 0).ToArray())
                    if (entries.Count(e => e.Caller == caller) >= MostOfACaller)
                        Close(idle);
                if (entries.Count(e => e.Caller == caller) >= MostOfACaller)
                    throw new RequestException(
                        StatusCodes.Status429TooManyRequests,
                        $"{MostOfACaller} sets of memories are being asked at once; ask again when one of them is not.", "memories", "too_many_memories");
            }
        }
        finally
        {
            Forget();
        }
        // Landmark keys are read here, while others ask what is open.
        var opened = engine.OpenMemory(paths, hotBytes / MostOfACaller);
        DocumentVersion[] now = [.. opened.Documents.Select(d => d.Version)];
        lock (held)
        {
            if (entries.Find(e => e.IsOf(paths) && e.Versions.SequenceEqual(now)) is { } there)
            {
                opened.Dispose();                                                           // another request was faster
                return Lease(there, names);
            }
            var entry = new Entry(caller, paths, now, new SharedMemory(opened), KeyBytes(opened));
            entries.Add(entry);
            return Lease(entry, names);
        }
    }

    /// <summary>Closes a memory file that is no more, or is another file now.</summary>
    public void Close(string path) => Close(e => e.Paths.Contains(path));

    /// <inheritdoc/>
    public void Dispose() => Close(_ => true);

    private void Close(Func<Entry, bool> which)
    {
        lock (held)
        {
            foreach (var entry in entries.Where(which).ToArray()) Close(entry);
        }
        Forget();
    }

    private MemoryLease Lease(Entry entry, IReadOnlyList<string> names)
    {
        entries.Remove(entry);
        entries.Add(entry);
        entry.Leases++;
        entry.Memory.Hold();
        return new MemoryLease(names, entry.Paths, entry.Memory, () => Ended(entry));
    }

    private void Ended(Entry entry)
    {
        lock (held)
        {
            entry.Leases--;
            entry.Memory.Release();
            var idle = entries.Where(e => e.Leases == 0).ToList();
            for (var bytes = idle.Sum(e => e.KeyBytes); bytes > idleBytes; idle.RemoveAt(0))
            {
                bytes -= idle[0].KeyBytes;
                Close(idle[0]);
            }
        }
        Forget();
    }

    private void Close(Entry entry)
    {
        entries.Remove(entry);
        closed.Add(entry.Memory);
    }

    /// <summary>Lets go of what was closed, when its sessions are kept no more; never under the lock, for the scheduler has one of its own.</summary>
    private void Forget()
    {
        SharedMemory[] all;
        lock (held)
        {
            all = [.. closed];
            closed.Clear();
        }
        foreach (var memory in all)
            scheduler.Between(cache =>
            {
                cache.Forget(memory);
                memory.Release();
            });
    }

    /// <summary>The complete documents of files as they are now.</summary>
    private DocumentVersion[] Versions(IReadOnlyList<string> paths)
    {
        List<DocumentVersion> versions = [];
        foreach (var path in paths)
        {
            using var file = MemoryFile.Open(path, model);
            versions.AddRange(file.Documents.Where(d => d.Complete).Select(d => d.Version));
        }
        return [.. versions];
    }

    private static long KeyBytes(OpenMemory memory) => memory.Blocks * memory.Model.Layers * memory.Model.Heads * memory.Model.HeadDim * sizeof(float);

    private sealed record Entry(string Caller, IReadOnlyList<string> Paths, DocumentVersion[] Versions, SharedMemory Memory, long KeyBytes)
    {
        public int Leases { get; set; }

        public bool IsOf(IReadOnlyList<string> paths) => Paths.SequenceEqual(paths);
    }
}
