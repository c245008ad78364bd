using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// The part of NVIDIA's NCCL that training needs (NCCL User Guide, "NCCL API"), from the <c>libnccl.so.2</c> that comes with every
/// PyTorch for CUDA.
/// </summary>
internal sealed unsafe class NcclLibrary
{
    /// <summary>Numbers of <c>ncclDataType_t</c>.</summary>
    public const int Float = 7, Double = 8;

    private const string Name = "libnccl.so.2";
    private const int SumOperation = 0;     // ncclSum

    private readonly string path;
    private readonly nint library;
    private readonly delegate* unmanaged<nint*, int, UniqueId, int, int> initialise;
    private readonly delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int> allReduce;
    private readonly delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int> reduceScatter;
    private readonly delegate* unmanaged<void*, void*, nuint, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int> broadcast;
    private readonly delegate* unmanaged<nint, int> destroy, abort;

    /// <summary>Loads the NCCL that belongs to a libtorch.</summary>
    /// <param name="folders">Where to look before the system's folders.</param>
    /// <exception cref="LandmarkException">None is there, or it lacks a function.</exception>
    public NcclLibrary(IReadOnlyList<string> folders)
    {
        path = folders.Select(f => Path.Combine(f, Name)).FirstOrDefault(File.Exists) ?? Name;
        if (!NativeLibrary.TryLoad(path, out library))
            throw new LandmarkException(
                $"NCCL, which joins processes on GPUs, cannot be loaded: {(path == Name
                    ? $"{Name} is neither in {string.Join(", ", folders)} nor in the system's folders"
                    : $"{path} is there but does not open")}; install the package nvidia-nccl of PyTorch's CUDA version, or add its folder "
                + "to LD_LIBRARY_PATH.");
        initialise = (delegate* unmanaged<nint*, int, UniqueId, int, int>)Export("ncclCommInitRank");
        allReduce = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)Export("ncclAllReduce");
        reduceScatter = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)Export("ncclReduceScatter");
        allGather = (delegate* unmanaged<void*, void*, nuint, int, nint, nint, int>)Export("ncclAllGather");
        broadcast = (delegate* unmanaged<void*, void*, nuint, int, int, nint, nint, int>)Export("ncclBroadcast");
        destroy = (delegate* unmanaged<nint, int>)Export("ncclCommDestroy");
        abort = (delegate* unmanaged<nint, int>)Export("ncclCommAbort");
    }

    /// <summary>Makes what the processes of a communicator know each other by; the first makes it, and the others are given it.</summary>
    public byte[] NewId()
    {
        UniqueId id;
        Check(((delegate* unmanaged<UniqueId*, int>)Export("ncclGetUniqueId"))(&id), "preparing to meet");
        return new Span<byte>(&id, UniqueId.Bytes).ToArray();
    }

    /// <summary>Makes a communicator on the current device; waits for all.</summary>
    public nint Join(int size, ReadOnlySpan<byte> id, int rank)
    {
        UniqueId copy;
        id.CopyTo(new Span<byte>(&copy, UniqueId.Bytes));
        nint communicator;
        var code = initialise(&communicator, size, copy, rank);
        return code == 0 ? communicator : throw new LandmarkException(
            $"NCCL failed at joining process {rank} of {size}: {Words(code)}; each process needs a device of its own, and with "
            + "NCCL_DEBUG=WARN NCCL says more.");
    }

    /// <summary>Queues a sum over all processes, in place.</summary>
    public void AllReduce(nint values, long count, int type, nint communicator, nint stream) =>
        Check(allReduce((void*)values, (void*)values, (nuint)count, type, SumOperation, communicator, stream), "summing");

    /// <summary>Queues a sum of which each process is left its share, of <paramref name="count"/> elements.</summary>
    public void ReduceScatter(nint whole, nint share, long count, int type, nint communicator, nint stream) =>
        Check(reduceScatter((void*)whole, (void*)share, (nuint)count, type, SumOperation, communicator, stream), "sharing out a sum");

    /// <summary>Queues giving every process the shares of all, of <paramref name="count"/> elements each.</summary>
    public void AllGather(nint share, nint whole, long count, int type, nint communicator, nint stream) =>
        Check(allGather((void*)share, (void*)whole, (nuint)count, type, communicator, stream), "gathering shares");

    /// <summary>Queues giving every process the first one's values.</summary>
    public void Broadcast(nint values, long count, int type, nint communicator, nint stream) =>
        Check(broadcast((void*)values, (void*)values, (nuint)count, type, 0, communicator, stream), "handing out values");

    /// <summary>Frees a communicator whose work is done.</summary>
    public void Destroy(nint communicator) => Check(destroy(communicator), "taking leave");

    /// <summary>Frees a communicator as it is, and ends what it does.</summary>
    public void Abort(nint communicator) => _ = abort(communicator);

    private nint Export(string name) => NativeLibrary.TryGetExport(library, name, out var address)
        ? address
        : throw new LandmarkException($"{path} is no NCCL that can be used: it has no {name}; install NCCL 2.13 or later.");

    private void Check(int code, string doing)
    {
        if (code != 0) throw new LandmarkException($"NCCL failed at {doing}: {Words(code)}; with NCCL_DEBUG=WARN it says more.");
    }

    /// <summary>What an error is, and what came before it in this process.</summary>
    private string Words(int code)
    {
        var kind = Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)Export("ncclGetErrorString"))(code));
        var last = Marshal.PtrToStringUTF8(((delegate* unmanaged<nint, nint>)Export("ncclGetLastError"))(0));
        return string.IsNullOrWhiteSpace(last) ? $"{kind}" : $"{kind} ({last.ReplaceLineEndings(" ").Trim()})";
    }

    /// <summary><c>ncclUniqueId</c>, which is passed by value.</summary>
    private struct UniqueId
    {
        public const int Bytes = 128;
        public fixed byte Data[Bytes];
    }
}
