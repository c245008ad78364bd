using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Distributed;

/// <summary>Threads that stand for processes.</summary>
internal sealed class ThreadGroup : ProcessGroup
{
    private readonly Tensor?[] given;      // by each, for all to see
    private readonly Barrier barrier;

    private ThreadGroup(int rank, Tensor?[] given, Barrier barrier)
        : base(rank, given.Length) => (this.given, this.barrier) = (given, barrier);

    /// <summary>Runs as many threads, and waits for them.</summary>
    public static void Run(int size, Action<ProcessGroup> work)
    {
        using var barrier = new Barrier(size);
        var given = new Tensor?[size];
        var threads = Enumerable.Range(0, size).Select(rank => Task.Factory.StartNew(
            () =>
            {
                using var group = new ThreadGroup(rank, given, barrier);
                work(group);
            },
            TestContext.Current.CancellationToken, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        Task.WaitAll(threads.ToArray(), TestContext.Current.CancellationToken);
    }

    public override void Leave() => barrier.SignalAndWait(TestContext.Current.CancellationToken);

    internal override void Sum(Tensor values) => Exchange(values.clone(), all => values.copy_(stack(all).sum(0, false, null)));

    internal override void SumShares(Tensor whole, Tensor share) =>
        Exchange(whole, all => share.copy_(stack(all).sum(0, false, null).narrow(0, Rank * share.numel(), share.numel())));

    internal override void Gather(Tensor share, Tensor whole) => Exchange(share, all => whole.copy_(cat(all)));

    internal override void Broadcast(Tensor values) => Exchange(values.clone(), all => values.copy_(all[0]));

    internal override bool Any(bool mine)
    {
        using var scope = NewDisposeScope();
        var votes = full([1], mine ? 1 : 0, ScalarType.Float32);
        Sum(votes);
        return votes.ToSingle() > 0;
    }

    protected override void Dispose(bool disposing) { }

    private void Exchange(Tensor mine, Action<Tensor[]> use)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        given[Rank] = mine;
        Leave();
        use(given!);
        Leave();
    }
}
