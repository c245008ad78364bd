using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void ToColumns(float* from, nint row, int rows, int d, float factor, float* to)
    {
        for (var m = 0; m < rows; m++, from += row)
        {
            for (var i = 0; i < d; i++) to[(i * Lanes) + m] = from[i] * factor;
        }
        for (var i = 0; rows < Lanes && i < d; i++) new Span<float>(to + (i * Lanes) + rows, Lanes - rows).Clear();
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

/// <summary>A block as the queries of a tile see it.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly struct TileBlock
{
    /// <summary>Places a block before a tile.</summary>
    /// <param name="blocks">Where blocks lie.</param>
    /// <param name="b">The block, which begins at or before <paramref name="last"/>.</param>
    /// <param name="first">Position of the tile's first query.</param>
    /// <param name="last">Position of its last.</param>
    public TileBlock(RegularBlocks blocks, int b, int first, int last)
    {
        var end = blocks.End(b);
        Start = blocks.Start(b);
        Keys = Math.Min(end, last + 1) - Start;                 // what lies behind the tile no query sees
        Tokens = Math.Min(end - 1 - Start, Keys);
        Offset = Start - first;
        PastFrom = end <= last ? end - first : float.PositiveInfinity;
    }

    /// <summary>Position of its first key.</summary>
    public int Start { get; }

    /// <summary>Its keys that any query of the tile sees; the landmark, if it is among them, is the last.</summary>
    public int Keys { get; }

    /// <summary>Regular tokens among those: 0 for a block that is empty and in no gate.</summary>
    public int Tokens { get; }

    /// <summary>Its first key counted from the tile's first query: lane m sees token j when m ≥ j + this.</summary>
    public int Offset { get; }

    /// <summary>From this lane on the block is a past one, seen through its landmark; to the lanes before it is their own.</summary>
    public float PastFrom { get; }
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
