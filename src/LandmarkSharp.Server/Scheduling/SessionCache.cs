using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>
/// Sessions whose requests have ended, so that a text which begins as one of theirs is not read again. Those used least recently go first.
/// Each serves its owner alone: how fast an answer comes, or what it says of tokens read before, tells nobody what others asked. Used by one
/// thread.
/// </summary>
/// <param name="engine">The model.</param>
/// <param name="limit">Bytes of keys and values kept.</param>
internal sealed class SessionCache(LandmarkEngine engine, long limit) : IDisposable
{
    private const int MostMappings = 16_000;                                                // of 65,530 that a process may have

    private readonly List<(Session Session, SessionStart Start)> sessions = [];             // the one used last is the last
    private readonly Dictionary<Session, long> taken = [];                                  // those at work, and tokens they may come to

    /// <summary>Bytes of keys and values that are kept.</summary>
    public long Bytes { get; private set; }

    /// <summary>
    /// A session that has read as much of a prompt as any: the kept one itself if that is all that it read, or one that forks from it where
    /// the prompt differs, at a whole block. Models without landmarks have no blocks to fork at.
    /// </summary>
    /// <param name="prompt">The prompt's tokens.</param>
    /// <param name="more">Tokens that may come after it.</param>
    /// <param name="reused">Tokens whose keys and values are there.</param>
    /// <param name="start">What the session is to begin with, how it is to read, and for whom.</param>
    /// <exception cref="RequestException">There is no memory for it.</exception>
    public Session Take(int[] prompt, int more, out int reused, SessionStart start = default)
    {
        var kept = sessions.Where(s => s.Start == start).Select(s => s.Session).MaxBy(s => Usable(s, prompt));
        reused = kept is null ? 0 : Usable(kept, prompt);
        if (reused == 0) kept = null;
        var common = kept is null ? 0 : CommonTokens(kept.Tokens, prompt);
        var goesOn = kept is not null && common == kept.Tokens.Count;
        // What others at work may still come to is theirs. Memory of texts that have ended serves those that are asked about now.
        var promised = taken.Sum(t => Math.Max(0, t.Value - t.Key.Tokens.Count));
        while (!engine.HasRoom(promised + prompt.Length + more - (goesOn ? common : 0)))
        {
            if (sessions.FindIndex(s => s.Session != kept) is >= 0 and var other)
                Drop(other);
            else if (kept is null || goesOn)
                throw new RequestException(
                    StatusCodes.Status503ServiceUnavailable,
                    $"There is no memory for a text of {prompt.Length:N0} tokens now; ask again later, or send a shorter one.", code: "no_memory");
            else
            {
                Drop(sessions.FindIndex(s => s.Session == kept));
                (kept, reused) = (null, 0);
            }
        }
        if (kept is null) return Taken(start.Begin(engine));
        Remove(sessions.FindIndex(s => s.Session == kept));
        if (!goesOn)
        {
            var fork = kept.Fork(common);
            // A conversation goes on: of what the answer's last tokens were, nobody asks again.
            if (kept.Tokens.Count - common < engine.Config.Landmark!.BlockTokens) Discard(kept);
            else Add(kept, start);
            kept = fork;
        }
        return Taken(kept);

        Session Taken(Session session)
        {
            taken[session] = (long)prompt.Length + more;
            return session;
        }
    }

    /// <summary>Disposes of a session that is not kept.</summary>
    public void Discard(Session session)
    {
        taken.Remove(session);
        session.Dispose();
    }

    /// <summary>Keeps a session for texts that begin as its own.</summary>
    /// <param name="session">The session.</param>
    /// <param name="start">What it began with, how it reads, and whom it serves.</param>
    public void Return(Session session, SessionStart start = default)
    {
        taken.Remove(session);
        Add(session, start);
        while (Bytes > limit || sessions.Sum(s => (long)(s.Start.Memory?.Opened.Mappings ?? 0)) > MostMappings) Drop(0);
    }

    /// <summary>Drops the sessions that began with a memory, which is to be closed.</summary>
    public void Forget(SharedMemory memory)
    {
        for (var i = sessions.Count - 1; i >= 0; i--)
            if (sessions[i].Start.Memory == memory)
                Drop(i);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (sessions.Count > 0) Drop(0);
    }

    private void Add(Session session, SessionStart start)
    {
        start.Memory?.Hold();
        sessions.Add((session, start));
        Bytes += session.MemoryBytes;
    }

    private void Drop(int index) => Remove(index, session => session.Dispose());

    /// <summary>Keeps a session no more; its memory is held until it has been seen to.</summary>
    private void Remove(int index, Action<Session>? see = null)
    {
        var (session, start) = sessions[index];
        sessions.RemoveAt(index);
        Bytes -= session.MemoryBytes;
        see?.Invoke(session);
        start.Memory?.Release();
    }

    /// <summary>Tokens of a prompt that need not be computed.</summary>
    private int Usable(Session session, int[] prompt)
    {
        var common = CommonTokens(session.Tokens, prompt);
        if (common == session.Tokens.Count) return session.Computed;
        return engine.Config.Landmark is { BlockTokens: var block } ? Math.Min(common - 1, session.Computed) / block * block : 0;
    }

    private static int CommonTokens(IReadOnlyList<int> read, int[] prompt)
    {
        var most = Math.Min(read.Count, prompt.Length);
        for (var i = 0; i < most; i++)
            if (read[i] != prompt[i])
                return i;
        return most;
    }
}
