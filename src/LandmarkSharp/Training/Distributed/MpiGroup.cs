using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>Processes started by <c>mpirun</c>, on tensors of the CPU.</summary>
internal sealed unsafe class MpiGroup(int rank, int size) : ProcessGroup(rank, size)
{
    private readonly MpiLibrary mpi = new();

    /// <inheritdoc/>
    public override void Leave() => mpi.End();

    /// <summary>Gives every process the first one's bytes.</summary>
    public void Broadcast(Span<byte> bytes)
    {
        fixed (byte* first = bytes) mpi.Broadcast(first, bytes.Length, mpi.Byte);
    }

    internal override void Sum(Tensor values) => mpi.AllReduce(Data(values), (int)values.numel(), Type(values));

    internal override void SumShares(Tensor whole, Tensor share) =>
        mpi.ReduceScatter(Data(whole), Data(share), (int)share.numel(), Type(share));

    internal override void Gather(Tensor share, Tensor whole) =>
        mpi.AllGather(Data(share), Data(whole), (int)share.numel(), Type(share));

    internal override void Broadcast(Tensor values) => mpi.Broadcast(Data(values), (int)values.numel(), Type(values));

    internal override bool Any(bool mine)
    {
        var votes = mine ? 1f : 0f;
        mpi.AllReduce(&votes, 1, mpi.Float);
        return votes > 0;
    }

    // Ending it would wait for the others, who may wait for this one: mpirun ends them when this process ends without it.
    protected override void Dispose(bool disposing) { }

    private nint Type(Tensor values) => values.dtype == ScalarType.Float64 ? mpi.Double : mpi.Float;

    private static void* Data(Tensor tensor) => (void*)Aten.DataPointer(tensor);
}
