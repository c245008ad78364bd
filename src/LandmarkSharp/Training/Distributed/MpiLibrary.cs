using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// The part of MPI (MPI: A Message-Passing Interface Standard, version 3.1) that training needs, from Open MPI's
/// <c>libmpi.so.40</c>, versions 3 to 5: its handles are addresses of its own variables.
/// </summary>
internal sealed unsafe class MpiLibrary
{
    private const string Name = "libmpi.so.40";
    private const int Serialized = 2;      // MPI_THREAD_SERIALIZED: any thread, one at a time
    private const int LongestError = 256;
    private static readonly void* InPlace = (void*)1;      // MPI_IN_PLACE

    private readonly nint library;
    private readonly delegate* unmanaged<void*, void*, int, nint, nint, nint, int> allReduce;
    private readonly delegate* unmanaged<void*, void*, int, nint, nint, nint, int> reduceScatterBlock;
    private readonly delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<void*, int, nint, int, nint, int> broadcast;
    private readonly nint world, sum;

    /// <summary>Loads the library, which must not have been begun in this process, and begins it.</summary>
    /// <exception cref="LandmarkException">It is not there, is another MPI's, or cannot begin.</exception>
    public MpiLibrary()
    {
        // Its parts are libraries that look for its names: they must see them.
        if (DynamicLinker.Open(Name, out library) is { } trouble)
            throw new LandmarkException(
                $"Open MPI, which joins processes on CPUs, cannot be loaded ({trouble}); install the package that has {Name} "
                + "(openmpi-bin on Debian and Ubuntu), or add its folder to LD_LIBRARY_PATH.");
        allReduce = (delegate* unmanaged<void*, void*, int, nint, nint, nint, int>)Export("MPI_Allreduce");
        reduceScatterBlock = (delegate* unmanaged<void*, void*, int, nint, nint, nint, int>)Export("MPI_Reduce_scatter_block");
        allGather = (delegate* unmanaged<void*, int, nint, void*, int, nint, nint, int>)Export("MPI_Allgather");
        broadcast = (delegate* unmanaged<void*, int, nint, int, nint, int>)Export("MPI_Bcast");
        (world, sum) = (Export("ompi_mpi_comm_world"), Export("ompi_mpi_op_sum"));
        (Float, Double, Byte) = (Export("ompi_mpi_float"), Export("ompi_mpi_double"), Export("ompi_mpi_byte"));

        int begun, level;
        Check(((delegate* unmanaged<int*, int>)Export("MPI_Initialized"))(&begun), "asking whether it has begun");
        if (begun != 0)
            throw new LandmarkException("MPI has begun in this process already, and can do so once; train once in a process.");
        Check(((delegate* unmanaged<int*, byte***, int, int*, int>)Export("MPI_Init_thread"))(null, null, Serialized, &level), "beginning");
        if (level < Serialized)
            throw new LandmarkException("This Open MPI was built without threads and cannot be called from here; install another build.");
        Check(((delegate* unmanaged<nint, nint, int>)Export("MPI_Comm_set_errhandler"))(world, Export("ompi_mpi_errors_return")), "beginning");
    }

    /// <summary>Types of elements.</summary>
    public nint Float { get; }

    /// <inheritdoc cref="Float"/>
    public nint Double { get; }

    /// <inheritdoc cref="Float"/>
    public nint Byte { get; }

    /// <summary>Sums values over all processes, in place.</summary>
    public void AllReduce(void* values, int count, nint type) => Check(allReduce(InPlace, values, count, type, sum, world), "summing");

    /// <summary>Sums as many values as there are processes times <paramref name="count"/>, and leaves each its share.</summary>
    public void ReduceScatter(void* whole, void* share, int count, nint type) =>
        Check(reduceScatterBlock(whole, share, count, type, sum, world), "sharing out a sum");

    /// <summary>Gives every process the shares of all.</summary>
    public void AllGather(void* share, void* whole, int count, nint type) =>
        Check(allGather(share, count, type, whole, count, type, world), "gathering shares");

    /// <summary>Gives every process the first one's values.</summary>
    public void Broadcast(void* values, int count, nint type) => Check(broadcast(values, count, type, 0, world), "handing out values");

    /// <summary>Waits for all processes, and ends it for good.</summary>
    public void End() => Check(((delegate* unmanaged<int>)Export("MPI_Finalize"))(), "ending");

    private nint Export(string name) => NativeLibrary.TryGetExport(library, name, out var address)
        ? address
        : throw new LandmarkException($"The {Name} that was found is no Open MPI that can be used: it has no {name}; install Open MPI 4 or 5.");

    private void Check(int code, string doing)
    {
        if (code == 0) return;
        var text = stackalloc byte[LongestError];
        int length;
        var known = ((delegate* unmanaged<int, byte*, int*, int>)Export("MPI_Error_string"))(code, text, &length) == 0;
        throw new LandmarkException($"MPI failed at {doing}: {(known ? Marshal.PtrToStringUTF8((nint)text, length) : $"error {code}")}.");
    }
}
