namespace LandmarkSharp.Tensors.Cuda;

/// <summary>Measures on the device's own clock, between two places of the queue that libtorch's operators of this thread use.</summary>
internal sealed class CudaTimer : IDisposable
{
    private readonly CudaContext context;
    private readonly nint start, end;

    /// <summary>Makes both marks.</summary>
    /// <param name="device">The device's number.</param>
    /// <exception cref="LandmarkException">The device does not start.</exception>
    public CudaTimer(int device)
    {
        context = CudaContext.Of(device);
        using var entered = context.Enter();
        CudaApi.Check(CudaApi.cuEventCreate(out start, 0), "making a mark of time");
        CudaApi.Check(CudaApi.cuEventCreate(out end, 0), "making a mark of time");
    }

    /// <summary>The time between the marks in seconds; waits for the second.</summary>
    public double Seconds
    {
        get
        {
            using var entered = context.Enter();
            CudaApi.Check(CudaApi.cuEventSynchronize(end), "waiting for a mark of time");
            CudaApi.Check(CudaApi.cuEventElapsedTime(out var milliseconds, start, end), "reading the time");
            return milliseconds / 1e3;
        }
    }

    /// <summary>Queues the first mark.</summary>
    public void Start() => Mark(start);

    /// <summary>Queues the second mark.</summary>
    public void Stop() => Mark(end);

    /// <inheritdoc/>
    public void Dispose()
    {
        using var entered = context.Enter();
        _ = CudaApi.cuEventDestroy(start);
        _ = CudaApi.cuEventDestroy(end);
    }

    private void Mark(nint mark)
    {
        using var entered = context.Enter();
        CudaApi.Check(CudaApi.cuEventRecord(mark, context.CurrentStream), "queueing a mark of time");
    }
}
