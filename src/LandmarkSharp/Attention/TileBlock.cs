using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

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
