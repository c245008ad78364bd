using LandmarkSharp.Generation;
using LandmarkSharp.Server.Scheduling;

namespace LandmarkSharp.Server.Memories;

/// <summary>A document that is read into a memory, a pass a turn.</summary>
/// <param name="caller">Whose it is.</param>
/// <param name="steps">Reads it.</param>
/// <param name="tell">Told after each pass.</param>
/// <param name="cancel">Stops it.</param>
internal sealed class ReadingJob(string caller, IEnumerator<MemoryProgress> steps, Action<MemoryProgress> tell, CancellationToken cancel)
    : Job(caller, cancel)
{
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool isWhole;

    /// <summary>Ends when all is read; fails as the job does, and is cancelled where that is.</summary>
    public Task Ended => ended.Task;

    /// <inheritdoc/>
    public override bool IsBackground => true;

    /// <inheritdoc/>
    public override bool Turn(LandmarkEngine engine, SessionCache cache)
    {
        if (!steps.MoveNext())
        {
            isWhole = true;
            return false;
        }
        tell(steps.Current);
        return true;
    }

    /// <inheritdoc/>
    public override void End(SessionCache cache, Exception? failure) => Fail(failure);

    /// <inheritdoc/>
    public override void Fail(Exception? failure)
    {
        if (failure is not null and not OperationCanceledException) ended.TrySetException(failure);
        else if (isWhole) ended.TrySetResult();
        else ended.TrySetCanceled();
    }
}
