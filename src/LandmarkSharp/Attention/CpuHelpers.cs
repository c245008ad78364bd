using TorchSharp;

namespace LandmarkSharp.Attention;

/// <summary>
/// Threads that help with work of tens of microseconds and are never waited for unless they have begun: where others' work holds
/// a processor, libtorch's own threads, all of which must arrive, take as long as the latest.
/// </summary>
internal static class CpuHelpers
{
    private const int Spins = 2000;                     // as libtorch's threads: bridges the gap between two steps

    private static readonly Lock Growing = new();
    private static readonly SemaphoreSlim Work = new(0);
    private static int helpers, asleep, busy;
    private static Job? current;

    /// <summary>Runs a body on the calling thread, and on as many others as come before it has returned.</summary>
    /// <param name="threads">Threads in all, at most.</param>
    /// <param name="body">
    /// Takes the thread's number, 0 for the caller, and returns when there is nothing left to begin. Must not throw.
    /// </param>
    public static void Run(int threads, Action<int> body)
    {
        if (threads <= 1 || Interlocked.Exchange(ref busy, 1) == 1)     // another caller has the helpers
        {
            body(0);
            return;
        }
        Grow(threads - 1);
        var job = new Job(body, threads);
        Volatile.Write(ref current, job);
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref asleep) is > 0 and var sleeping) Work.Release(sleeping);
        try
        {
            body(0);
        }
        finally
        {
            Volatile.Write(ref current, null);
            job.Close();
            Volatile.Write(ref busy, 0);
        }
    }

    private static void Grow(int count)
    {
        lock (Growing)
        {
            for (; helpers < count; helpers++)
            {
                var number = helpers + 1;
                new Thread(() => Help(number)) { IsBackground = true, Name = $"landmark-{number}" }.Start();
            }
        }
    }

    private static void Help(int number)
    {
        Job? last = null;
        while (true)
        {
            var job = Volatile.Read(ref current);
            for (var spin = 0; (job is null || job == last) && spin < Spins; spin++)
            {
                Thread.SpinWait(1);
                job = Volatile.Read(ref current);
            }
            if (job is null) last = null;               // and what it worked on may be freed
            if (job is null || job == last)
            {
                Interlocked.Increment(ref asleep);
                if (Volatile.Read(ref current) is not { } late || late == last) Work.Wait();
                Interlocked.Decrement(ref asleep);
                continue;
            }
            job.Help(number);
            last = job;
        }
    }

    private sealed class Job(Action<int> body, int threads)
    {
        private const int Closed = 1 << 30;

        private int inside;

        public void Help(int number)
        {
            if (number < threads && Interlocked.Increment(ref inside) < Closed) body(number);
            if (number < threads) Interlocked.Decrement(ref inside);
        }

        /// <summary>Lets nobody else begin, and waits for those who have.</summary>
        public void Close()
        {
            Interlocked.Add(ref inside, Closed);
            for (var wait = default(SpinWait); Volatile.Read(ref inside) > Closed;) wait.SpinOnce(sleep1Threshold: -1);
        }
    }
}
