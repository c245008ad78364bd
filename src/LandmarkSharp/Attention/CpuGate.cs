using System.Runtime.CompilerServices;

namespace LandmarkSharp.Attention;

/// <summary>The gate of a tile's queries, carried along from block to block.</summary>
internal static unsafe class CpuGate<TLanes, T>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    /// <summary>
    /// Turns a block's scores into exponentials, and adds the block to the gate. A past block enters with its landmark's score
    /// and the mean of its values, the own block with the scores of its tokens.
    /// </summary>
    /// <param name="scores">[keys, 64].</param>
    /// <param name="lanes">Lanes in use.</param>
    /// <param name="block">The block.</param>
    /// <param name="highest">[64]: the highest logit so far.</param>
    /// <param name="sums">[64]: the gate's sum so far, less the highest logit.</param>
    /// <param name="factors">[2, 64]: what the result so far is multiplied by, and the block's sum of values.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* scores, int lanes, in TileBlock block, float* highest, float* sums, float* factors)
    {
        for (var lane = 0; lane < lanes; lane += TLanes.Count)
        {
            var s = scores + lane;
            var numbers = TLanes.Add(TLanes.Fill(lane), TLanes.Indices);
            var inner = CpuTile<TLanes, T>.Highest(s, numbers, block);
            var finite = CpuTile<TLanes, T>.Finite(inner);
            var sum = TLanes.Fill(0);
            for (var j = 0; j < block.Tokens; j++)
            {
                var at = s + (j * CpuTile.Lanes);
                var e = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(TLanes.Load(at), finite));
                sum = TLanes.Add(sum, e);
                TLanes.Store(e, at);
            }

            var past = TLanes.Fill(block.PastFrom);
            var logit = TLanes.IfLess(numbers, past, inner, TLanes.Load(s + (block.Tokens * CpuTile.Lanes)));
            var before = TLanes.Load(highest + lane);
            var now = TLanes.Max(before, logit);
            finite = CpuTile<TLanes, T>.Finite(now);
            var keep = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(before, finite));
            var mass = CpuExponential<TLanes, T>.Exp(TLanes.Subtract(logit, finite));
            var added = TLanes.IfLess(numbers, past, TLanes.Multiply(mass, sum), mass);
            TLanes.Store(now, highest + lane);
            TLanes.Store(TLanes.MultiplyAdd(TLanes.Load(sums + lane), keep, added), sums + lane);
            TLanes.Store(keep, factors + lane);
            TLanes.Store(TLanes.IfLess(numbers, past, mass, TLanes.Divide(mass, sum)), factors + CpuTile.Lanes + lane);
        }
    }
}
