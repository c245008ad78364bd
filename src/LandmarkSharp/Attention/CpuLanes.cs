using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// Float32 vectors of one width. A kernel written against this is compiled once for each width and does the same operations
/// in the same order for every lane, so all widths give the same bits.
/// </summary>
/// <typeparam name="T">The vector.</typeparam>
internal unsafe interface ICpuLanes<T>
    where T : struct
{
    /// <summary>Lanes of a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are registers for a product's tile of 4 rows by 4 vectors.</summary>
    static abstract bool ManyRegisters { get; }

    /// <summary>0, 1, 2 … by lane.</summary>
    static abstract T Indices { get; }

    static abstract T Load(float* from);

    static abstract void Store(T x, float* to);

    /// <summary>Numbers of which the upper half is kept.</summary>
    static abstract T WidenUpper(ushort* from);

    /// <summary>Whole numbers.</summary>
    static abstract T Widen(sbyte* from);

    /// <summary>One number in every lane.</summary>
    static abstract T Fill(float x);

    /// <summary>One number in every lane, from memory.</summary>
    static abstract T Spread(float* from);

    static abstract T Add(T a, T b);

    static abstract T Subtract(T a, T b);

    static abstract T Multiply(T a, T b);

    static abstract T Divide(T a, T b);

    /// <summary>a·b + c, rounded once.</summary>
    static abstract T MultiplyAdd(T a, T b, T c);

    /// <summary>a &gt; b ? a : b.</summary>
    static abstract T Max(T a, T b);

    /// <summary>a &lt; b ? then : otherwise.</summary>
    static abstract T IfLess(T a, T b, T then, T otherwise);

    /// <summary>x·2^n, where the lowest bits of <paramref name="exponent"/> hold n, and neither side is subnormal.</summary>
    static abstract T Scale(T x, T exponent);

    /// <summary>The sum of the lanes of each of four vectors: the upper half is added to the lower until one lane is left.</summary>
    static abstract Vector128<float> Sums(T a, T b, T c, T d);

    /// <summary>The highest lane; any where one is NaN.</summary>
    static abstract float Highest(T x);
}

/// <summary>16 lanes: AVX-512.</summary>
internal readonly unsafe struct Lanes512 : ICpuLanes<Vector512<float>>
{
    public static bool IsSupported => Vector512.IsHardwareAccelerated && Avx512F.IsSupported;

    public static int Count => 16;

    public static bool ManyRegisters => true;

    public static Vector512<float> Indices => Vector512<float>.Indices;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* from) => Vector512.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> x, float* to) => x.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> WidenUpper(ushort* from) =>
        (Avx512F.ConvertToVector512Int32(Vector256.Load(from)) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Widen(sbyte* from) =>
        Avx512F.ConvertToVector512Single(Avx512F.ConvertToVector512Int32(Vector128.Load(from)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Fill(float x) => Vector512.Create(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Spread(float* from) => Vector512.Create(*from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> a, Vector512<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> a, Vector512<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
        Vector512.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> a, Vector512<float> b) => Avx512F.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> IfLess(Vector512<float> a, Vector512<float> b, Vector512<float> then, Vector512<float> otherwise) =>
        Vector512.ConditionalSelect(Vector512.LessThan(a, b), then, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scale(Vector512<float> x, Vector512<float> exponent) =>
        (x.AsInt32() + (exponent.AsInt32() << 23)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        // Two halves of two vectors are one vector, so all four are added at once.
        var ab = Avx512F.Shuffle4x128(a, b, 0b01_00_01_00) + Avx512F.Shuffle4x128(a, b, 0b11_10_11_10);
        var cd = Avx512F.Shuffle4x128(c, d, 0b01_00_01_00) + Avx512F.Shuffle4x128(c, d, 0b11_10_11_10);
        var all = Avx512F.Shuffle4x128(ab, cd, 0b10_00_10_00) + Avx512F.Shuffle4x128(ab, cd, 0b11_01_11_01);
        all += Avx512F.Shuffle(all, all, 0b01_00_11_10);
        all += Avx512F.Shuffle(all, all, 0b10_11_00_01);
        return Avx512F.PermuteVar16x32(all, Vector512.Create(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12)).GetLower().GetLower();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(Vector512<float> x) => Lanes256.Highest(Lanes256.Max(x.GetLower(), x.GetUpper()));
}

/// <summary>8 lanes: AVX2 with fused multiply-add.</summary>
internal readonly unsafe struct Lanes256 : ICpuLanes<Vector256<float>>
{
    public static bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public static int Count => 8;

    public static bool ManyRegisters => false;

    public static Vector256<float> Indices => Vector256<float>.Indices;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* from) => Vector256.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> x, float* to) => x.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> WidenUpper(ushort* from) => (Avx2.ConvertToVector256Int32(from) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Widen(sbyte* from) => Avx.ConvertToVector256Single(Avx2.ConvertToVector256Int32(from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Fill(float x) => Vector256.Create(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Spread(float* from) => Avx.BroadcastScalarToVector256(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> a, Vector256<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> a, Vector256<float> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> a, Vector256<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> a, Vector256<float> b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> a, Vector256<float> b, Vector256<float> c) =>
        Vector256.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> a, Vector256<float> b) => Avx.Max(a, b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> IfLess(Vector256<float> a, Vector256<float> b, Vector256<float> then, Vector256<float> otherwise) =>
        Vector256.ConditionalSelect(Vector256.LessThan(a, b), then, otherwise);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Scale(Vector256<float> x, Vector256<float> exponent) =>
        (x.AsInt32() + (exponent.AsInt32() << 23)).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d)
    {
        var (w, x) = (a.GetLower() + a.GetUpper(), b.GetLower() + b.GetUpper());
        var (y, z) = (c.GetLower() + c.GetUpper(), d.GetLower() + d.GetUpper());
        var (wx, yz) = (Sse.UnpackLow(w, x) + Sse.UnpackHigh(w, x), Sse.UnpackLow(y, z) + Sse.UnpackHigh(y, z));
        return Sse.MoveLowToHigh(wx, yz) + Sse.MoveHighToLow(yz, wx);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(Vector256<float> x)
    {
        var half = Sse.Max(x.GetLower(), x.GetUpper());
        half = Sse.Max(half, Sse.MoveHighToLow(half, half));
        return Sse.MaxScalar(half, Sse.Shuffle(half, half, 1)).ToScalar();
    }
}

/// <summary>One lane: any processor.</summary>
internal readonly unsafe struct Lanes1 : ICpuLanes<float>
{
    public static int Count => 1;

    public static bool ManyRegisters => false;

    public static float Indices => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(float* from) => *from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float x, float* to) => *to = x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float WidenUpper(ushort* from) => BitConverter.UInt32BitsToSingle((uint)*from << 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Widen(sbyte* from) => *from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Fill(float x) => x;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Spread(float* from) => *from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Add(float a, float b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Subtract(float a, float b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Multiply(float a, float b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Divide(float a, float b) => a / b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MultiplyAdd(float a, float b, float c) => MathF.FusedMultiplyAdd(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Max(float a, float b) => a > b ? a : b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float IfLess(float a, float b, float then, float otherwise) => a < b ? then : otherwise;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Scale(float x, float exponent) =>
        BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(x) + (BitConverter.SingleToInt32Bits(exponent) << 23));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<float> Sums(float a, float b, float c, float d) => Vector128.Create(a, b, c, d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Highest(float x) => x;
}
