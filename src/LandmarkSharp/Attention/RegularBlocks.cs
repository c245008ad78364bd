using System.Runtime.InteropServices;

namespace LandmarkSharp.Attention;

/// <summary>Blocks at regular places: what <see cref="BlockLayout.Regular"/> was asked for, in numbers instead of masks.</summary>
/// <param name="Keys">Positions in the sequence, S.</param>
/// <param name="Queries">Queries, T: the last T positions.</param>
/// <param name="Length">Positions of a block, its landmark counted, L.</param>
/// <param name="First">Positions of the first block, 1 to L.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct RegularBlocks(int Keys, int Queries, int Length, int First)
{
    /// <summary>The longest block there is.</summary>
    public int Longest => Math.Min(Keys, Length);

    /// <summary>The block that a position is in.</summary>
    public int Of(int position) => (position + Length - First) / Length;

    /// <summary>Where block b begins.</summary>
    public int Start(int b) => Math.Max(0, First + ((b - 1) * Length));

    /// <summary>Behind the place of block b's landmark, which may lie behind the last key.</summary>
    public int End(int b) => First + (b * Length);
}
