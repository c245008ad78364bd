using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// Memories that are open for answers: one object for all requests that ask the same memories as they are now. Their landmark keys, with
/// what sessions have in common of an index over them, take no more than they may, for each caller and in all: for those that are to be
/// opened, those that nobody asks are closed, the ones asked least recently first. Those that have changed are closed when the last
/// request that has them has ended. For any number of threads.
/// </summary>
/// <param name="engine">The model.</param>
/// <param name="scheduler">Told of what is closed, for it keeps sessions of it, and whenever there may be room.</param>
/// <param name="options">How much may be open.</param>
internal sealed class OpenMemories(LandmarkEngine engine, Scheduler scheduler, ServerOptions options) : IDisposable
{
    /// <summary>Memories that stay open though nobody asks them, however small they are: each has files, of which a process may not have many.</summary>
    private const int MostIdle = 256;

    // The scheduler's lock is taken before this one, never after it.
    private readonly Lock held = new();
    private readonly MemoryModel model = engine.MemoryModel();
    private readonly long most = options.MemoryOpenBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2;
    private readonly List<OpenEntry> entries = [];                                          // the one asked last is the last
    private readonly List<OpenEntry> closed = [];                                           // of which sessions may be kept
    private readonly Dictionary<string, long> taken = [];                                   // bytes of each caller, until they are given back
    private readonly Dictionary<string, HotBound> hot = [];                                 // of each caller
    private readonly HotBound? allHot = options.MemoryHotBytes is { } bytes ? new HotBound(bytes) : null;

    /// <summary>Bytes of landmark keys in RAM, and of indexes over them.</summary>
    public long Bytes
    {
        get
        {
            lock (held) return taken.Values.Sum();
        }
    }

    /// <summary>Looks at what a request asks, as it is now: the complete documents, and the bytes that these take when they are open.</summary>
    /// <exception cref="LandmarkException">A file cannot be read.</exception>
    /// <exception cref="RequestException">One is not there any more or has no complete document, or they could never be open.</exception>
    public (IReadOnlyList<DocumentVersion> Versions, long Bytes) Look(MemoryLease lease)
    {
        var (versions, blocks) = (new List<DocumentVersion>(), 0L);
        foreach (var path in lease.Paths)
        {
            using var file = Found([path], () => MemoryFile.Open(path, model));
            if (!file.Documents.Any(d => d.Complete))
                throw RequestException.Field(
                    "memories", $"The memory '{MemoryShelf.NameOf(path)}' has no document that has been read; add one, or ask when one has been.", "memory_empty");
            foreach (var document in file.Documents.Where(d => d.Complete))
            {
                versions.Add(document.Version);
                blocks += document.Blocks;
            }
        }
        var size = OpenMemory.BytesOf(model, blocks, engine.Decoder.ComputeType, engine.Retrieval!.Index);
        var own = lease.Caller.Limits.OpenBytes ?? long.MaxValue;
        if (size > Math.Min(most, own))
            throw RequestException.Field(
                "memories",
                $"To ask this, {size:N0} bytes of landmark keys and what finds them would have to be open, and {Math.Min(most, own):N0} may be "
                + $"{(own < most ? $"for the key of '{lease.Caller.Name}'" : "on this server")}; ask fewer memories at once, or smaller ones.",
                "memory_too_large");
        Close(e => e.IsOf(lease.Paths) && !e.Versions.SequenceEqual(versions));
        return (versions, size);
    }

    /// <summary>Has a request take what it asks, if there is room now. What is not open is opened meanwhile.</summary>
    /// <param name="lease">The request's.</param>
    /// <param name="closes">Whether what nobody asks is closed where it is in the way.</param>
    public MemoryRoom Take(MemoryLease lease, bool closes = true)
    {
        try
        {
            lock (held)
            {
                if (entries.Find(e => e.IsOf(lease.Paths) && e.Versions.SequenceEqual(lease.Versions)) is not { } entry)
                {
                    if (lease.Caller.Limits.OpenBytes is { } own && !MakeRoom(lease.Bytes, own, e => closes && e.Caller == lease.Caller.Name, Of(lease.Caller.Name)))
                        return MemoryRoom.NoneForCaller;
                    if (!MakeRoom(lease.Bytes, most, _ => closes, taken.Values.Sum())) return MemoryRoom.None;
                    entry = new OpenEntry(lease.Caller.Name, lease.Paths, lease.Versions, lease.Bytes);
                    taken[entry.Caller] = Of(entry.Caller) + entry.Bytes;
                    Begin(entry, HotOf(lease));
                }
                entries.Remove(entry);
                entries.Add(entry);
                entry.Leases++;
                lease.Taken = entry;
                return MemoryRoom.Taken;
            }
        }
        finally
        {
            Forget();
        }
    }

    /// <summary>Takes back what a request has.</summary>
    public void End(MemoryLease lease)
    {
        lock (held)
        {
            if (lease.Taken is not { } entry) return;
            lease.Taken = null;
            entry.Leases--;
            Settle(entry);
            var idle = entries.FindAll(e => e.IsIdle);
            foreach (var old in idle.Take(idle.Count - MostIdle)) Close(old);
        }
        Forget();
        scheduler.Wake();
    }

    /// <summary>Closes a memory file that is no more, or is another file now.</summary>
    public void Close(string path) => Close(e => e.Paths.Contains(path));

    /// <inheritdoc/>
    public void Dispose() => Close(_ => true);

    /// <summary>What is read of files, or that there is no such memory any more.</summary>
    private static T Found<T>(IReadOnlyList<string> paths, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (LandmarkException) when (paths.FirstOrDefault(p => !File.Exists(p)) is not null)
        {
            throw MemoryShelf.NotThere(Path.GetFileNameWithoutExtension(paths.First(p => !File.Exists(p))), "memories");
        }
    }

    private void Begin(OpenEntry entry, HotBound? hot)
    {
        entry.Opening = Task.Run(() => Open(entry, hot));
        _ = entry.Opening.ContinueWith(
            opening =>
            {
                lock (held)
                {
                    if (opening is not { IsCompletedSuccessfully: true, Result: not null }) (entry.IsClosed, _) = (true, entries.Remove(entry));
                    Settle(entry);
                }
                Forget();
                scheduler.Wake();
            },
            TaskScheduler.Default);
    }

    private SharedMemory? Open(OpenEntry entry, HotBound? hot)
    {
        OpenMemory? opened = null;
        try
        {
            opened = Found(entry.Paths, () => engine.OpenMemoryWithin(entry.Paths, hot));
            if (opened.Documents.Select(d => d.Version).SequenceEqual(entry.Versions)) return new SharedMemory(opened, () => GiveBack(entry));
        }
        catch
        {
            GiveBack(entry);
            throw;
        }
        opened.Dispose();
        GiveBack(entry);
        return null;
    }

    /// <summary>Whether bytes fit in; where they would without what nobody asks, as much of that is closed as is in their way.</summary>
    private bool MakeRoom(long bytes, long limit, Func<OpenEntry, bool> among, long now)
    {
        var idle = entries.FindAll(e => e.IsIdle && among(e));
        var over = now + bytes - limit;
        // What requests have is waited for, and what is being closed has its bytes until that is done.
        if (over <= 0 || over > idle.Sum(e => e.Bytes)) return over <= 0;
        foreach (var old in idle.TakeWhile(_ => over > 0))
        {
            over -= old.Bytes;
            Close(old);
        }
        return false;
    }

    private void Close(Func<OpenEntry, bool> which)
    {
        lock (held)
            foreach (var entry in entries.FindAll(e => which(e))) Close(entry);
        Forget();
    }

    private void Close(OpenEntry entry)
    {
        entries.Remove(entry);
        entry.IsClosed = true;
        Settle(entry);
    }

    /// <summary>Has what was closed go when nobody has it any more.</summary>
    private void Settle(OpenEntry entry)
    {
        if (!entry.IsClosed || !entry.IsIdle || entry.IsGone) return;
        entry.IsGone = true;
        closed.Add(entry);
    }

    /// <summary>Lets go of what was closed, when its sessions are kept no more; never under the lock, for the scheduler has one of its own.</summary>
    private void Forget()
    {
        OpenEntry[] all;
        lock (held)
        {
            all = [.. closed];
            closed.Clear();
        }
        foreach (var memory in all.Where(e => e.Opening.IsCompletedSuccessfully).Select(e => e.Opening.Result).OfType<SharedMemory>())
            scheduler.Between(cache =>
            {
                cache.Forget(memory);
                memory.Release();
            });
    }

    private long Of(string caller) => taken.GetValueOrDefault(caller);

    private void GiveBack(OpenEntry entry)
    {
        lock (held)
        {
            taken[entry.Caller] = Of(entry.Caller) - entry.Bytes;
            if (taken[entry.Caller] == 0) taken.Remove(entry.Caller);
        }
    }

    /// <summary>The bound to a caller's blocks in RAM, within that to everyone's.</summary>
    private HotBound? HotOf(MemoryLease lease)
    {
        if (lease.Caller.Limits.HotBytes is not { } bytes) return allHot;
        if (hot.TryGetValue(lease.Caller.Name, out var own)) own.Limit(bytes);
        else hot[lease.Caller.Name] = own = new HotBound(bytes, allHot);
        return own;
    }
}
