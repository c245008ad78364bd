using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LandmarkSharp.Attention;

/// <summary>
/// <see cref="CpuRows"/> where 16 lanes are two vectors of a processor that has 16 registers. A tile of 4 × 4 does not fit: four queries go
/// over one row at a time, in the order in which rows lie. How few instructions that takes decides, and the compiler needs the two halves
/// by their names for that, not as a pair. Sums are the same to the last bit.
/// </summary>
/// <typeparam name="TLanes">Half of the lanes.</typeparam>
/// <typeparam name="T">Their vector.</typeparam>
/// <typeparam name="TNumber">Of the rows.</typeparam>
internal sealed unsafe class CpuNarrowRows<TLanes, T, TNumber> : CpuRows<LanesTwice<TLanes, T>, LanePair<T>, TNumber>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
    where TNumber : struct, ICpuNumber
{
    private const int Half = Lanes / 2;

    public override void Dots(float* q, int queries, byte* keys, int count, int d, float* scores, nint step, byte* ahead)
    {
        for (; queries >= 4; queries -= 4, q += 4 * d, scores += 4 * step, ahead = null) FourDots(q, keys, count, d, scores, step, ahead);
        if (queries > 0) base.Dots(q, queries, keys, count, d, scores, step, ahead);
    }

    public override void AddRows(float* weights, nint step, int queries, byte* rows, int count, int d, float* result, byte* ahead)
    {
        for (; queries >= 4; queries -= 4, weights += 4 * step, result += 4 * d, ahead = null)
        {
            var whole = d / Lanes * Lanes;
            for (var i = 0; i < whole; i += Lanes)
                AddFour(weights, step, rows + (i * TNumber.Size), count, d, result + i, ahead == null ? null : ahead + (i * count * TNumber.Size));
            if (whole < d) AddRest(weights, step, 4, rows, count, d, whole, result);
        }
        if (queries > 0) base.AddRows(weights, step, queries, rows, count, d, result, ahead);
    }

    /// <summary>Four queries by each key.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void FourDots(float* q, byte* keys, int count, int d, float* scores, nint step, byte* ahead)
    {
        float* q1 = q + d, q2 = q1 + d, q3 = q2 + d;
        nint whole = d / Lanes * Lanes, row = (nint)d * TNumber.Size;
        for (; count > 0; count--, keys += row, scores++)
        {
            if (ahead != null)
            {
                CpuPrefetch.Ask(ahead, row);
                ahead += row;
            }
            T a0 = default, a1 = default, a2 = default, a3 = default, b0 = default, b1 = default, b2 = default, b3 = default;
            for (nint i = 0; i < whole; i += Lanes)
            {
                T a = Load(keys, i), b = Load(keys, i + Half);
                a0 = TLanes.MultiplyAdd(a, TLanes.Load(q + i), a0);
                b0 = TLanes.MultiplyAdd(b, TLanes.Load(q + i + Half), b0);
                a1 = TLanes.MultiplyAdd(a, TLanes.Load(q1 + i), a1);
                b1 = TLanes.MultiplyAdd(b, TLanes.Load(q1 + i + Half), b1);
                a2 = TLanes.MultiplyAdd(a, TLanes.Load(q2 + i), a2);
                b2 = TLanes.MultiplyAdd(b, TLanes.Load(q2 + i + Half), b2);
                a3 = TLanes.MultiplyAdd(a, TLanes.Load(q3 + i), a3);
                b3 = TLanes.MultiplyAdd(b, TLanes.Load(q3 + i + Half), b3);
            }
            var sums = TLanes.Sums(TLanes.Add(a0, b0), TLanes.Add(a1, b1), TLanes.Add(a2, b2), TLanes.Add(a3, b3));
            for (var i = whole; i < d; i++)
                sums += Vector128.Create(q[i], q1[i], q2[i], q3[i]) * TNumber.Load(keys + (i * TNumber.Size));
            scores[0] = sums[0];
            scores[step] = sums[1];
            scores[2 * step] = sums[2];
            scores[3 * step] = sums[3];
        }
    }

    /// <summary>16 numbers of four queries' results, which is what fits into the registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void AddFour(float* w, nint step, byte* rows, int count, int d, float* to, byte* ahead)
    {
        float* w1 = w + step, w2 = w1 + step, w3 = w2 + step, to1 = to + d, to2 = to1 + d, to3 = to2 + d;
        T a0 = TLanes.Load(to), b0 = TLanes.Load(to + Half), a1 = TLanes.Load(to1), b1 = TLanes.Load(to1 + Half);
        T a2 = TLanes.Load(to2), b2 = TLanes.Load(to2 + Half), a3 = TLanes.Load(to3), b3 = TLanes.Load(to3 + Half);
        nint row = (nint)d * TNumber.Size;
        for (nint j = 0; j < count; j++, rows += row)
        {
            if (ahead != null)
            {
                CpuPrefetch.Ask(ahead, Lanes * TNumber.Size);
                ahead += Lanes * TNumber.Size;
            }
            T a = Load(rows, 0), b = Load(rows, Half), x = TLanes.Spread(w + j);
            a0 = TLanes.MultiplyAdd(a, x, a0);
            b0 = TLanes.MultiplyAdd(b, x, b0);
            x = TLanes.Spread(w1 + j);
            a1 = TLanes.MultiplyAdd(a, x, a1);
            b1 = TLanes.MultiplyAdd(b, x, b1);
            x = TLanes.Spread(w2 + j);
            a2 = TLanes.MultiplyAdd(a, x, a2);
            b2 = TLanes.MultiplyAdd(b, x, b2);
            x = TLanes.Spread(w3 + j);
            a3 = TLanes.MultiplyAdd(a, x, a3);
            b3 = TLanes.MultiplyAdd(b, x, b3);
        }
        TLanes.Store(a0, to);
        TLanes.Store(b0, to + Half);
        TLanes.Store(a1, to1);
        TLanes.Store(b1, to1 + Half);
        TLanes.Store(a2, to2);
        TLanes.Store(b2, to2 + Half);
        TLanes.Store(a3, to3);
        TLanes.Store(b3, to3 + Half);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Load(byte* numbers, nint i) => TNumber.Load<TLanes, T>(numbers + (i * TNumber.Size));
}
