using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LandmarkSharp.Attention;

/// <summary><see cref="CpuRows"/> by vectors of one kind, which have 16 lanes, for rows of one type.</summary>
internal unsafe class CpuRows<TLanes, T, TNumber> : CpuRows
    where TLanes : struct, ICpuLanes<T>
    where T : struct
    where TNumber : struct, ICpuNumber
{
    private const int Strip = 4 * Lanes;                // numbers of a result that stay in registers

    public override int Size => TNumber.Size;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Dots(float* q, int queries, byte* keys, int count, int d, float* scores, nint step, byte* ahead)
    {
        var row = (nint)d * TNumber.Size;
        for (var j = 0; j < count; j += 4, keys += 4 * row)
        {
            var last = Math.Min(4, count - j) - 1;      // keys that are not there repeat the last one and are not stored
            if (ahead != null) CpuPrefetch.Ask(ahead + (j * row), (last + 1) * row);
            byte* k1 = keys + (Math.Min(1, last) * row), k2 = keys + (Math.Min(2, last) * row), k3 = keys + (last * row);
            var t = 0;
            for (; TLanes.ManyRegisters && t + 4 <= queries; t += 4)
                Four(q + (t * d), keys, k1, k2, k3, d, scores + (t * step) + j, step, last);
            for (; t < queries; t++) One(q + (t * d), keys, k1, k2, k3, d, scores + (t * step) + j, last);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void AddRows(float* weights, nint step, int queries, byte* rows, int count, int d, float* result, byte* ahead)
    {
        var t = 0;
        for (; TLanes.ManyRegisters && t + 4 <= queries; t += 4, ahead = null)
        {
            for (var i = 0; i + Strip <= d; i += Strip)
            {
                var asked = ahead == null ? null : At(ahead, i * count);
                AddFour(weights + (t * step), step, At(rows, i), count, d, result + (t * d) + i, asked);
            }
        }
        for (; t < queries; t++, ahead = null)
        {
            for (var i = 0; i + Strip <= d; i += Strip)
            {
                var asked = ahead == null ? null : At(ahead, i * count);
                AddOne(weights + (t * step), At(rows, i), count, d, result + (t * d) + i, asked);
            }
        }
        AddRest(weights, step, queries, rows, count, d, d / Strip * Strip, result);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float* Widen(byte* rows, float* scales, int count, int d, float* room)
    {
        if (typeof(TNumber) == typeof(Float32Number)) return (float*)rows;
        for (var j = 0; j < count; j++)
        {
            var to = room + (j * d);
            var from = At(rows, j * d);
            var (scale, i) = (scales == null ? 1 : scales[j], 0);
            for (; i + Lanes <= d; i += Lanes) TLanes.Store(TLanes.Multiply(Load(from, i), TLanes.Fill(scale)), to + i);
            for (; i < d; i++) to[i] = One(from, i) * scale;
        }
        return room;
    }

    public override void Store(float* row, int d, byte* to, float* scale) => TNumber.Store(row, d, to, scale);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override float Exponentials(float* scores, int count, out float highest)
    {
        var padded = Padded(count);
        new Span<float>(scores + count, padded - count).Fill(float.NegativeInfinity);
        var most = TLanes.Load(scores);
        for (var j = Lanes; j < padded; j += Lanes) most = TLanes.Max(TLanes.Load(scores + j), most);
        highest = TLanes.Highest(most);
        T max = TLanes.Fill(highest), sum = TLanes.Fill(0);
        for (var j = 0; j < padded; j += Lanes)
        {
            var e = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(TLanes.Load(scores + j), max));
            sum = TLanes.Add(sum, e);
            TLanes.Store(e, scores + j);
        }
        return TLanes.Sums(sum, sum, sum, sum).ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Softmax(float* scores, int count, float mass)
    {
        var factor = TLanes.Fill(mass / Exponentials(scores, count, out _));
        for (var j = 0; j < count; j += Lanes) TLanes.Store(TLanes.Multiply(TLanes.Load(scores + j), factor), scores + j);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Greater(float* scores, int count, float* greatest)
    {
        var factor = TLanes.Fill(1 / Exponentials(scores, count, out _));
        for (var j = 0; j < count; j += Lanes)
        {
            var p = TLanes.Multiply(TLanes.Load(scores + j), factor);
            if (greatest != scores)
                p = TLanes.MultiplyAdd(p, TLanes.Fill(0), TLanes.Max(p, TLanes.Load(greatest + j))); // 0 · NaN is NaN
            TLanes.Store(p, greatest + j);
        }
    }

    /// <summary>Four queries by four keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Four(float* q0, byte* k0, byte* k1, byte* k2, byte* k3, int d, float* scores, nint step, int last)
    {
        float* q1 = q0 + d, q2 = q1 + d, q3 = q2 + d;
        T s00 = default, s01 = default, s02 = default, s03 = default, s10 = default, s11 = default, s12 = default, s13 = default;
        T s20 = default, s21 = default, s22 = default, s23 = default, s30 = default, s31 = default, s32 = default, s33 = default;
        var i = 0;
        for (; i + Lanes <= d; i += Lanes)
        {
            T x0 = Load(k0, i), x1 = Load(k1, i), x2 = Load(k2, i), x3 = Load(k3, i);
            var q = TLanes.Load(q0 + i);
            s00 = TLanes.MultiplyAdd(q, x0, s00);
            s01 = TLanes.MultiplyAdd(q, x1, s01);
            s02 = TLanes.MultiplyAdd(q, x2, s02);
            s03 = TLanes.MultiplyAdd(q, x3, s03);
            q = TLanes.Load(q1 + i);
            s10 = TLanes.MultiplyAdd(q, x0, s10);
            s11 = TLanes.MultiplyAdd(q, x1, s11);
            s12 = TLanes.MultiplyAdd(q, x2, s12);
            s13 = TLanes.MultiplyAdd(q, x3, s13);
            q = TLanes.Load(q2 + i);
            s20 = TLanes.MultiplyAdd(q, x0, s20);
            s21 = TLanes.MultiplyAdd(q, x1, s21);
            s22 = TLanes.MultiplyAdd(q, x2, s22);
            s23 = TLanes.MultiplyAdd(q, x3, s23);
            q = TLanes.Load(q3 + i);
            s30 = TLanes.MultiplyAdd(q, x0, s30);
            s31 = TLanes.MultiplyAdd(q, x1, s31);
            s32 = TLanes.MultiplyAdd(q, x2, s32);
            s33 = TLanes.MultiplyAdd(q, x3, s33);
        }
        Put(TLanes.Sums(s00, s01, s02, s03), q0, k0, k1, k2, k3, i, d, scores, last);
        Put(TLanes.Sums(s10, s11, s12, s13), q1, k0, k1, k2, k3, i, d, scores + step, last);
        Put(TLanes.Sums(s20, s21, s22, s23), q2, k0, k1, k2, k3, i, d, scores + (2 * step), last);
        Put(TLanes.Sums(s30, s31, s32, s33), q3, k0, k1, k2, k3, i, d, scores + (3 * step), last);
    }

    /// <summary>One query by four keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void One(float* q, byte* k0, byte* k1, byte* k2, byte* k3, int d, float* scores, int last)
    {
        T s0 = default, s1 = default, s2 = default, s3 = default;
        var i = 0;
        for (; i + Lanes <= d; i += Lanes)
        {
            var x = TLanes.Load(q + i);
            s0 = TLanes.MultiplyAdd(x, Load(k0, i), s0);
            s1 = TLanes.MultiplyAdd(x, Load(k1, i), s1);
            s2 = TLanes.MultiplyAdd(x, Load(k2, i), s2);
            s3 = TLanes.MultiplyAdd(x, Load(k3, i), s3);
        }
        Put(TLanes.Sums(s0, s1, s2, s3), q, k0, k1, k2, k3, i, d, scores, last);
    }

    /// <summary>Adds what fills no vector to four sums, and stores those that there are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(Vector128<float> sums, float* q, byte* k0, byte* k1, byte* k2, byte* k3, int i, int d, float* scores, int last)
    {
        for (; i < d; i++) sums += Vector128.Create(One(k0, i), One(k1, i), One(k2, i), One(k3, i)) * q[i];
        if (last == 3) sums.Store(scores);
        else for (var j = 0; j <= last; j++) scores[j] = sums[j];
    }

    /// <summary>A strip of four queries' results.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFour(float* w0, nint step, byte* row, int count, int d, float* to, byte* ahead)
    {
        float* w1 = w0 + step, w2 = w1 + step, w3 = w2 + step, y1 = to + d, y2 = y1 + d, y3 = y2 + d;
        T s00 = TLanes.Load(to), s01 = TLanes.Load(to + Lanes), s02 = TLanes.Load(to + (2 * Lanes)), s03 = TLanes.Load(to + (3 * Lanes));
        T s10 = TLanes.Load(y1), s11 = TLanes.Load(y1 + Lanes), s12 = TLanes.Load(y1 + (2 * Lanes)), s13 = TLanes.Load(y1 + (3 * Lanes));
        T s20 = TLanes.Load(y2), s21 = TLanes.Load(y2 + Lanes), s22 = TLanes.Load(y2 + (2 * Lanes)), s23 = TLanes.Load(y2 + (3 * Lanes));
        T s30 = TLanes.Load(y3), s31 = TLanes.Load(y3 + Lanes), s32 = TLanes.Load(y3 + (2 * Lanes)), s33 = TLanes.Load(y3 + (3 * Lanes));
        for (var j = 0; j < count; j++, row = At(row, d))
        {
            if (ahead != null) CpuPrefetch.Ask(At(ahead, j * Strip), Strip * TNumber.Size);
            T x0 = Load(row, 0), x1 = Load(row, Lanes), x2 = Load(row, 2 * Lanes), x3 = Load(row, 3 * Lanes);
            var w = TLanes.Fill(w0[j]);
            s00 = TLanes.MultiplyAdd(w, x0, s00);
            s01 = TLanes.MultiplyAdd(w, x1, s01);
            s02 = TLanes.MultiplyAdd(w, x2, s02);
            s03 = TLanes.MultiplyAdd(w, x3, s03);
            w = TLanes.Fill(w1[j]);
            s10 = TLanes.MultiplyAdd(w, x0, s10);
            s11 = TLanes.MultiplyAdd(w, x1, s11);
            s12 = TLanes.MultiplyAdd(w, x2, s12);
            s13 = TLanes.MultiplyAdd(w, x3, s13);
            w = TLanes.Fill(w2[j]);
            s20 = TLanes.MultiplyAdd(w, x0, s20);
            s21 = TLanes.MultiplyAdd(w, x1, s21);
            s22 = TLanes.MultiplyAdd(w, x2, s22);
            s23 = TLanes.MultiplyAdd(w, x3, s23);
            w = TLanes.Fill(w3[j]);
            s30 = TLanes.MultiplyAdd(w, x0, s30);
            s31 = TLanes.MultiplyAdd(w, x1, s31);
            s32 = TLanes.MultiplyAdd(w, x2, s32);
            s33 = TLanes.MultiplyAdd(w, x3, s33);
        }
        PutStrip(s00, s01, s02, s03, to);
        PutStrip(s10, s11, s12, s13, y1);
        PutStrip(s20, s21, s22, s23, y2);
        PutStrip(s30, s31, s32, s33, y3);
    }

    /// <summary>A strip of one query's result.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddOne(float* weights, byte* row, int count, int d, float* to, byte* ahead)
    {
        T s0 = TLanes.Load(to), s1 = TLanes.Load(to + Lanes), s2 = TLanes.Load(to + (2 * Lanes)), s3 = TLanes.Load(to + (3 * Lanes));
        for (var j = 0; j < count; j++, row = At(row, d))
        {
            if (ahead != null) CpuPrefetch.Ask(At(ahead, j * Strip), Strip * TNumber.Size);
            var w = TLanes.Fill(weights[j]);
            s0 = TLanes.MultiplyAdd(w, Load(row, 0), s0);
            s1 = TLanes.MultiplyAdd(w, Load(row, Lanes), s1);
            s2 = TLanes.MultiplyAdd(w, Load(row, 2 * Lanes), s2);
            s3 = TLanes.MultiplyAdd(w, Load(row, 3 * Lanes), s3);
        }
        PutStrip(s0, s1, s2, s3, to);
    }

    /// <summary>What fills no strip of the results.</summary>
    protected static void AddRest(float* weights, nint step, int queries, byte* rows, int count, int d, int from, float* result)
    {
        for (var t = 0; t < queries; t++, weights += step, result += d)
        {
            var i = from;
            for (; i + Lanes <= d; i += Lanes)
            {
                var sum = TLanes.Load(result + i);
                for (var j = 0; j < count; j++) sum = TLanes.MultiplyAdd(TLanes.Fill(weights[j]), Load(rows, (j * d) + i), sum);
                TLanes.Store(sum, result + i);
            }
            for (; i < d; i++)
            {
                for (var j = 0; j < count; j++) result[i] += weights[j] * One(rows, (j * d) + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PutStrip(T s0, T s1, T s2, T s3, float* to)
    {
        TLanes.Store(s0, to);
        TLanes.Store(s1, to + Lanes);
        TLanes.Store(s2, to + (2 * Lanes));
        TLanes.Store(s3, to + (3 * Lanes));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte* At(byte* numbers, nint i) => numbers + (i * TNumber.Size);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Load(byte* numbers, nint i) => TNumber.Load<TLanes, T>(At(numbers, i));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float One(byte* numbers, nint i) => TNumber.Load(At(numbers, i));

    public override void Ask(byte* rows, int count, int d) => CpuPrefetch.Ask(rows, (nint)count * d * TNumber.Size);
}
