using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training.Distributed;

/// <summary>
/// <see cref="AdamW"/> of several processes (ZeRO's first stage: Rajbhandari et al., SC 2020, section 5.1): each sums up, clips and
/// steps a share of the parameters, for which alone it has moments, and all get the parameters of all. The state is that of one
/// process, so that a run goes on in any number of them.
/// </summary>
internal sealed class ShardedAdamW : IOptimizer
{
    private readonly ProcessGroup group;
    private readonly TrainingOptions options;
    private readonly Kind[] kinds;
    private readonly Bucket[] buckets;
    private (Tensor Moment, Tensor Whole)? gathered;      // of the bucket whose tensors are being read

    /// <summary>Starts with zero moments.</summary>
    /// <param name="named">Parameters by name, float32 and contiguous; they must require gradients.</param>
    /// <param name="options">β's, decay and clip.</param>
    /// <param name="group">The processes that share them.</param>
    /// <param name="stretch">The most elements sent at a time.</param>
    public ShardedAdamW(
        IReadOnlyDictionary<string, Tensor> named, TrainingOptions options, ProcessGroup group, long stretch = EndToEnd.Stretch)
    {
        (this.group, this.options) = (group, options);
        kinds = [.. named.GroupBy(p => p.Value.dim() >= 2).Select(k => new Kind([.. k], decays: k.Key, group.Size, stretch))];
        buckets = [.. kinds.SelectMany(k => k.Buckets)];
    }

    /// <inheritdoc/>
    /// <remarks>Making a tensor asks every process for its part: all make all of them, in this order.</remarks>
    public IEnumerable<PlannedTensor> State
    {
        get
        {
            foreach (var kind in kinds)
                foreach (var (prefix, moment) in ((string, Func<Bucket, Tensor>)[])[("first", b => b.First), ("second", b => b.Second)])
                    foreach (var (i, parameter) in kind.Parameters.Index())
                        yield return new PlannedTensor(
                            $"{prefix}.{kind.Names[i]}", ScalarType.Float32, parameter.shape, () => Whole(kind, i, moment));
            yield return new PlannedTensor("steps", ScalarType.Float32, [1], () =>
            {
                Forget();
                return buckets[0].Steps.reshape(1);
            });
        }
    }

    /// <inheritdoc/>
    /// <remarks>All processes ask, and are told the same.</remarks>
    public bool IsFinite
    {
        get
        {
            using var scope = NewDisposeScope();
            var others = full([], FiniteNumbers.In(buckets.SelectMany(b => new[] { b.First, b.Second })) ? 0 : 1, ScalarType.Float32, buckets[0].First.device);
            group.Sum(others);
            return others.ToSingle() == 0;
        }
    }

    /// <inheritdoc/>
    public void Restore(Weights saved)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        foreach (var bucket in buckets)
        {
            var (names, parameters) = (bucket.Kind.Names, bucket.Kind.Parameters);
            foreach (var piece in bucket.Kind.All.Pieces(bucket.From + (group.Rank * bucket.Share), bucket.Share))
                foreach (var (prefix, moment) in ((string, Tensor)[])[("first", bucket.First), ("second", bucket.Second)])
                {
                    using var value = saved.Get($"{prefix}.{names[piece.Tensor]}", parameters[piece.Tensor].shape);
                    moment.narrow(0, piece.InStretch, piece.Length).copy_(value.view(-1).narrow(0, piece.InTensor, piece.Length));
                }
            using var steps = saved.Get("steps", [1]);
            bucket.Steps.copy_(steps.reshape([]));
        }
    }

    /// <inheritdoc/>
    public Tensor Step(double rate)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var shares = buckets.Select(SumOfGradients).ToArray();
        foreach (var parameter in kinds.SelectMany(k => k.Parameters)) parameter.grad = null;
        var squares = stack([.. shares.Select(SumOfSquares)]).sum();
        group.Sum(squares);
        var norm = squares.sqrt();
        Aten.MultiplyEach(shares, ((options.Clip ?? double.PositiveInfinity) / (norm + 1e-6)).clamp_max(1.0));
        foreach (var (bucket, gradient) in buckets.Zip(shares))
        {
            using var part = NewDisposeScope();
            var all = bucket.Kind.All;
            var values = all.Read(p => p, bucket.From + (group.Rank * bucket.Share), bucket.Share);
            Aten.FusedAdamW(
                [values], [gradient], [bucket.First], [bucket.Second], [bucket.Steps],
                rate, options.Beta1, options.Beta2, bucket.Kind.Decays ? options.WeightDecay : 0, 1e-8);
            var whole = empty(bucket.Share * group.Size, ScalarType.Float32, values.device);
            group.Gather(values, whole);
            all.Write(bucket.From, whole);
        }
        return norm.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        foreach (var bucket in buckets) bucket.Dispose();
    }

    private Tensor SumOfGradients(Bucket bucket)
    {
        using var scope = NewDisposeScope();
        var whole = bucket.Kind.All.Read(p => p.grad!, bucket.From, bucket.Share * group.Size);
        var share = empty(bucket.Share, ScalarType.Float32, whole.device);
        group.SumShares(whole, share);
        return share.MoveToOuterDisposeScope();
    }

    // Unlike a norm's, the rounding of a long sum is small.
    private static Tensor SumOfSquares(Tensor gradient)
    {
        using var squares = gradient.square();
        return squares.sum();
    }

    /// <summary>A parameter's moment from the shares of all.</summary>
    private Tensor Whole(Kind kind, int i, Func<Bucket, Tensor> of)
    {
        var (start, shape) = (kind.All.Start(i), kind.Parameters[i].shape);
        var end = start + kind.Parameters[i].numel();
        List<Tensor> parts = [];
        foreach (var bucket in kind.Buckets)
        {
            var (from, to) = (Math.Max(start, bucket.From), Math.Min(end, bucket.From + (bucket.Share * group.Size)));
            if (from < to) parts.Add(Gathered(of(bucket)).narrow(0, from - bucket.From, to - from).clone());
        }
        return cat(parts).view(shape);
    }

    private Tensor Gathered(Tensor moment)
    {
        if (gathered is { } last && ReferenceEquals(last.Moment, moment)) return last.Whole;
        Forget();
        var whole = empty(moment.numel() * group.Size, ScalarType.Float32, moment.device).DetachFromDisposeScope();
        gathered = (moment, whole);
        group.Gather(moment, whole);
        return whole;
    }

    private void Forget()
    {
        gathered?.Whole.Dispose();
        gathered = null;
    }

    /// <summary>Parameters that decay, or those that do not, laid end to end and shared out bucket by bucket.</summary>
    private sealed class Kind
    {
        public Kind(KeyValuePair<string, Tensor>[] named, bool decays, int size, long stretch)
        {
            (Names, Parameters, Decays) = ([.. named.Select(p => p.Key)], [.. named.Select(p => p.Value)], decays);
            All = new EndToEnd(Parameters);
            var most = Math.Max(1, stretch / size);
            for (var from = 0L; from < All.Length; from += most * size)
                Buckets.Add(new Bucket(this, from, Math.Min(most, (All.Length - from + size - 1) / size)));
        }

        public string[] Names { get; }

        public Tensor[] Parameters { get; }

        public bool Decays { get; }

        public EndToEnd All { get; }

        public List<Bucket> Buckets { get; } = [];
    }

    /// <summary>A stretch of a kind's parameters, from an element on; share elements of it are each process's, and the moments are of this one's.</summary>
    private sealed class Bucket(Kind kind, long from, long share) : IDisposable
    {
        public Kind Kind => kind;

        public long From => from;

        public long Share => share;

        public Tensor First { get; } = Zeros(kind, share);

        public Tensor Second { get; } = Zeros(kind, share);

        public Tensor Steps { get; } = Zeros(kind);

        public void Dispose()
        {
            First.Dispose();
            Second.Dispose();
            Steps.Dispose();
        }

        private static Tensor Zeros(Kind kind, params long[] shape) =>
            zeros(shape, ScalarType.Float32, kind.Parameters[0].device).DetachFromDisposeScope();
    }
}
