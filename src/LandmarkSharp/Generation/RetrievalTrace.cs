using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>A block that was read from memory.</summary>
/// <param name="Block">Its number in the text, from 0.</param>
/// <param name="Mass">Its gate P, the mean over layers, query heads and generated tokens: its share of all attention.</param>
/// <param name="FirstToken">Its first regular token's number in the text.</param>
/// <param name="TokenCount">Its regular tokens, ℓ.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct BlockMass(long Block, double Mass, long FirstToken, int TokenCount);

/// <summary>Which blocks an answer was read from, and how much of the attention each had.</summary>
/// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
/// <param name="keepBlocks">Blocks before the window that were kept; null for all.</param>
public sealed class RetrievalTrace(int blockTokens, int? keepBlocks = null)
{
    private readonly Dictionary<long, double> mass = [];
    private double remembered;
    private long rows, retrievals, dropped;

    /// <summary>Blocks read from memory, the most read first.</summary>
    public IReadOnlyList<BlockMass> Blocks =>
        [.. mass.OrderByDescending(b => b.Value).ThenBy(b => b.Key)
            .Select(b => new BlockMass(b.Key, b.Value / rows, b.Key * blockTokens, blockTokens))];

    /// <summary>Blocks before the window that could be read, the last ones; null for all.</summary>
    public int? KeepBlocks => keepBlocks;

    /// <summary>Blocks the text has, the unfinished one counted.</summary>
    public long BlockCount { get; internal set; }

    /// <summary>The share of attention that stayed in the window: 1 less all blocks' masses.</summary>
    public double WindowMass => rows == 0 ? 1 : 1 - (remembered / rows);

    /// <summary>
    /// Of a model with a context-miss token, the share of retrievals that it dropped, of one for each token, head and layer that has
    /// blocks before its window; null for a model without, and where there were none.
    /// </summary>
    public double? DroppedShare => retrievals == 0 ? null : dropped / (double)retrievals;

    /// <summary>Adds what one layer read for some tokens.</summary>
    internal void Add(Retrieved read)
    {
        var queries = read.Output.shape[0] * read.Output.shape[1];
        rows += queries;
        if (read.Chosen is null) return;
        if (read.Dropped is { } without) (retrievals, dropped) = (retrievals + queries, dropped + without);
        using var scope = NewDisposeScope();
        var chosen = read.Chosen.contiguous().cpu().data<long>();
        var gates = read.Gates!.to(ScalarType.Float32).contiguous().cpu().data<float>();
        foreach (var (block, gate) in chosen.Zip(gates))
        {
            if (block < 0) continue;        // fewer blocks than other queries had, or none retrieved
            mass[block] = mass.GetValueOrDefault(block) + gate;
            remembered += gate;
        }
    }
}
