using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// The sessions in one caller's memories: what was asked and answered after the documents, kept by a name, and gone on with another day.
/// One at a time goes on with a session, or changes it. For any number of threads.
/// </summary>
/// <param name="shelf">The memories.</param>
/// <param name="parts">What all shelves have in common.</param>
internal sealed class MemorySessions(MemoryShelf shelf, LibraryParts parts)
{
    private readonly HashSet<(string Memory, string Session)> busy = [];                    // guards itself

    /// <summary>All of a memory's sessions, in the order in which they were kept first.</summary>
    /// <exception cref="RequestException">There is no such memory.</exception>
    public SessionList All(string memory)
    {
        using var file = shelf.Open(memory);
        return new SessionList([.. Complete(file).Select(s => Told(memory, s))]);
    }

    /// <summary>One with its text.</summary>
    /// <exception cref="RequestException">There is no such memory or session.</exception>
    /// <exception cref="LandmarkException">Its text is damaged.</exception>
    public SessionInfo Describe(string memory, string session)
    {
        using var file = shelf.Open(memory);
        var entry = Find(file, session) ?? throw NoSession(session);
        SessionInfo? told = null;
        shelf.Guarded(() => told = Told(memory, entry) with
        {
            Text = Encoding.UTF8.GetString([.. entry.Segments.SelectMany(s => file.ReadText(s).Text)]),
        });
        return told!;
    }

    /// <summary>Gives one another name.</summary>
    /// <exception cref="RequestException">
    /// There is no such memory or session, the name is none or is taken, or an answer goes on with one of the two.
    /// </exception>
    public async Task<SessionInfo> Rename(string memory, string session, string? name)
    {
        MemoryNames.Session(name, "name");
        if (name == session) throw Taken(session, "name");
        using (Take(memory, name!))
        using (Take(memory, session))
        {
            await Change(memory, session, sessions =>
            {
                if (sessions.Contains(name!)) throw Taken(name!, "name");
                sessions.Rename(session, name!);
            });
        }
        return Describe(memory, name!) with { Text = null };
    }

    /// <summary>Removes one; those that went on from it by other names stay.</summary>
    /// <exception cref="RequestException">There is no such memory or session, or an answer goes on with it.</exception>
    public async Task Remove(string memory, string session)
    {
        using (Take(memory, session)) await Change(memory, session, sessions => sessions.Remove(session));
    }

    /// <summary>Has a request go on with a session, or begin one.</summary>
    /// <param name="memories">The memories that it asks: a session that is there stays where it lies, a new one lies in the first.</param>
    /// <param name="name">The session's name.</param>
    /// <param name="fork">The name by which what becomes of it is kept, so that it stays as it was; null for its own.</param>
    /// <exception cref="RequestException">
    /// A name is none, there is nothing to fork, what is to be made is there, another request has it, or a document is being read into the memory.
    /// </exception>
    public NamedSession Begin(IReadOnlyList<string> memories, string name, string? fork)
    {
        MemoryNames.Session(name, "landmark.session");
        if (fork is not null) MemoryNames.Session(fork, "landmark.fork");
        var (memory, found) = (memories[0], (MemoryEntry?)null);
        foreach (var other in memories)
        {
            using var file = shelf.Open(other);
            if ((found = Find(file, name)) is null) continue;
            memory = other;
            if (fork is not null && Find(file, fork) is not null) throw Taken(fork, "landmark.fork");
            break;
        }
        if (fork is not null && found is null) throw NoSession(name, "landmark.session");
        if (shelf.Queue.IsReading(memory))
            throw new RequestException(
                StatusCodes.Status409Conflict,
                $"A document is being read into the memory '{memory}', and sessions are kept there when that is done; ask again then, or without a session.",
                "landmark.session", "memory_busy");
        shelf.RequireRoomOnDisk(memory, found?.Tokens ?? 0);                  // what is asked comes on top, when it is known
        return new NamedSession(this, Take(memory, fork ?? name), memory, name, fork, found?.Tokens);
    }

    /// <summary>A session as its request begins with it. On the thread that computes.</summary>
    public Session Open(NamedSession named, LandmarkEngine engine, Memory.OpenMemory opened)
    {
        if (named.Tokens is null) return engine.NewSession(opened);
        using var file = shelf.Open(named.Memory);                                          // it may have been kept since the memory was opened
        if (Find(file, named.Name) is null) throw NoSession(named.Name);
        return engine.OpenSession(opened, named.Name, file);
    }

    /// <summary>Keeps a session that has answered.</summary>
    /// <exception cref="RequestException">
    /// There is no room for it, or no such memory any more; another program writes the memory or kept the session meanwhile; the disk refuses; or
    /// the server is stopping.
    /// </exception>
    public async Task<SessionInfo> Keep(NamedSession named, Session session)
    {
        var path = shelf.PathOf(named.Memory);
        using var held = await shelf.Queue.Hold(named.Memory);
        shelf.RequireRoomOnDisk(named.Memory, session.Tokens.Count);
        // Its last tokens are still to be computed, which one thread does.
        var job = new TurnJob<SessionInfo>(shelf.Caller.Name, () => Save(named, session, path), CancellationToken.None) { IsForLater = true };
        try
        {
            parts.Scheduler.Submit(job);
            var kept = await job.Result;
            parts.Reader.Compact(path);
            return kept;
        }
        catch (LandmarkException e)
        {
            throw new RequestException(
                StatusCodes.Status409Conflict, $"The answer is whole, but the session '{named.Fork ?? named.Name}' was not kept: {e.Message}",
                "landmark.session", "session_not_kept");
        }
    }

    /// <summary>Drops a session that is not wanted any more. Sessions end where they compute.</summary>
    public void Drop(Session session, MemoryLease memory) => parts.Scheduler.Between(_ =>
    {
        session.Dispose();
        memory.Dispose();
    });

    private SessionInfo Save(NamedSession named, Session session, string path)
    {
        shelf.Guarded(() =>
        {
            using var writer = MemoryFileWriter.Open(path, parts.Reader.Model);
            session.Save(writer, named.Fork ?? named.Name);
            writer.Commit();
        });
        using var file = shelf.Open(named.Memory);
        return Told(named.Memory, Find(file, session.Name!)!) with { Changes = session.Changes is { IsNone: false } changes ? $"{changes}" : null };
    }

    private async Task Change(string memory, string session, Action<MemoryEntries> change)
    {
        var path = shelf.PathOf(memory);
        using var held = await shelf.Queue.Hold(memory);
        shelf.Guarded(() =>
        {
            using var writer = MemoryFileWriter.Open(path, parts.Reader.Model);
            if (!writer.Sessions.Contains(session)) throw NoSession(session);
            change(writer.Sessions);
            writer.Commit();
        });
        parts.Reader.Compact(path);
    }

    /// <summary>Has a session for one alone, until what is returned is disposed.</summary>
    private Held Take(string memory, string session)
    {
        lock (busy)
        {
            if (busy.Add((memory, session))) return new Held(this, (memory, session));
        }
        throw new RequestException(
            StatusCodes.Status409Conflict, $"Another request goes on with the session '{session}'; ask again when that has ended, or fork it.",
            "session", "session_busy");
    }

    private static IEnumerable<MemoryEntry> Complete(MemoryFile file) => file.Sessions.Where(s => s.Complete);

    private static MemoryEntry? Find(MemoryFile file, string session) => Complete(file).FirstOrDefault(s => s.Name == session);

    private static SessionInfo Told(string memory, MemoryEntry entry) => new(
        entry.Name, memory, entry.Tokens, entry.From, entry.Read is { } read ? [.. read.Select(d => d.Name)] : null);

    private static RequestException NoSession(string session, string field = "session") => new(
        StatusCodes.Status404NotFound, $"There is no session '{session}' in this memory; see the list of its sessions.", field, "session_not_found");

    private static RequestException Taken(string session, string field) => new(
        StatusCodes.Status409Conflict, $"There is a session '{session}' already; remove it, or choose another name.", field, "session_exists");

    /// <summary>A session that one alone has.</summary>
    internal sealed class Held(MemorySessions all, (string, string) what) : IDisposable
    {
        /// <inheritdoc/>
        public void Dispose()
        {
            lock (all.busy) all.busy.Remove(what);
        }
    }
}
