using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>
/// e^x = 2^n · e^r with n = round(x / ln 2) and |r| ≤ ln 2 / 2, where Taylor's series up to r⁷ is exact to 5·10⁻⁹.
/// </summary>
internal static class CpuExponential<TLanes, T>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    private const float Lowest = -86;                   // e^x is 0 below: 2^n would soon be subnormal, below 1.18·10⁻³⁸
    private const float Rounder = 12582912;             // 1.5·2²³: a sum with it is rounded to an integer, held by its lowest bits
    private const float PerLog2 = 1.44269504f;
    private const float Log2 = 0.693147182f, Log2Rest = -1.90465421e-9f;

    /// <summary>e^x for x ≤ 1 or so, as softmax has; 0 for −∞, and NaN for NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Exp(T x)
    {
        var shifted = TLanes.MultiplyAdd(x, TLanes.Fill(PerLog2), TLanes.Fill(Rounder));
        var n = TLanes.Subtract(shifted, TLanes.Fill(Rounder));
        var r = TLanes.MultiplyAdd(n, TLanes.Fill(-Log2), x);
        r = TLanes.MultiplyAdd(n, TLanes.Fill(-Log2Rest), r);
        var sum = TLanes.MultiplyAdd(r, TLanes.Fill(1f / 5040), TLanes.Fill(1f / 720));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(1f / 120));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(1f / 24));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(1f / 6));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(0.5f));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(1));
        sum = TLanes.MultiplyAdd(sum, r, TLanes.Fill(1));
        return TLanes.IfLess(x, TLanes.Fill(Lowest), TLanes.Fill(0), TLanes.Scale(sum, shifted));
    }
}
