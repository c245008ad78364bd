using LandmarkSharp.Generation;
using LandmarkSharp.Server.Memories;

namespace LandmarkSharp.Server.Scheduling;

/// <summary>A request that is computed in one turn.</summary>
/// <param name="client">Whose it is.</param>
/// <param name="compute">Computes it.</param>
/// <param name="cancel">Ends it before its turn.</param>
/// <param name="memory">The memories that it reads, which who made it disposes of; null for none.</param>
internal sealed class TurnJob<T>(string client, Func<T> compute, CancellationToken cancel, MemoryLease? memory = null) : Job(client, cancel, memory)
{
    private readonly TaskCompletionSource<T> result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What came out; fails as the job does.</summary>
    public Task<T> Result => result.Task;

    /// <summary>Whether it is what follows an answer, or is made ready for later ones, and takes no request's place.</summary>
    public bool IsForLater { get; init; }

    /// <inheritdoc/>
    public override bool IsBackground => IsForLater;

    /// <inheritdoc/>
    public override bool Turn(LandmarkEngine engine, SessionCache cache)
    {
        result.TrySetResult(compute());
        return false;
    }

    /// <inheritdoc/>
    public override void End(SessionCache cache, Exception? failure) => Fail(failure);

    /// <inheritdoc/>
    public override void Fail(Exception? failure)
    {
        if (failure is null) result.TrySetCanceled();
        else result.TrySetException(failure);
    }
}
