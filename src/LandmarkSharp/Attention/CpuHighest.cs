using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace LandmarkSharp.Attention;

/// <summary>
/// Many of the highest of many numbers: the number that just so many exceed is sought by halves, for counting in vectors is faster than
/// any sorting. (A few of them are <see cref="CpuTopK"/>'s.)
/// </summary>
internal static unsafe class CpuHighest
{
    private const int Even = 16;                        // turns
    private const int Few = 32;                         // times as many numbers as are wanted: most can be passed over
    private const int Columns = 256, MostOfFew = 512;

    /// <summary>Finds the places of the highest, ascending; of equals the first.</summary>
    /// <param name="numbers">[count], no NaN.</param>
    /// <param name="count">Numbers.</param>
    /// <param name="places">[wanted], which is written.</param>
    /// <param name="wanted">1 to count.</param>
    public static void Places(float* numbers, int count, int* places, int wanted)
    {
        var row = new ReadOnlySpan<float>(numbers, count);
        if (wanted <= MostOfFew && count / Few >= Math.Max(wanted, Columns / 8) && AmongFew(row, places, wanted)) return;
        // More than wanted exceed the lower end, fewer the upper one.
        int low = Ordered(TensorPrimitives.Min(row)) - 1, high = Ordered(TensorPrimitives.Max(row)), above = 0;
        for (var turn = 0; above != wanted && high - (long)low > 1; turn++)
        {
            var middle = (int)(((long)low + high) >> 1);
            // Numbers lie evenly rather than their exponents do; where that does not end it, as among equals, halves of what there is do.
            if (turn < Even && Ordered((Number(low) / 2) + (Number(high) / 2)) is var even && even > low && even < high) middle = even;
            var exceed = Above(row, Number(middle));
            if (exceed > wanted) low = middle;
            else (high, above) = (middle, exceed);
        }
        var floor = Number(high);
        var (n, i, equals) = (0, 0, wanted - above);
        void Take(int at)
        {
            if (numbers[at] > floor || equals-- > 0) places[n++] = at;
        }
        for (var least = Vector256.Create(floor); n < wanted && i + Vector256<float>.Count <= count; i += Vector256<float>.Count)
            for (var bits = Vector256.GreaterThanOrEqual(Vector256.Load(numbers + i), least).ExtractMostSignificantBits(); bits != 0; bits &= bits - 1)
                Take(i + BitOperations.TrailingZeroCount(bits));
        for (; n < wanted; i++) if (numbers[i] >= floor) Take(i);
    }

    /// <summary>
    /// Finds them in two passes where they are few. So many columns' maxima are as high as the lowest of these, and so are hardly more
    /// numbers, of which they are chosen; not done where more are, as among equals.
    /// </summary>
    private static bool AmongFew(ReadOnlySpan<float> row, int* places, int wanted)
    {
        var width = Vector256<float>.Count;
        var columns = Math.Max(Columns, (2 * wanted + width - 1) / width * width);
        var maxima = stackalloc float[columns];
        new Span<float>(maxima, columns).Fill(float.NegativeInfinity);
        for (var rest = row; !rest.IsEmpty; rest = rest[Math.Min(columns, rest.Length)..])
        {
            var some = rest[..Math.Min(columns, rest.Length)];
            var most = new Span<float>(maxima, some.Length);
            TensorPrimitives.Max(most, some, most);
        }
        var found = stackalloc int[columns];
        Places(maxima, columns, found, wanted);
        var floor = float.PositiveInfinity;
        for (var i = 0; i < wanted; i++) floor = Math.Min(floor, maxima[found[i]]);
        var candidates = stackalloc float[columns];
        int at = 0, n = 0;
        for (var least = Vector256.Create(floor); at + width <= row.Length; at += width)
        {
            var bits = Vector256.GreaterThanOrEqual(Vector256.Create(row[at..]), least).ExtractMostSignificantBits();
            if (n + BitOperations.PopCount(bits) > columns) return false;
            for (; bits != 0; bits &= bits - 1) found[n++] = at + BitOperations.TrailingZeroCount(bits);
        }
        for (; at < row.Length; at++)
        {
            if (!(row[at] >= floor)) continue;
            if (n == columns) return false;
            found[n++] = at;
        }
        for (var i = 0; i < n; i++) candidates[i] = row[found[i]];
        Places(candidates, n, places, wanted);
        for (var i = 0; i < wanted; i++) places[i] = found[places[i]];
        return true;
    }

    private static int Above(ReadOnlySpan<float> row, float floor)
    {
        var (counts, i) = (Vector<int>.Zero, 0);
        for (var least = new Vector<float>(floor); i + Vector<float>.Count <= row.Length; i += Vector<float>.Count)
            counts -= Vector.GreaterThan(new Vector<float>(row[i..]), least);
        var count = Vector.Sum(counts);
        for (; i < row.Length; i++) if (row[i] > floor) count++;
        return count;
    }

    /// <summary>A whole number for each number, in the same order.</summary>
    private static int Ordered(float x) => BitConverter.SingleToInt32Bits(x) is var bits && bits < 0 ? bits ^ int.MaxValue : bits;

    private static float Number(int ordered) => BitConverter.Int32BitsToSingle(ordered < 0 ? ordered ^ int.MaxValue : ordered);
}
