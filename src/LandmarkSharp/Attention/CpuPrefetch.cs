using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// Asks for memory that is read once and soon, in the order in which it lies: rows that are taken four at a time are more than
/// the processor foresees by itself.
/// </summary>
internal static unsafe class CpuPrefetch
{
    private const int Line = 64;

    // Intel's fetch a line that is used once past their second cache, and can await few such lines: half as fast as into the second.
    private static readonly bool PastSecondCache = X86Base.IsSupported && X86Base.CpuId(0, 0) is not (_, 0x756e6547, 0x6c65746e, 0x49656e69);  // GenuineIntel

    /// <summary>Asks for so many bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Ask(byte* from, nint bytes)
    {
        if (!Sse.IsSupported) return;
        if (PastSecondCache)
            for (nint i = 0; i < bytes; i += Line) Sse.PrefetchNonTemporal(from + i);
        else
            for (nint i = 0; i < bytes; i += Line) Sse.Prefetch1(from + i);
    }
}
