using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// The inner loops of attention over one query, on raw rows of d floats. A score never depends on which keys stand beside
/// its own, so equal keys score equal to the last bit, in prefill as in decoding.
/// </summary>
internal static unsafe class CpuVectors
{
    /// <summary>Turns a head by one row of <see cref="Rotary.Distances"/>, and scales it.</summary>
    /// <param name="x">[d].</param>
    /// <param name="angles">[d]: d/2 cosines, then d/2 sines.</param>
    /// <param name="scale">What the result is multiplied by.</param>
    /// <param name="d">Width, even.</param>
    /// <param name="result">[d]; not x.</param>
    public static void Rotate(float* x, float* angles, float scale, int d, float* result)
    {
        var (half, width) = (d / 2, Vector<float>.Count);
        float* y = x + half, sines = angles + half, other = result + half;
        var (i, by) = (0, new Vector<float>(scale));
        for (; i + width <= half; i += width)
        {
            var (a, b) = (Load(x + i) * by, Load(y + i) * by);
            var (cos, sin) = (Load(angles + i), Load(sines + i));
            *(Vector<float>*)(result + i) = (a * cos) - (b * sin);
            *(Vector<float>*)(other + i) = (b * cos) + (a * sin);
        }
        for (; i < half; i++)
        {
            var (a, b) = (x[i] * scale, y[i] * scale);
            (result[i], other[i]) = ((a * angles[i]) - (b * sines[i]), (b * angles[i]) + (a * sines[i]));
        }
    }

    /// <summary>The dot product of one query with each of some keys that lie one after another.</summary>
    /// <param name="q">[d].</param>
    /// <param name="keys">[count, d].</param>
    /// <param name="count">Keys.</param>
    /// <param name="d">Width.</param>
    /// <param name="scores">[count].</param>
    public static void Dots(float* q, float* keys, int count, int d, float* scores)
    {
        var j = 0;
        if (Lanes512.IsSupported)
        {
            for (; j + 4 <= count; j += 4, keys += 4 * d) Wide(q, keys, keys + d, keys + (2 * d), keys + (3 * d), d).Store(scores + j);
            for (; j < count; j++, keys += d) scores[j] = Dot(q, keys, d);
            return;
        }
        var width = Vector<float>.Count;
        for (; j + 4 <= count; j += 4, keys += 4 * d) // four sums in flight hide an addition's latency
        {
            float* k1 = keys + d, k2 = k1 + d, k3 = k2 + d;
            Vector<float> s0 = default, s1 = default, s2 = default, s3 = default;
            var i = 0;
            for (; i + width <= d; i += width)
            {
                var x = Load(q + i);
                s0 = Vector.FusedMultiplyAdd(x, Load(keys + i), s0);
                s1 = Vector.FusedMultiplyAdd(x, Load(k1 + i), s1);
                s2 = Vector.FusedMultiplyAdd(x, Load(k2 + i), s2);
                s3 = Vector.FusedMultiplyAdd(x, Load(k3 + i), s3);
            }
            Sum(s0, s1, s2, s3).Store(scores + j);
            for (; i < d; i++)
            {
                scores[j] += q[i] * keys[i];
                scores[j + 1] += q[i] * k1[i];
                scores[j + 2] += q[i] * k2[i];
                scores[j + 3] += q[i] * k3[i];
            }
        }
        for (; j < count; j++, keys += d) scores[j] = Dot(q, keys, d);
    }

    /// <summary>The dot product of two rows, in the order of additions that <see cref="Dots"/> has.</summary>
    /// <param name="a">[d].</param>
    /// <param name="b">[d].</param>
    /// <param name="d">Width.</param>
    public static float Dot(float* a, float* b, int d)
    {
        if (Lanes512.IsSupported) return Wide(a, b, b, b, b, d).ToScalar();
        Vector<float> sum = default;
        var i = 0;
        for (; i + Vector<float>.Count <= d; i += Vector<float>.Count)
            sum = Vector.FusedMultiplyAdd(Load(a + i), Load(b + i), sum);
        var result = Sum(sum, sum, sum, sum).ToScalar();
        for (; i < d; i++) result += a[i] * b[i];
        return result;
    }

    /// <summary>Adds weighted rows: result += Σ_j weights_j · rows_j.</summary>
    /// <param name="weights">[count].</param>
    /// <param name="rows">[count, d].</param>
    /// <param name="count">Rows.</param>
    /// <param name="d">Width.</param>
    /// <param name="result">[d].</param>
    public static void AddRows(float* weights, float* rows, int count, int d, float* result)
    {
        var (width, i) = (Vector<float>.Count, 0);
        for (; i + (8 * width) <= d; i += 8 * width)                                        // a strip of eight vectors stays in registers
        {
            var to = (Vector<float>*)(result + i);
            var (r0, r1, r2, r3) = (to[0], to[1], to[2], to[3]);
            var (r4, r5, r6, r7) = (to[4], to[5], to[6], to[7]);
            var from = rows + i;
            for (var j = 0; j < count; j++, from += d)
            {
                var a = new Vector<float>(weights[j]);
                var row = (Vector<float>*)from;
                r0 = Vector.FusedMultiplyAdd(a, row[0], r0);
                r1 = Vector.FusedMultiplyAdd(a, row[1], r1);
                r2 = Vector.FusedMultiplyAdd(a, row[2], r2);
                r3 = Vector.FusedMultiplyAdd(a, row[3], r3);
                r4 = Vector.FusedMultiplyAdd(a, row[4], r4);
                r5 = Vector.FusedMultiplyAdd(a, row[5], r5);
                r6 = Vector.FusedMultiplyAdd(a, row[6], r6);
                r7 = Vector.FusedMultiplyAdd(a, row[7], r7);
            }
            (to[0], to[1], to[2], to[3]) = (r0, r1, r2, r3);
            (to[4], to[5], to[6], to[7]) = (r4, r5, r6, r7);
        }
        for (; i + width <= d; i += width)
        {
            var sum = Load(result + i);
            for (var j = 0; j < count; j++)
                sum = Vector.FusedMultiplyAdd(new Vector<float>(weights[j]), Load(rows + ((long)j * d) + i), sum);
            *(Vector<float>*)(result + i) = sum;
        }
        for (; i < d; i++)
        {
            for (var j = 0; j < count; j++)
                result[i] += weights[j] * rows[((long)j * d) + i];
        }
    }

    /// <summary>The dot products of a row with four.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> Wide(float* q, float* k0, float* k1, float* k2, float* k3, int d)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        var i = 0;
        for (; i + 16 <= d; i += 16)
        {
            var x = Vector512.Load(q + i);
            s0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(k0 + i), s0);
            s1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(k1 + i), s1);
            s2 = Vector512.FusedMultiplyAdd(x, Vector512.Load(k2 + i), s2);
            s3 = Vector512.FusedMultiplyAdd(x, Vector512.Load(k3 + i), s3);
        }
        // Pairs, then pairs of pairs: each quarter of the last holds a part of all four sums.
        var (low, high) = (Avx512F.UnpackLow(s0, s1) + Avx512F.UnpackHigh(s0, s1), Avx512F.UnpackLow(s2, s3) + Avx512F.UnpackHigh(s2, s3));
        var quarters = Avx512F.UnpackLow(low.AsDouble(), high.AsDouble()).AsSingle()
            + Avx512F.UnpackHigh(low.AsDouble(), high.AsDouble()).AsSingle();
        var halves = quarters.GetLower() + quarters.GetUpper();
        var sums = halves.GetLower() + halves.GetUpper();
        for (; i < d; i++) sums += Vector128.Create(k0[i], k1[i], k2[i], k3[i]) * q[i];
        return sums;
    }

    private static Vector<float> Load(float* from) => *(Vector<float>*)from;

    // Four sums at once take a third of the instructions of four by themselves, and each is added in the same order.
    private static Vector128<float> Sum(Vector<float> a, Vector<float> b, Vector<float> c, Vector<float> d)
    {
        if (!Avx.IsSupported || Vector<float>.Count != Vector256<float>.Count)
            return Vector128.Create(Vector.Sum(a), Vector.Sum(b), Vector.Sum(c), Vector.Sum(d));
        var halves = Avx.HorizontalAdd(
            Avx.HorizontalAdd(a.AsVector256(), b.AsVector256()), Avx.HorizontalAdd(c.AsVector256(), d.AsVector256()));
        return halves.GetLower() + halves.GetUpper();
    }
}
