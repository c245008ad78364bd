using LandmarkSharp.Generation;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>Something to compute, a turn at a time.</summary>
/// <param name="client">Whose it is: clients take turns.</param>
/// <param name="cancel">Ends it before its next turn.</param>
/// <param name="memory">The memories that it reads, which it takes before its first turn; null for none.</param>
internal abstract class Job(string client, CancellationToken cancel, MemoryLease? memory = null)
{
    /// <summary>Whose it is.</summary>
    public string Client => client;

    /// <summary>The memories that it reads; null for none.</summary>
    public MemoryLease? Memory => memory;

    /// <summary>Whether it can have a turn: its memories are open.</summary>
    public bool IsReady => memory is null or { IsReady: true };

    /// <summary>What its client may use at most; null where clients are connections, which have no shares.</summary>
    public CallerLimits? Limits { get; init; }

    /// <summary>Whether nobody waits for it any more.</summary>
    public bool IsCancelled => cancel.IsCancellationRequested;

    /// <summary>When it came, by <see cref="System.Diagnostics.Stopwatch"/>.</summary>
    public long Came { get; set; }

    /// <summary>The number of its last turn; 0 before the first.</summary>
    public long LastTurn { get; set; }

    /// <summary>
    /// Whether it is no request's own work: it takes turns as others do, but no request's place, and ends when the server is asked to stop.
    /// </summary>
    public virtual bool IsBackground => false;

    /// <summary>Computes a little more.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="cache">Where sessions come from and go to.</param>
    /// <returns>Whether there is more to do.</returns>
    public abstract bool Turn(LandmarkEngine engine, SessionCache cache);

    /// <summary>Ends it.</summary>
    /// <param name="cache">Where what it read goes.</param>
    /// <param name="failure">Why, if not since it was complete or nobody waits.</param>
    public abstract void End(SessionCache cache, Exception? failure);

    /// <summary>Ends one that had no turn.</summary>
    public abstract void Fail(Exception? failure);
}
