using System.Runtime.InteropServices;

namespace LandmarkSharp.Generation;

/// <summary>A block that was read from memory.</summary>
/// <param name="Block">Its number in the text, from 0.</param>
/// <param name="Mass">Its gate P, the mean over the layers, query heads and generated tokens that are told of: its share of their attention.</param>
/// <param name="FirstToken">Its first regular token's number in the text.</param>
/// <param name="TokenCount">Its regular tokens, ℓ.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct BlockMass(long Block, double Mass, long FirstToken, int TokenCount);

/// <summary>Which blocks were read, and how much of the attention each had, added up over tokens, layers or heads.</summary>
/// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
public sealed class ReadSum(int blockTokens)
{
    private readonly Dictionary<long, double> mass = [];
    private double remembered;
    private long rows;

    /// <summary>Blocks read from memory, the most read first.</summary>
    public IReadOnlyList<BlockMass> Blocks =>
        [.. mass.OrderByDescending(b => b.Value).ThenBy(b => b.Key)
            .Select(b => new BlockMass(b.Key, b.Value / rows, b.Key * blockTokens, blockTokens))];

    /// <summary>The share of attention that stayed in the window: 1 less all blocks' masses.</summary>
    public double WindowMass => rows == 0 ? 1 : 1 - (remembered / rows);

    /// <summary>Adds up what was recorded of tokens: of one, or of a whole answer.</summary>
    /// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
    /// <param name="tokens">What they were read from. One that took two queries counts twice, as it does in <see cref="Session.Trace"/>.</param>
    /// <param name="layer">The layer alone that is told of; all when null.</param>
    /// <param name="head">The query head alone that is told of; all when null.</param>
    /// <exception cref="LandmarkException">There is no such layer or head.</exception>
    public static ReadSum Of(int blockTokens, IEnumerable<TokenReads> tokens, int? layer = null, int? head = null)
    {
        var sum = new ReadSum(blockTokens);
        foreach (var token in tokens)
            foreach (var heads in Picked(token.Layers, layer, "layer"))
                foreach (var read in Picked(heads, head, "query head"))
                {
                    sum.AddRows(token.Queries);
                    foreach (var (block, share) in read.Blocks.Zip(read.Masses)) sum.Add(block, (double)share * token.Queries);
                }
        return sum;
    }

    /// <summary>Counts queries, heads counted, whose attention is divided up.</summary>
    internal void AddRows(long count) => rows += count;

    /// <summary>Adds a block's gate of one of them.</summary>
    internal void Add(long block, double gate)
    {
        mass[block] = mass.GetValueOrDefault(block) + gate;
        remembered += gate;
    }

    private static IEnumerable<T> Picked<T>(IReadOnlyList<T> all, int? one, string what) =>
        one is not { } index ? all
        : index >= 0 && index < all.Count ? [all[index]]
        : throw new LandmarkException($"There is no {what} {index}; they are numbered from 0 to {all.Count - 1}.");
}
