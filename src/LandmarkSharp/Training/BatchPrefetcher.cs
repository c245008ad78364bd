namespace LandmarkSharp.Training;

/// <summary>Has the next batches made on other threads while one is trained on; their order is their index.</summary>
/// <param name="maker">What makes them.</param>
/// <param name="first">The index of the first batch.</param>
/// <param name="ahead">How many are made or kept ready at a time, which is also the most threads used.</param>
/// <param name="pinned">Whether they are to go to a GPU.</param>
/// <param name="every">What an index is more than the one before: processes that share the batches out take every so many each.</param>
internal sealed class BatchPrefetcher(BatchMaker maker, long first = 0, int ahead = 4, bool pinned = false, int every = 1) : IDisposable
{
    private readonly Queue<Task<PackedBatch>> coming = new();
    private readonly Stack<Batch> free = new();
    private long index = first;
    private PackedBatch[] given = [];
    private bool disposed;

    /// <summary>The next batches. They are the caller's until the next call, which uses their arrays again.</summary>
    /// <param name="count">How many.</param>
    /// <exception cref="LandmarkException">A batch cannot be made.</exception>
    public IReadOnlyList<PackedBatch> Next(int count = 1)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        TakeBack();
        given = new PackedBatch[count];
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
        TakeBack();
        foreach (var task in coming)
        {
            // What went wrong with a batch that nobody waits for is nobody's concern.
            Task.WaitAny(task);
            if (task.IsCompletedSuccessfully) task.Result.Dispose();
        }
    }

    private void TakeBack()
    {
        foreach (var packed in given.OfType<PackedBatch>())
        {
            free.Push(packed.Batch);
            packed.Dispose();
        }
        given = [];
    }

    private void Start()
    {
        var number = index;
        index += every;
        var reused = free.TryPop(out var batch) ? batch : null;
        coming.Enqueue(Task.Run(() =>
        {
            if (reused is null) return new PackedBatch(maker.Make(number), pinned);
            maker.Make(number, reused);
            return new PackedBatch(reused, pinned);
        }));
    }
}
