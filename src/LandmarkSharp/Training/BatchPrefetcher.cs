namespace LandmarkSharp.Training;

/// <summary>Has the next batches made on other threads while one is trained on; their order is their index.</summary>
/// <param name="maker">What makes them.</param>
/// <param name="first">The index of the first batch.</param>
/// <param name="ahead">How many are made or kept ready at a time, which is also the most threads used.</param>
public sealed class BatchPrefetcher(BatchMaker maker, long first = 0, int ahead = 4) : IDisposable
{
    private readonly Queue<Task<Batch>> coming = new();
    private long index = first;
    private readonly Stack<Batch> free = new();
    private Batch[] given = [];
    private bool disposed;

    /// <summary>
    /// The next batch. It is the caller's until the next call, which uses its arrays again.
    /// </summary>
    /// <exception cref="LandmarkException">The batch cannot be made.</exception>
    public Batch Next() => Next(1)[0];

    /// <summary>The next batches, as <see cref="Next()"/>.</summary>
    /// <param name="count">How many, all the caller's until the next call.</param>
    public Batch[] Next(int count)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        foreach (var batch in given) free.Push(batch);
        given = new Batch[count];
        for (var i = 0; i < count; i++)
        {
            while (coming.Count < Math.Max(1, ahead)) Start();
            given[i] = coming.Dequeue().GetAwaiter().GetResult();
        }
        return given;
    }

    /// <summary>Waits for the batches that are being made.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        Task.WaitAll([.. coming.Select(task => task.ContinueWith(
            _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default))]);
    }

    private void Start()
    {
        var number = index++;
        var reused = free.TryPop(out var batch) ? batch : null;
        coming.Enqueue(Task.Run(() =>
        {
            if (reused is null) return maker.Make(number);
            maker.Make(number, reused);
            return reused;
        }));
    }
}
