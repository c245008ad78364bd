using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>
/// Computes requests on one thread, for libtorch uses all processors for each: a turn each, clients in turn and a client's requests in turn,
/// so that nobody waits for a long text of another or for many requests of one.
/// </summary>
internal sealed class Scheduler : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250), Busy = TimeSpan.FromSeconds(30);

    private readonly LandmarkEngine engine;
    private readonly ServerOptions options;
    private readonly ServerLog log;
    private readonly SessionCache cache;
    private readonly Thread thread;
    private readonly TaskCompletionSource idle = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // All below is guarded by the list of those that wait.
    private readonly List<Job> waiting = [];
    private readonly List<Job> active = [];
    private readonly Dictionary<string, long> served = [];                                  // each active client's last turn
    private readonly Queue<Action<SessionCache>> between = [];                              // what is done before the next turn
    private long turn;
    private bool closed, isDone;
    private Exception? ended;

    /// <summary>Makes one that computes nothing yet.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="options">How much is taken on.</param>
    /// <param name="log">Told of failures.</param>
    public Scheduler(LandmarkEngine engine, ServerOptions options, ServerLog log)
    {
        (this.engine, this.options, this.log, cache) = (engine, options, log, new SessionCache(engine, options.CacheBytes));
        thread = new Thread(Compute) { Name = "landmark compute", IsBackground = true };
    }

    /// <summary>Requests that are computed, those that wait, and bytes that are kept of earlier texts.</summary>
    public (int Active, int Waiting, long CachedBytes, bool IsClosed) State
    {
        get
        {
            lock (waiting) return (Requests, waiting.Count, cache.Bytes, closed);
        }
    }

    /// <summary>Begins to compute.</summary>
    public void Start() => thread.Start();

    /// <summary>Takes a request on, or work that nobody waits for.</summary>
    /// <exception cref="RequestException">Too many wait, or the server is stopping.</exception>
    public void Submit(Job job)
    {
        lock (waiting)
        {
            if (closed) throw RequestException.Stopping();
            waiting.RemoveAll(Abandoned);
            if (job.IsBackground)
            {
                // Requests have the room before it.
                if (job.Memory is not { } memory || (!waiting.Exists(w => w.Memory is not null) && memory.TakeBesideOthers() == MemoryRoom.Taken)) Begin(job);
                else job.Fail(null);
            }
            else
            {
                var own = active.Count(a => !a.IsBackground && a.Client == job.Client) + waiting.Count(w => w.Client == job.Client);
                if (job.Limits is { } limits && own >= AtOnce(job) + (limits.QueueLength ?? options.QueueLength))
                    throw TooMany("Too many requests of this key are waiting here; ask again in a second.");
                // However many others have, whoever has a key and nothing here yet has a place.
                if (Requests + waiting.Count >= options.Concurrency + options.QueueLength && (job.Limits is null || own > 0))
                    throw TooMany("Too many requests are waiting here; ask again in a second.");
                job.Came = Stopwatch.GetTimestamp();
                waiting.Add(job);
            }
            Monitor.Pulse(waiting);
        }
    }

    /// <summary>Has something done with what is kept of earlier texts, before the next turn.</summary>
    public void Between(Action<SessionCache> act)
    {
        lock (waiting)
        {
            if (isDone) act(cache);
            else between.Enqueue(act);
            Monitor.Pulse(waiting);
        }
    }

    /// <summary>Has it look again at what waits: there may be room for it.</summary>
    public void Wake()
    {
        lock (waiting) Monitor.Pulse(waiting);
    }

    /// <summary>Takes no more requests, and ends when those there are have ended; those that have not in time are told so.</summary>
    public async Task Stop(TimeSpan grace)
    {
        lock (waiting)
        {
            closed = true;
            Monitor.Pulse(waiting);
        }
        if (await Task.WhenAny(idle.Task, Task.Delay(grace)) != idle.Task)
        {
            lock (waiting)
            {
                ended = RequestException.Stopping();
                Monitor.Pulse(waiting);
            }
        }
        await idle.Task;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (waiting) (closed, ended) = (true, ended ?? RequestException.Stopping());
        if (!thread.IsAlive) return;
        lock (waiting) Monitor.Pulse(waiting);
        thread.Join();
    }

    private void Compute()
    {
        while (Next() is { } job)
        {
            var (more, failure) = (false, (Exception?)null);
            try
            {
                more = !job.IsCancelled && (job.Memory is { HasChanged: true } memory ? WaitsAgain(job, memory) : job.Turn(engine, cache));
            }
            catch (Exception e)
            {
                failure = e;
                if (e is not RequestException) log.AnswerFailed(e);
            }
            if (!more) End(job, failure);
        }
        lock (waiting)
        {
            isDone = true;
            while (between.TryDequeue(out var act)) act(cache);
            cache.Dispose();
        }
        idle.TrySetResult();
    }

    /// <summary>The request whose turn it is; null when there will be no more.</summary>
    private Job? Next()
    {
        lock (waiting)
        {
            while (true)
            {
                while (between.TryDequeue(out var act)) act(cache);
                if (ended is not null) Abort(ended);
                if (closed)
                    foreach (var job in active.Where(j => j.IsBackground).ToArray()) End(job, RequestException.Stopping());
                waiting.RemoveAll(Abandoned);
                while (Requests < options.Concurrency && Admit())
                {
                }
                if (between.Count > 0) continue;                                            // memories are closed, to make room
                if (active.Where(j => j.IsReady).MinBy(j => (served[j.Client], j.LastTurn)) is { } next)
                {
                    served[next.Client] = next.LastTurn = ++turn;
                    return next;
                }
                if (closed && active.Count + waiting.Count == 0) return null;
                // Nobody says that a client of those who wait for memories has left, or that one has waited too long.
                if (active.Count + waiting.Count == 0) Monitor.Wait(waiting);
                else Monitor.Wait(waiting, Look);
            }
        }
    }

    /// <summary>
    /// Takes on the one that waits longest of the client that has fewest, of those that may have one more and whose memories there is room for.
    /// Who waits for room is not overtaken by who would take of the same room, or might wait for ever.
    /// </summary>
    private bool Admit()
    {
        int Active(Job job) => active.Count(a => !a.IsBackground && a.Client == job.Client);
        var (full, isFull) = (new HashSet<string>(), false);                                // callers who have no more room, and whether nobody has
        foreach (var job in waiting.Where(w => Active(w) < AtOnce(w)).OrderBy(Active).ToArray())
        {
            if (job.Memory is { } memory)
            {
                if (isFull || full.Contains(memory.Caller.Name)) continue;
                var room = memory.Take();
                isFull = room == MemoryRoom.None;
                if (room == MemoryRoom.NoneForCaller) full.Add(memory.Caller.Name);
                if (room != MemoryRoom.Taken) continue;
            }
            waiting.Remove(job);
            Begin(job);
            return true;
        }
        return false;
    }

    /// <summary>Has a request whose memories changed before they were open wait for them as they are now, before all others.</summary>
    /// <returns>Whether it does: what nobody waits for does not.</returns>
    private bool WaitsAgain(Job job, MemoryLease memory)
    {
        if (job.IsBackground) return false;
        memory.Renew();
        lock (waiting)
        {
            Leave(job);
            waiting.Insert(0, job);
        }
        return true;
    }

    private int Requests => active.Count(j => !j.IsBackground);

    private void Begin(Job job)
    {
        active.Add(job);
        served.TryAdd(job.Client, 0);
    }

    /// <summary>How many of a job's client are computed at once.</summary>
    private int AtOnce(Job job) => Math.Min(job.Limits?.Concurrency ?? options.Concurrency, options.Concurrency);

    private static RequestException TooMany(string message, TimeSpan? after = null) =>
        new(StatusCodes.Status429TooManyRequests, message, code: "rate_limit_exceeded") { RetryAfter = after ?? TimeSpan.FromSeconds(1) };

    private void End(Job job, Exception? failure)
    {
        lock (waiting)
        {
            job.End(cache, failure);
            Leave(job);
        }
    }

    private void Leave(Job job)
    {
        active.Remove(job);
        if (active.TrueForAll(a => a.Client != job.Client)) served.Remove(job.Client);
    }

    private void Abort(Exception reason)
    {
        foreach (var job in waiting) job.Fail(reason);
        waiting.Clear();
        foreach (var job in active.ToArray()) End(job, reason);
    }

    /// <summary>Ends one that nobody waits for any more, or that has waited too long.</summary>
    private bool Abandoned(Job job)
    {
        if (job.IsCancelled) job.Fail(null);
        else if (Stopwatch.GetElapsedTime(job.Came).TotalSeconds < options.QueueSeconds) return false;
        else job.Fail(TooMany($"This waited for {options.QueueSeconds} seconds, and others still had what it needs; ask again later.", Busy));
        return true;
    }
}
