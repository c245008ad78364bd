using System.Runtime.Intrinsics;
using Lanes2 = LandmarkSharp.Attention.LanesTwice<LandmarkSharp.Attention.Lanes1, float>;
using Pair2 = LandmarkSharp.Attention.LanePair<float>;

namespace LandmarkSharp.Attention;

/// <summary>
/// The inner loops of attention over rows of d numbers, for queries that are few: several go over the same rows together, so
/// that a row is loaded once for four of them. A score never depends on which rows or queries stand beside its own, so equal keys
/// score equal to the last bit, in prefill as in decoding. Sums go by 16 lanes on every processor, so all have the same bits.
/// </summary>
internal abstract unsafe class CpuRows
{
    /// <summary>Lanes of a sum.</summary>
    public const int Lanes = 16;

    /// <summary>For the widest vectors that this processor has.</summary>
    public static CpuRows Widest { get; } = For(CpuDense.Widest);

    /// <summary>For vectors that this processor has.</summary>
    public static CpuRows For(AttentionBackend vectors) => vectors switch
    {
        AttentionBackend.Cpu512 => new CpuRows<Lanes512, Vector512<float>>(),
        AttentionBackend.Cpu256 => new CpuRows<LanesTwice<Lanes256, Vector256<float>>, LanePair<Vector256<float>>>(),
        _ => new CpuRows<
            LanesTwice<LanesTwice<LanesTwice<Lanes2, Pair2>, LanePair<Pair2>>, LanePair<LanePair<Pair2>>>,
            LanePair<LanePair<LanePair<Pair2>>>>(),
    };

    /// <summary>Room for so many scores of a query.</summary>
    public static int Padded(int count) => (count + Lanes - 1) / Lanes * Lanes;

    /// <summary>The dot products of some queries with each of some keys.</summary>
    /// <param name="q">[queries, d].</param>
    /// <param name="queries">Queries.</param>
    /// <param name="keys">[count, d].</param>
    /// <param name="count">Keys.</param>
    /// <param name="d">Width.</param>
    /// <param name="scores">[queries, count].</param>
    /// <param name="step">From one query's scores to the next one's.</param>
    /// <param name="ahead">[count, d] that is read next, and asked for meanwhile; null for none.</param>
    public abstract void Dots(float* q, int queries, float* keys, int count, int d, float* scores, nint step, float* ahead);

    /// <summary>The dot product of two rows, as <see cref="Dots"/> has it.</summary>
    public float Dot(float* a, float* b, int d)
    {
        float result;
        Dots(a, 1, b, 1, d, &result, 0, null);
        return result;
    }

    /// <summary>Adds weighted rows to the result of each query: result_t += Σ_j weights_tj · rows_j.</summary>
    /// <param name="weights">[queries, count].</param>
    /// <param name="step">From one query's weights to the next one's.</param>
    /// <param name="queries">Queries.</param>
    /// <param name="rows">[count, d].</param>
    /// <param name="count">Rows.</param>
    /// <param name="d">Width.</param>
    /// <param name="result">[queries, d].</param>
    /// <param name="ahead">[count, d] that is read next, and asked for meanwhile; null for none.</param>
    public abstract void AddRows(float* weights, nint step, int queries, float* rows, int count, int d, float* result, float* ahead);

    /// <summary>Turns scores into exponentials, less the highest.</summary>
    /// <param name="scores">[count], with <see cref="Padded"/> room.</param>
    /// <param name="count">Scores, at least one.</param>
    /// <param name="highest">The highest score.</param>
    /// <returns>The sum of the exponentials.</returns>
    public abstract float Exponentials(float* scores, int count, out float highest);

    /// <summary>Turns scores into a softmax that sums to a mass.</summary>
    /// <param name="scores">[count], with <see cref="Padded"/> room.</param>
    /// <param name="count">Scores, at least one.</param>
    /// <param name="mass">The sum.</param>
    public abstract void Softmax(float* scores, int count, float mass);

    /// <summary>Turns scores into a softmax, and keeps the greater of it and another; NaN where either is.</summary>
    /// <param name="scores">[count], with <see cref="Padded"/> room.</param>
    /// <param name="count">Scores, at least one.</param>
    /// <param name="greatest">[count], with the same room; the scores themselves to have their softmax alone.</param>
    public abstract void Greater(float* scores, int count, float* greatest);
}
