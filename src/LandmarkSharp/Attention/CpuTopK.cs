using System.Numerics;
using System.Runtime.Intrinsics;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention;

/// <summary>The k highest of each row on the CPU in one pass, the later of equals, NaN last, in ascending order of index.</summary>
internal static unsafe class CpuTopK
{
    /// <summary>Chooses in every row.</summary>
    /// <param name="scores">[R, T, m] float32.</param>
    /// <param name="k">1 to m.</param>
    /// <returns>[R, T, k] int64.</returns>
    public static Tensor Choose(Tensor scores, int k)
    {
        using var rows = scores.to(ScalarType.Float32).contiguous();
        var result = empty(scores.shape[0], scores.shape[1], k, dtype: ScalarType.Int64);
        var from = (float*)Aten.DataPointer(rows);
        var to = (long*)Aten.DataPointer(result);
        var (count, m) = ((int)(scores.shape[0] * scores.shape[1]), (int)scores.shape[2]);
        CpuParallel.For(count, m, row => Row(new(from + ((long)row * m), m), new(to + ((long)row * k), k)));
        GC.KeepAlive(rows);
        return result;
    }

    /// <summary>Chooses in one row.</summary>
    /// <param name="scores">[m].</param>
    /// <param name="chosen">[k], which is written.</param>
    public static void Row(ReadOnlySpan<float> scores, Span<long> chosen)
    {
        // A small sorted list of the best so far, worst first: almost every score fails the first comparison, with its neighbours.
        Span<float> best = stackalloc float[chosen.Length];
        best.Fill(float.NegativeInfinity);                                                  // so the first k scores all enter
        var b = 0;
        for (; b + Vector256<float>.Count <= scores.Length; b += Vector256<float>.Count)
        {
            // NaN is not as high as anything. Before the list is full of finite scores, each is looked at.
            var rivals = best[0] > float.NegativeInfinity
                ? Vector256.GreaterThanOrEqual(Vector256.Create(scores[b..]), Vector256.Create(best[0])).ExtractMostSignificantBits() : byte.MaxValue;
            for (; rivals != 0; rivals &= rivals - 1) Enter(scores, b + BitOperations.TrailingZeroCount(rivals), best, chosen);
        }
        for (; b < scores.Length; b++) Enter(scores, b, best, chosen);
        chosen.Sort();
    }

    /// <summary>Chooses in one row of blocks, the first ones in any order: of equal scores the later blocks.</summary>
    /// <param name="scores">[n].</param>
    /// <param name="blocks">The blocks of the first scores.</param>
    /// <param name="next">The block of the score after these; the others follow.</param>
    /// <param name="chosen">[k], which is written.</param>
    public static void Row(ReadOnlySpan<float> scores, ReadOnlySpan<int> blocks, int next, Span<long> chosen)
    {
        Row(scores, chosen);
        var floor = float.PositiveInfinity;
        foreach (var at in chosen) floor = Math.Min(floor, scores[(int)at]);
        long Block(int at, ReadOnlySpan<int> blocks) => at < blocks.Length ? blocks[at] : next + at - blocks.Length;
        var above = 0;
        foreach (var at in chosen)
            if (scores[(int)at] > floor) chosen[above++] = Block((int)at, blocks);
        var equals = chosen[above..];
        equals.Fill(-1);
        var i = 0;
        for (; i + Vector256<float>.Count <= scores.Length; i += Vector256<float>.Count)
            for (var bits = Vector256.Equals(Vector256.Create(scores[i..]), Vector256.Create(floor)).ExtractMostSignificantBits(); bits != 0; bits &= bits - 1)
                Enter(equals, Block(i + BitOperations.TrailingZeroCount(bits), blocks));
        for (; i < scores.Length; i++) if (scores[i] == floor) Enter(equals, Block(i, blocks));
        chosen.Sort();
    }

    /// <summary>Puts a score among the best there are if it is as high as the worst of them.</summary>
    private static void Enter(ReadOnlySpan<float> scores, int at, Span<float> best, Span<long> chosen)
    {
        var s = float.IsNaN(scores[at]) ? float.NegativeInfinity : scores[at];              // NaN would leave its place unfilled
        if (s < best[0]) return;
        var i = 1;
        for (; i < best.Length && s >= best[i]; i++)
            (best[i - 1], chosen[i - 1]) = (best[i], chosen[i]);
        (best[i - 1], chosen[i - 1]) = (s, at);
    }

    /// <summary>Puts a number among the highest there are, of which the first is the lowest.</summary>
    private static void Enter(Span<long> highest, long number)
    {
        if (number < highest[0]) return;
        var i = 1;
        for (; i < highest.Length && number > highest[i]; i++) highest[i - 1] = highest[i];
        highest[i - 1] = number;
    }
}
