namespace LandmarkSharp.Evaluation;

/// <summary>What reading k blocks loses in a range of positions.</summary>
/// <param name="From">First position, in regular tokens from a context's beginning.</param>
/// <param name="To">Position after the last.</param>
/// <param name="Attention">Of queries there, all layers together.</param>
/// <param name="Prediction">Of what states there predict.</param>
public sealed record FidelityBucket(long From, long To, AttentionFidelity Attention, PredictionFidelity Prediction);

/// <summary>What reading k blocks loses against reading all of them.</summary>
public sealed class FidelityOfK
{
    private readonly AttentionFidelity[] layers;
    private readonly SortedDictionary<int, (AttentionFidelity Attention, PredictionFidelity Prediction)> buckets = [];

    internal FidelityOfK(int topK, int layers) => (TopK, this.layers) = (topK, new AttentionFidelity[layers]);

    /// <summary>k.</summary>
    public int TopK { get; }

    /// <summary>All layers' attention together.</summary>
    public AttentionFidelity Attention => layers.Aggregate((a, b) => a + b);

    /// <summary>Each layer's attention, judged by itself: queries, keys and values are the dense reading's.</summary>
    public IReadOnlyList<AttentionFidelity> Layers => layers;

    /// <summary>Predictions, all layers reading k blocks.</summary>
    public PredictionFidelity Prediction => buckets.Values.Aggregate(new PredictionFidelity(), (a, b) => a + b.Prediction);

    /// <summary>By distance from the beginning, in doublings.</summary>
    public IReadOnlyList<FidelityBucket> Positions =>
        [.. buckets.Select(b => new FidelityBucket(1L << b.Key, 2L << b.Key, b.Value.Attention, b.Value.Prediction))];

    internal void Add(int layer, long position, AttentionFidelity some)
    {
        layers[layer] += some;
        var (attention, prediction) = buckets.GetValueOrDefault(Bucket(position));
        buckets[Bucket(position)] = (attention + some, prediction);
    }

    internal void Add(long position, PredictionFidelity some)
    {
        var (attention, prediction) = buckets.GetValueOrDefault(Bucket(position));
        buckets[Bucket(position)] = (attention, prediction + some);
    }

    private static int Bucket(long position) => System.Numerics.BitOperations.Log2((ulong)position);
}
