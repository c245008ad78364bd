using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// Small matrix products C = A·B on tiles that fit the first caches: 4 rows of C by 2 or 4 vectors stay in registers, rows of
/// B are streamed, numbers of A are spread over a vector. A is read where it lies, in rows or in columns.
/// </summary>
internal static unsafe class CpuProduct<TLanes, T>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private const int TileRows = 4;

    /// <summary>C = A·B.</summary>
    /// <param name="a">[rows, inner].</param>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="inner">Rows of B.</param>
    /// <param name="b">[inner, lanes].</param>
    /// <param name="lanes">Columns of B and C, a multiple of <see cref="CpuTile.LaneStep"/>.</param>
    /// <param name="c">[rows, lanes].</param>
    public static void Set(Matrix a, int rows, int inner, Matrix b, int lanes, Matrix c) => Run(a, rows, inner, b, lanes, c, null, false);

    /// <summary>C += A·B.</summary>
    public static void Add(Matrix a, int rows, int inner, Matrix b, int lanes, Matrix c) => Run(a, rows, inner, b, lanes, c, null, true);

    /// <summary>C = C·keep + A·B·gain, where factors are [2, <see cref="CpuTile.Lanes"/>]: keep and gain of each lane.</summary>
    public static void Blend(Matrix a, int rows, int inner, Matrix b, int lanes, Matrix c, float* factors) =>
        Run(a, rows, inner, b, lanes, c, factors, false);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Run(Matrix a, int rows, int inner, Matrix b, int lanes, Matrix c, float* factors, bool add)
    {
        for (int lane = 0, width; lane < lanes; lane += width)
        {
            var wide = TLanes.ManyRegisters && lanes - lane >= 4 * TLanes.Count;
            width = (wide ? 4 : 2) * TLanes.Count;
            float* from = b.Data + lane, blend = factors == null ? null : factors + lane;
            for (var row = 0; row < rows; row += TileRows)
            {
                // Rows that are not there repeat the last one and are not stored.
                var last = Math.Min(TileRows, rows - row) - 1;
                float* a0 = a.Data + (row * a.Row), a1 = a0 + (Math.Min(1, last) * a.Row), a2 = a0 + (Math.Min(2, last) * a.Row);
                float* a3 = a0 + (last * a.Row), to = c.Data + (row * c.Row) + lane;
                if (wide) Wide(a0, a1, a2, a3, a.Step, inner, from, b.Row, to, c.Row, last, blend, add);
                else Narrow(a0, a1, a2, a3, a.Step, inner, from, b.Row, to, c.Row, last, blend, add);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Wide(
        float* a0, float* a1, float* a2, float* a3, nint aStep, nint inner, float* b, nint bRow, float* c, nint cRow,
        int last, float* blend, bool add)
    {
        T c00 = default, c01 = default, c02 = default, c03 = default, c10 = default, c11 = default, c12 = default, c13 = default;
        T c20 = default, c21 = default, c22 = default, c23 = default, c30 = default, c31 = default, c32 = default, c33 = default;
        for (nint at = 0; inner > 0; inner--, at += aStep, b += bRow)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + TLanes.Count);
            var b2 = TLanes.Load(b + (2 * TLanes.Count));
            var b3 = TLanes.Load(b + (3 * TLanes.Count));
            var x = TLanes.Fill(a0[at]);
            c00 = TLanes.MultiplyAdd(x, b0, c00);
            c01 = TLanes.MultiplyAdd(x, b1, c01);
            c02 = TLanes.MultiplyAdd(x, b2, c02);
            c03 = TLanes.MultiplyAdd(x, b3, c03);
            x = TLanes.Fill(a1[at]);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TLanes.MultiplyAdd(x, b1, c11);
            c12 = TLanes.MultiplyAdd(x, b2, c12);
            c13 = TLanes.MultiplyAdd(x, b3, c13);
            x = TLanes.Fill(a2[at]);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TLanes.MultiplyAdd(x, b1, c21);
            c22 = TLanes.MultiplyAdd(x, b2, c22);
            c23 = TLanes.MultiplyAdd(x, b3, c23);
            x = TLanes.Fill(a3[at]);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TLanes.MultiplyAdd(x, b1, c31);
            c32 = TLanes.MultiplyAdd(x, b2, c32);
            c33 = TLanes.MultiplyAdd(x, b3, c33);
        }
        var half = blend == null ? null : blend + (2 * TLanes.Count);
        var right = c + (2 * TLanes.Count);
        Put(c00, c01, c, blend, add);
        Put(c02, c03, right, half, add);
        if (last == 0) return;
        Put(c10, c11, c + cRow, blend, add);
        Put(c12, c13, right + cRow, half, add);
        if (last == 1) return;
        Put(c20, c21, c + (2 * cRow), blend, add);
        Put(c22, c23, right + (2 * cRow), half, add);
        if (last == 2) return;
        Put(c30, c31, c + (3 * cRow), blend, add);
        Put(c32, c33, right + (3 * cRow), half, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Narrow(
        float* a0, float* a1, float* a2, float* a3, nint aStep, nint inner, float* b, nint bRow, float* c, nint cRow,
        int last, float* blend, bool add)
    {
        T c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default, c30 = default, c31 = default;
        for (nint at = 0; inner > 0; inner--, at += aStep, b += bRow)
        {
            var b0 = TLanes.Load(b);
            var b1 = TLanes.Load(b + TLanes.Count);
            var x = TLanes.Fill(a0[at]);
            c00 = TLanes.MultiplyAdd(x, b0, c00);
            c01 = TLanes.MultiplyAdd(x, b1, c01);
            x = TLanes.Fill(a1[at]);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TLanes.MultiplyAdd(x, b1, c11);
            x = TLanes.Fill(a2[at]);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TLanes.MultiplyAdd(x, b1, c21);
            x = TLanes.Fill(a3[at]);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TLanes.MultiplyAdd(x, b1, c31);
        }
        Put(c00, c01, c, blend, add);
        if (last == 0) return;
        Put(c10, c11, c + cRow, blend, add);
        if (last == 1) return;
        Put(c20, c21, c + (2 * cRow), blend, add);
        if (last == 2) return;
        Put(c30, c31, c + (3 * cRow), blend, add);
    }

    /// <summary>Two vectors of a row of C.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(T x, T y, float* to, float* blend, bool add)
    {
        var next = to + TLanes.Count;
        if (blend != null)
        {
            var gain = blend + CpuTile.Lanes;
            x = TLanes.Multiply(x, TLanes.Load(gain));
            y = TLanes.Multiply(y, TLanes.Load(gain + TLanes.Count));
            x = TLanes.MultiplyAdd(TLanes.Load(to), TLanes.Load(blend), x);
            y = TLanes.MultiplyAdd(TLanes.Load(next), TLanes.Load(blend + TLanes.Count), y);
        }
        else if (add)
        {
            x = TLanes.Add(TLanes.Load(to), x);
            y = TLanes.Add(TLanes.Load(next), y);
        }
        TLanes.Store(x, to);
        TLanes.Store(y, next);
    }
}
