using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// Processes on a GPU each. What they do together is queued behind libtorch's operators of this thread, and nothing waits for it.
/// </summary>
internal sealed class NcclGroup : ProcessGroup
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly NcclLibrary nccl;
    private readonly CudaContext context;
    private readonly MpiGroup? launcher;
    private readonly LateVotes votes;
    private nint communicator;

    private NcclGroup(Launch launch, Device device, NcclLibrary nccl, ReadOnlySpan<byte> id, MpiGroup? launcher)
        : base(launch.Rank, launch.Size)
    {
        (this.nccl, this.launcher) = (nccl, launcher);
        context = CudaContext.Of(device.index);
        using var entered = context.Enter();
        communicator = nccl.Join(Size, id, Rank);
        votes = new LateVotes(device);
    }

    /// <summary>Joins the processes of a launch: by torchrun's meeting place, or by MPI under mpirun.</summary>
    public static NcclGroup Join(Launch launch, Device device)
    {
        var nccl = new NcclLibrary([.. LibTorchFolders.WithLibraries(LibTorch.Location)]);
        var id = launch.Rank == 0 ? nccl.NewId() : new byte[128];
        MpiGroup? launcher = null;
        if (launch.Meeting is not { } meeting)
        {
            launcher = new MpiGroup(launch.Rank, launch.Size);
            launcher.Broadcast(id);
        }
        else if (launch.Rank == 0)
        {
            HandOver.Give(id, meeting.Port, launch.Size, Patience);
        }
        else
        {
            HandOver.Take(id, meeting, launch.Rank, launch.Size, Patience);
        }
        return new NcclGroup(launch, device, nccl, id, launcher);
    }

    /// <inheritdoc/>
    public override void Leave()
    {
        _ = votes.Any(false, Sum);
        _ = votes.Any(false, Sum);      // tells the one before, which all have then come to
        using (context.Enter()) nccl.Destroy(communicator);
        communicator = 0;
        launcher?.Leave();
    }

    internal override void Sum(Tensor values)
    {
        using var entered = context.Enter();
        nccl.AllReduce(Aten.DataPointer(values), values.numel(), Type(values), communicator, context.CurrentStream);
    }

    internal override void SumShares(Tensor whole, Tensor share)
    {
        using var entered = context.Enter();
        nccl.ReduceScatter(
            Aten.DataPointer(whole), Aten.DataPointer(share), share.numel(), Type(share), communicator, context.CurrentStream);
    }

    internal override void Gather(Tensor share, Tensor whole)
    {
        using var entered = context.Enter();
        nccl.AllGather(
            Aten.DataPointer(share), Aten.DataPointer(whole), share.numel(), Type(share), communicator, context.CurrentStream);
    }

    internal override void Broadcast(Tensor values)
    {
        using var entered = context.Enter();
        nccl.Broadcast(Aten.DataPointer(values), values.numel(), Type(values), communicator, context.CurrentStream);
    }

    internal override bool Any(bool mine) => votes.Any(mine, Sum);

    // Where the others wait in vain, the launcher ends them.
    protected override void Dispose(bool disposing)
    {
        votes.Dispose();
        if (communicator == 0) return;
        using var entered = context.Enter();
        nccl.Abort(communicator);
        communicator = 0;
    }

    private static int Type(Tensor values) => values.dtype == ScalarType.Float64 ? NcclLibrary.Double : NcclLibrary.Float;
}
