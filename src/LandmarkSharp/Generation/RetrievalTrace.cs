using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>Which blocks an answer was read from, and how much of the attention each had.</summary>
/// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
/// <param name="keepBlocks">Blocks before the window that were kept; null for all.</param>
public sealed class RetrievalTrace(int blockTokens, int? keepBlocks = null)
{
    private readonly ReadSum sum = new(blockTokens);
    private long retrievals, dropped;

    /// <summary>Blocks read from memory, the most read first.</summary>
    public IReadOnlyList<BlockMass> Blocks => sum.Blocks;

    /// <summary>Blocks before the window that could be read, the last ones; null for all.</summary>
    public int? KeepBlocks => keepBlocks;

    /// <summary>Blocks the text has, the unfinished one counted.</summary>
    public long BlockCount { get; internal set; }

    /// <summary>The share of attention that stayed in the window: 1 less all blocks' masses.</summary>
    public double WindowMass => sum.WindowMass;

    /// <summary>
    /// Of a model with a context-miss token, the share of retrievals that it dropped, of one for each token, head and layer that has
    /// blocks before its window; null for a model without, and where there were none.
    /// </summary>
    public double? DroppedShare => retrievals == 0 ? null : dropped / (double)retrievals;

    /// <summary>Told what each layer reads, where the reads of single tokens are asked for.</summary>
    internal ReadRecorder? Recorder { get; init; }

    /// <summary>Adds what one layer read for some tokens.</summary>
    internal void Add(int layer, Retrieved read)
    {
        Recorder?.Add(layer, read);
        sum.AddRows(read.Output.shape[0] * read.Output.shape[1]);
        if (read.Chosen is null) return;
        if (read.Dropped is { } without) (retrievals, dropped) = (retrievals + read.Retrievals, dropped + without);
        using var scope = NewDisposeScope();
        var chosen = read.Chosen.contiguous().cpu().data<long>();
        var gates = read.Gates!.to(ScalarType.Float32).contiguous().cpu().data<float>();
        foreach (var (block, gate) in chosen.Zip(gates))
            if (block >= 0) sum.Add(block, gate);       // fewer blocks than other queries had, or none retrieved
    }
}
