using System.Collections.Concurrent;

namespace LandmarkSharp.Tensors.Cuda;

/// <summary>
/// A device's primary context, the one that libtorch uses too: memory of one is memory of the other.
/// </summary>
internal sealed class CudaContext
{
    private static readonly ConcurrentDictionary<int, Lazy<CudaContext>> Contexts = new();

    private readonly nint handle;

    private CudaContext(int device)
    {
        CudaApi.Check(CudaApi.cuDeviceGet(out var number, device), $"finding the device cuda:{device}");
        CudaApi.Check(CudaApi.cuDevicePrimaryCtxRetain(out handle, number), $"starting the device cuda:{device}");
        Device = device;
    }

    /// <summary>The device's number.</summary>
    public int Device { get; }

    /// <summary>The stream that libtorch's operators of this thread are queued on.</summary>
    public unsafe nint CurrentStream
    {
        get
        {
            nint stream;
            AtenStack.Check(AtenApi.aoti_torch_get_current_cuda_stream(Device, &stream));
            return stream;
        }
    }

    /// <summary>Bytes of the device's memory that are taken, by whatever program.</summary>
    public long UsedBytes
    {
        get
        {
            using var entered = Enter();
            CudaApi.Check(CudaApi.cuMemGetInfo(out var free, out var total), $"asking the device cuda:{Device} for its memory");
            return (long)(total - free);
        }
    }

    /// <summary>The context of a device; it lives as long as the process.</summary>
    /// <exception cref="LandmarkException">The device does not start.</exception>
    public static CudaContext Of(int device) => Contexts.GetOrAdd(device, d => new(() => new CudaContext(d))).Value;

    /// <summary>Makes the context the thread's own until the result is disposed, which brings back the one before.</summary>
    public Entered Enter()
    {
        CudaApi.Check(CudaApi.cuCtxPushCurrent(handle), $"entering the device cuda:{Device}");
        return new Entered(handle);
    }

    /// <summary>The time in which a context is the thread's own.</summary>
    public readonly ref struct Entered(nint context)
    {
        /// <summary>Leaves the context.</summary>
        public void Dispose()
        {
            if (context != 0)
                _ = CudaApi.cuCtxPopCurrent(out _);
        }
    }
}
