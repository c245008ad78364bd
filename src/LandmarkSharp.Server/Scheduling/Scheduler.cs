using LandmarkSharp.Generation;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>
/// Computes requests on one thread, for libtorch uses all processors for each: a turn each, clients in turn and a client's requests in turn,
/// so that nobody waits for a long text of another or for many requests of one.
/// </summary>
internal sealed class Scheduler : IDisposable
{
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
            if (job.IsBackground) Begin(job);
            else
            {
                var own = active.Count(a => !a.IsBackground && a.Client == job.Client) + waiting.Count(w => w.Client == job.Client);
                if (job.Limits is { } limits && own >= AtOnce(job) + (limits.QueueLength ?? options.QueueLength))
                    throw TooMany("Too many requests of this key are waiting here; ask again in a second.");
                // However many others have, whoever has a key and nothing here yet has a place.
                if (Requests + waiting.Count >= options.Concurrency + options.QueueLength && (job.Limits is null || own > 0))
                    throw TooMany("Too many requests are waiting here; ask again in a second.");
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
                more = !job.IsCancelled && job.Turn(engine, cache);
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
                if (active.Count > 0) break;
                if (closed) return null;
                Monitor.Wait(waiting);
            }
            var next = active.MinBy(j => (served[j.Client], j.LastTurn))!;
            served[next.Client] = next.LastTurn = ++turn;
            return next;
        }
    }

    /// <summary>Takes on the one that waits longest of the client that has fewest, of those that may have one more.</summary>
    private bool Admit()
    {
        int Active(Job job) => active.Count(a => !a.IsBackground && a.Client == job.Client);
        if (waiting.Where(w => Active(w) < AtOnce(w)).MinBy(Active) is not { } job) return false;
        waiting.Remove(job);
        Begin(job);
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

    private static RequestException TooMany(string message) =>
        new(StatusCodes.Status429TooManyRequests, message, code: "rate_limit_exceeded");

    private void End(Job job, Exception? failure)
    {
        lock (waiting)
        {
            job.End(cache, failure);
            active.Remove(job);
            if (active.TrueForAll(a => a.Client != job.Client)) served.Remove(job.Client);
        }
    }

    private void Abort(Exception reason)
    {
        foreach (var job in waiting) job.Fail(reason);
        waiting.Clear();
        foreach (var job in active.ToArray()) End(job, reason);
    }

    private static bool Abandoned(Job job)
    {
        if (job.IsCancelled) job.Fail(null);
        return job.IsCancelled;
    }
}
