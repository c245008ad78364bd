using System.Text.Json.Serialization;

namespace LandmarkSharp.Generation;

/// <summary>What one generated token was read from, layer by layer and query head by query head.</summary>
/// <param name="Queries">
/// Positions whose attention chose the token: one, or two where the token before it completed a block and its landmark was computed
/// besides; none where an earlier answer had ended before the token, with the same one. Masses are means over them.
/// </param>
/// <param name="WindowBlock">The window's first block: those before it could be retrieved.</param>
/// <param name="Layers">The reads, [layer][query head].</param>
public sealed record TokenReads(int Queries, long WindowBlock, IReadOnlyList<IReadOnlyList<HeadReads>> Layers)
{
    /// <summary>
    /// How the shares of blocks are divided among their tokens, ℓ for each block: means over layers and query heads, so that those of a block
    /// add up to its <see cref="BlockMass.Mass"/> for this token. Null unless <see cref="GenerationOptions.RecordTokenShares"/> asks for it.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyDictionary<long, float[]>? TokenShares { get; init; }

    /// <summary>The blocks that any layer and head read, in the order of the text.</summary>
    [JsonIgnore]
    public IEnumerable<long> Blocks => Layers.SelectMany(heads => heads).SelectMany(read => read.Blocks).Distinct().Order();
}

/// <summary>What a query head of one layer read.</summary>
/// <param name="Blocks">The blocks retrieved, by their numbers, in the order of the text.</param>
/// <param name="Masses">Their gates P: each one's share of the head's attention.</param>
public sealed record HeadReads(IReadOnlyList<long> Blocks, IReadOnlyList<float> Masses)
{
    /// <summary>The share that stayed in the window. Where a context-miss token dropped the retrieval, its share is in it.</summary>
    public float Window => (float)(1 - Masses.Sum(m => (double)m));
}
