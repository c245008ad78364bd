using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// Asks the processes of GPUs a question each step, and tells the answer at the next: the device is then done with the step before
/// and at work on the one that was queued after it, so that nothing stands still.
/// </summary>
/// <param name="device">This process's device.</param>
internal sealed class LateVotes(Device device) : IDisposable
{
    private const uint WithoutTime = 2;     // CU_EVENT_DISABLE_TIMING

    private readonly CudaContext context = CudaContext.Of(device.index);
    private (Tensor Answer, nint Mark)? before;

    /// <summary>Asks, and tells the answer to the question before; of the first, no.</summary>
    /// <param name="mine">This process's answer.</param>
    /// <param name="sum">Queues a sum over all processes.</param>
    public bool Any(bool mine, Action<Tensor> sum)
    {
        using var scope = NewDisposeScope();
        using var entered = context.Enter();
        var votes = full([1], mine ? 1 : 0, ScalarType.Float32, device);
        sum(votes);
        var answer = votes.to(CPU, non_blocking: true);      // pinned, and not there yet
        CudaApi.Check(CudaApi.cuEventCreate(out var mark, WithoutTime), "making a mark");
        CudaApi.Check(CudaApi.cuEventRecord(mark, context.CurrentStream), "queueing a mark");
        var said = before is { } last && Read(last);
        before = (answer.DetachFromDisposeScope(), mark);
        return said;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (before is not { } last) return;
        using var entered = context.Enter();
        Free(last);
        before = null;
    }

    private static bool Read((Tensor Answer, nint Mark) question)
    {
        CudaApi.Check(CudaApi.cuEventSynchronize(question.Mark), "waiting for the other processes");
        var yes = question.Answer.data<float>()[0] > 0;
        Free(question);
        return yes;
    }

    private static void Free((Tensor Answer, nint Mark) question)
    {
        question.Answer.Dispose();
        _ = CudaApi.cuEventDestroy(question.Mark);
    }
}
