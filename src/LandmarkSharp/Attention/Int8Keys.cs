using System.Numerics.Tensors;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// Copies of some keys in int8, each with a scale of its own, and their products with queries in 16 bits: whole numbers, so that every
/// processor has the same sums.
/// </summary>
internal sealed unsafe class Int8Keys
{
    private const int Vector = 16;                      // numbers of a product's vector, to which rows are padded
    private const int Near = 64;                        // keys that stay in the first cache for all queries

    private readonly int count, row;
    private readonly sbyte[] keys;                      // [count, row]
    private readonly float[] scales;                    // [count]: what a key is multiplied by

    /// <summary>Copies keys.</summary>
    /// <param name="from">[count, d].</param>
    /// <param name="count">How many, a multiple of 4.</param>
    /// <param name="d">Width.</param>
    public Int8Keys(float* from, int count, int d)
    {
        (this.count, row) = (count, Row(d));
        (keys, scales) = (new sbyte[count * row], new float[count]);
        fixed (sbyte* to = keys)
        fixed (float* scale = scales)
        {
            for (var i = 0; i < count; i++) Int8Number.Store(from + ((long)i * d), d, (byte*)(to + (i * row)), scale + i);
        }
    }

    /// <summary>Numbers of a row, of which the last may be padding.</summary>
    public static int Row(int d) => (d + Vector - 1) / Vector * Vector;

    /// <summary>A query in 16 bits, or so many that no product's sum overflows.</summary>
    /// <param name="q">[d].</param>
    /// <param name="d">Width.</param>
    /// <param name="to">[<see cref="Row"/>], which is written; zeros for a query with numbers that are none.</param>
    /// <returns>What the result is multiplied by.</returns>
    public static float Round(float* q, int d, short* to)
    {
        new Span<short>(to, Row(d)).Clear();
        var most = Math.Min(short.MaxValue, int.MaxValue / (-sbyte.MinValue * Row(d)));
        var scale = MathF.Abs(TensorPrimitives.MaxMagnitude(new ReadOnlySpan<float>(q, d))) / most;
        if (!(scale > 0 && float.IsFinite(scale))) return 0;
        for (var i = 0; i < d; i++) to[i] = (short)MathF.Round(q[i] / scale);
        return scale;
    }

    /// <summary>The products of some queries with every key, about as they would be in float32.</summary>
    /// <param name="q">[queries, <see cref="Row"/>].</param>
    /// <param name="factors">[queries]: what they are multiplied by.</param>
    /// <param name="queries">Queries.</param>
    /// <param name="scores">[queries, count], which is written.</param>
    /// <param name="step">From one query's scores to the next one's.</param>
    public void Dots(short* q, float* factors, int queries, float* scores, nint step)
    {
        fixed (sbyte* all = keys)
        fixed (float* scale = scales)
        {
            for (int from = 0, next; from < count; from = next)
            {
                next = Math.Min(count, from + Near);
                for (var t = 0; t < queries; t++)
                    for (var j = from; j < next; j += 4)
                        (Vector128.ConvertToSingle(Four(q + (t * row), all + (j * row), row)) * Vector128.Load(scale + j) * factors[t]).Store(scores + (t * step) + j);
            }
        }
    }

    /// <summary>A query by four keys.</summary>
    private static Vector128<int> Four(short* q, sbyte* keys, int row)
    {
        sbyte* k1 = keys + row, k2 = k1 + row, k3 = k2 + row;
        if (!Avx2.IsSupported) return Vector128.Create(One(q, keys, row), One(q, k1, row), One(q, k2, row), One(q, k3, row));
        Vector256<int> s0 = default, s1 = default, s2 = default, s3 = default;
        for (nint i = 0; i < row; i += Vector)
        {
            var x = Vector256.Load(q + i);
            s0 += Avx2.MultiplyAddAdjacent(x, Avx2.ConvertToVector256Int16(keys + i));
            s1 += Avx2.MultiplyAddAdjacent(x, Avx2.ConvertToVector256Int16(k1 + i));
            s2 += Avx2.MultiplyAddAdjacent(x, Avx2.ConvertToVector256Int16(k2 + i));
            s3 += Avx2.MultiplyAddAdjacent(x, Avx2.ConvertToVector256Int16(k3 + i));
        }
        var sums = Avx2.HorizontalAdd(Avx2.HorizontalAdd(s0, s1), Avx2.HorizontalAdd(s2, s3));
        return sums.GetLower() + sums.GetUpper();
    }

    private static int One(short* q, sbyte* key, int row)
    {
        var sum = 0;
        for (var i = 0; i < row; i++) sum += q[i] * key[i];
        return sum;
    }
}
