using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LandmarkSharp.Attention;

/// <summary>
/// Queries that are worked on together, a lane for each: scores of one block stand as [keys, <see cref="Lanes"/>], so that a
/// softmax runs down the rows and no vector is ever summed across. Blocks of any length fit, for a key is a row.
/// </summary>
internal static unsafe class CpuTile
{
    /// <summary>Queries of a tile.</summary>
    public const int Lanes = 64;

    /// <summary>What products take lanes by.</summary>
    public const int LaneStep = 32;

    /// <summary>Numbers with a column for each query.</summary>
    public static Matrix Columns(float* data) => new(data, Lanes);

    /// <summary>Room for so many lanes or dimensions.</summary>
    public static int Padded(int count) => (count + LaneStep - 1) / LaneStep * LaneStep;

    /// <summary>Rows of a head as columns: to[i][m] = from[m][i]·factor, zeros in lanes without a row.</summary>
    /// <param name="from">[rows, d].</param>
    /// <param name="row">From one row to the next.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="d">Width.</param>
    /// <param name="factor">What each number is multiplied by.</param>
    /// <param name="to">[d, <see cref="Lanes"/>].</param>
    public static void ToColumns(float* from, nint row, int rows, int d, float factor, float* to)
    {
        Transpose(from, row, rows, d, factor, to, Lanes);
        for (var i = 0; rows < Lanes && i < d; i++) new Span<float>(to + (i * Lanes) + rows, Lanes - rows).Clear();
    }

    /// <summary>to[j][i] = from[i][j]·factor, four by four where there are so many.</summary>
    /// <param name="from">[rows, columns].</param>
    /// <param name="fromRow">From one of its rows to the next.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="columns">Columns there are.</param>
    /// <param name="factor">What each number is multiplied by.</param>
    /// <param name="to">[columns, rows].</param>
    /// <param name="toRow">From one of its rows to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(float* from, nint fromRow, int rows, int columns, float factor, float* to, nint toRow)
    {
        var (fullRows, fullColumns) = Sse.IsSupported ? (rows & ~3, columns & ~3) : (0, 0);
        var by = Vector128.Create(factor);
        for (var i = 0; i < fullRows; i += 4)
        {
            for (var j = 0; j < fullColumns; j += 4)
            {
                float* x = from + (i * fromRow) + j, y = to + (j * toRow) + i;
                Vector128<float> a = Vector128.Load(x), b = Vector128.Load(x + fromRow);
                Vector128<float> c = Vector128.Load(x + (2 * fromRow)), d = Vector128.Load(x + (3 * fromRow));
                Vector128<float> ab = Sse.UnpackLow(a, b), cd = Sse.UnpackLow(c, d);
                (Sse.MoveLowToHigh(ab, cd) * by).Store(y);
                (Sse.MoveHighToLow(cd, ab) * by).Store(y + toRow);
                (ab, cd) = (Sse.UnpackHigh(a, b), Sse.UnpackHigh(c, d));
                (Sse.MoveLowToHigh(ab, cd) * by).Store(y + (2 * toRow));
                (Sse.MoveHighToLow(cd, ab) * by).Store(y + (3 * toRow));
            }
        }
        for (var i = 0; i < rows; i++)
        {
            for (var j = i < fullRows ? fullColumns : 0; j < columns; j++)
                to[(j * toRow) + i] = from[(i * fromRow) + j] * factor;
        }
    }

    /// <summary>Rows of a head one after another, filled up with zeros: to[m][i] = from[m][i]·factor.</summary>
    /// <param name="from">[rows, d].</param>
    /// <param name="row">From one row to the next.</param>
    /// <param name="rows">Rows there are.</param>
    /// <param name="d">Width.</param>
    /// <param name="factor">What each number is multiplied by.</param>
    /// <param name="to">[rows, Padded(d)].</param>
    public static void ToRows(float* from, nint row, int rows, int d, float factor, float* to)
    {
        for (var m = 0; m < rows; m++, from += row, to += Padded(d))
        {
            TensorPrimitives.Multiply(new ReadOnlySpan<float>(from, d), factor, new Span<float>(to, d));
            new Span<float>(to + d, Padded(d) - d).Clear();
        }
    }
}

/// <summary>What forward and backward both do with scores, a vector of lanes at a time.</summary>
internal static unsafe class CpuTile<TLanes, T>
    where TLanes : struct, ICpuLanes<T>
    where T : struct
{
    /// <summary>Hides from each lane the tokens that come after it, and finds the highest score that is left.</summary>
    /// <param name="scores">[tokens, <see cref="CpuTile.Lanes"/>], from the vector's first lane on.</param>
    /// <param name="lanes">The numbers of the lanes.</param>
    /// <param name="block">The block.</param>
    /// <returns>−∞ for a lane that sees none.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Highest(float* scores, T lanes, in TileBlock block)
    {
        var nothing = TLanes.Fill(float.NegativeInfinity);
        for (var j = Math.Max(0, 1 - block.Offset); j < block.Tokens; j++)
        {
            var s = scores + (j * CpuTile.Lanes);
            TLanes.Store(TLanes.IfLess(lanes, TLanes.Fill(j + block.Offset), nothing, TLanes.Load(s)), s);
        }
        var highest = nothing;
        for (var j = 0; j < block.Tokens; j++) highest = TLanes.Max(highest, TLanes.Load(scores + (j * CpuTile.Lanes)));
        return highest;
    }

    /// <summary>A maximum that may be subtracted: 0 where there is none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Finite(T highest) => TLanes.IfLess(highest, TLanes.Fill(float.MinValue), TLanes.Fill(0), highest);
}
