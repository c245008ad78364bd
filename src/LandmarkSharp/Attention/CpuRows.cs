using System.Runtime.Intrinsics;
using static TorchSharp.torch;
using Lanes8 = LandmarkSharp.Attention.LanesTwice<
    LandmarkSharp.Attention.LanesTwice<LandmarkSharp.Attention.LanesTwice<LandmarkSharp.Attention.Lanes1, float>, LandmarkSharp.Attention.LanePair<float>>,
    LandmarkSharp.Attention.LanePair<LandmarkSharp.Attention.LanePair<float>>>;
using Pair8 = LandmarkSharp.Attention.LanePair<LandmarkSharp.Attention.LanePair<LandmarkSharp.Attention.LanePair<float>>>;

namespace LandmarkSharp.Attention;

/// <summary>
/// The inner loops of attention over rows of d numbers, for queries that are few: several go over the same rows together, so
/// that a row is loaded once for four of them. A score never depends on which rows or queries stand beside its own, so equal keys
/// score equal to the last bit, in prefill as in decoding. Rows of fewer bits are widened in registers, and their scales are the
/// caller's. Sums go by 16 lanes on every processor, so all have the same bits.
/// </summary>
internal abstract unsafe class CpuRows
{
    /// <summary>Lanes of a sum.</summary>
    public const int Lanes = 16;

    /// <summary>For rows of float32, by the widest vectors that this processor has.</summary>
    public static CpuRows Float32 { get; } = For(ScalarType.Float32, CpuDense.Widest);

    private static CpuRows BFloat16 { get; } = For(ScalarType.BFloat16, CpuDense.Widest);

    private static CpuRows Int8 { get; } = For(ScalarType.Int8, CpuDense.Widest);

    /// <summary>Bytes of a number.</summary>
    public abstract int Size { get; }

    /// <summary>For rows of a type that blocks may have, by the widest vectors that this processor has.</summary>
    public static CpuRows For(ScalarType type) => type switch
    {
        ScalarType.Int8 => Int8,
        ScalarType.BFloat16 => BFloat16,
        _ => Float32,
    };

    /// <summary>For rows of such a type and vectors that this processor has.</summary>
    public static CpuRows For(ScalarType type, AttentionBackend vectors) => type switch
    {
        ScalarType.Int8 => For<Int8Number>(vectors),
        ScalarType.BFloat16 => For<BFloat16Number>(vectors),
        _ => For<Float32Number>(vectors),
    };

    private static CpuRows For<TNumber>(AttentionBackend vectors)
        where TNumber : struct, ICpuNumber => vectors switch
        {
            AttentionBackend.Cpu512 => new CpuRows<Lanes512, Vector512<float>, TNumber>(),
            AttentionBackend.Cpu256 => new CpuNarrowRows<Lanes256, Vector256<float>, TNumber>(),
            _ => new CpuNarrowRows<Lanes8, Pair8, TNumber>(),
        };

    /// <summary>Rows that are read at once while as many are asked for: what the first cache has room for.</summary>
    public int Chunk(int d) => Math.Clamp(8192 / (d * Size), 4, 64) & ~3;

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
    public abstract void Dots(float* q, int queries, byte* keys, int count, int d, float* scores, nint step, byte* ahead);

    /// <summary>The dot product of a query and a key, as <see cref="Dots"/> has it.</summary>
    public float Dot(float* q, float* key, int d)
    {
        float result;
        Dots(q, 1, (byte*)key, 1, d, &result, 0, null);
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
    public abstract void AddRows(float* weights, nint step, int queries, byte* rows, int count, int d, float* result, byte* ahead);

    /// <summary>Asks for rows that are read soon.</summary>
    /// <param name="rows">[count, d].</param>
    /// <param name="count">Rows.</param>
    /// <param name="d">Width.</param>
    public abstract void Ask(byte* rows, int count, int d);

    /// <summary>Rows as float32.</summary>
    /// <param name="rows">[count, d].</param>
    /// <param name="scales">[count]: what each row is multiplied by; null for nothing.</param>
    /// <param name="count">Rows.</param>
    /// <param name="d">Width.</param>
    /// <param name="room">Room for [count, d].</param>
    /// <returns>[count, d]: the room, or the rows themselves if they are float32.</returns>
    public abstract float* Widen(byte* rows, float* scales, int count, int d, float* room);

    /// <summary>Keeps a row.</summary>
    /// <param name="row">[d].</param>
    /// <param name="d">Width.</param>
    /// <param name="to">[d].</param>
    /// <param name="scale">What it is multiplied by when it is read; null where rows have no scale.</param>
    public abstract void Store(float* row, int d, byte* to, float* scale);

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
