using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LandmarkSharp.Attention;

/// <summary>Two vectors that stand for one of twice the width.</summary>
/// <param name="Low">The lower lanes.</param>
/// <param name="High">The upper lanes.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct LanePair<T>(T Low, T High)
    where T : struct;

/// <summary>Twice as many lanes: a kernel that sums across lanes has the same bits where the processor's vectors are narrower.</summary>
internal readonly unsafe struct LanesTwice<TLanes, T> : ICpuLanes<LanePair<T>>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    public static int Count => 2 * TLanes.Count;

    public static bool ManyRegisters => false;

    public static LanePair<T> Indices => new(TLanes.Indices, TLanes.Add(TLanes.Indices, TLanes.Fill(TLanes.Count)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Load(float* from) => new(TLanes.Load(from), TLanes.Load(from + TLanes.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(LanePair<T> x, float* to)
    {
        TLanes.Store(x.Low, to);
        TLanes.Store(x.High, to + TLanes.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> WidenUpper(ushort* from) => new(TLanes.WidenUpper(from), TLanes.WidenUpper(from + TLanes.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Widen(sbyte* from) => new(TLanes.Widen(from), TLanes.Widen(from + TLanes.Count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Fill(float x) => new(TLanes.Fill(x), TLanes.Fill(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Spread(float* from) => new(TLanes.Spread(from), TLanes.Spread(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Add(LanePair<T> a, LanePair<T> b) => new(TLanes.Add(a.Low, b.Low), TLanes.Add(a.High, b.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Subtract(LanePair<T> a, LanePair<T> b) => new(TLanes.Subtract(a.Low, b.Low), TLanes.Subtract(a.High, b.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Multiply(LanePair<T> a, LanePair<T> b) => new(TLanes.Multiply(a.Low, b.Low), TLanes.Multiply(a.High, b.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Divide(LanePair<T> a, LanePair<T> b) => new(TLanes.Divide(a.Low, b.Low), TLanes.Divide(a.High, b.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> MultiplyAdd(LanePair<T> a, LanePair<T> b, LanePair<T> c) =>
        new(TLanes.MultiplyAdd(a.Low, b.Low, c.Low), TLanes.MultiplyAdd(a.High, b.High, c.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Max(LanePair<T> a, LanePair<T> b) => new(TLanes.Max(a.Low, b.Low), TLanes.Max(a.High, b.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> IfLess(LanePair<T> a, LanePair<T> b, LanePair<T> then, LanePair<T> otherwise) =>
        new(TLanes.IfLess(a.Low, b.Low, then.Low, otherwise.Low), TLanes.IfLess(a.High, b.High, then.High, otherwise.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static LanePair<T> Scale(LanePair<T> x, LanePair<T> exponent) =>
        new(TLanes.Scale(x.Low, exponent.Low), TLanes.Scale(x.High, exponent.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(LanePair<T> a, LanePair<T> b, LanePair<T> c, LanePair<T> d) =>
        TLanes.Sums(TLanes.Add(a.Low, a.High), TLanes.Add(b.Low, b.High), TLanes.Add(c.Low, c.High), TLanes.Add(d.Low, d.High));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(LanePair<T> x) => TLanes.Highest(TLanes.Max(x.Low, x.High));
}
