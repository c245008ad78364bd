using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace LandmarkSharp.Training;

/// <summary>What a batch says of a model, as scalars on its device.</summary>
/// <param name="Loss">Σ weight · cross-entropy, over the step's whole weight.</param>
/// <param name="Text">Σ cross-entropy over tokens of plain text.</param>
/// <param name="Answers">Σ cross-entropy over tokens of answers.</param>
internal readonly record struct BatchLoss(Tensor Loss, Tensor Text, Tensor Answers);

/// <summary>
/// Cross-entropy of a decoder over batches whose rows have their landmarks at the same places: the layout of each phase is
/// made once.
/// </summary>
/// <param name="decoder">The model; its landmark configuration gives the block.</param>
internal sealed class LanguageModelLoss(Decoder decoder) : IDisposable
{
    private readonly Dictionary<(int Length, int First), (BlockLayout Layout, DenseAttention Attention)> phases = [];

    /// <summary>The loss of a batch.</summary>
    /// <param name="batch">Rows of one phase.</param>
    /// <param name="weight">What the weighted sum is divided by: the step's weight over all its batches.</param>
    public BatchLoss Of(PackedBatch batch, double weight)
    {
        using var scope = NewDisposeScope();
        var (cross, _) = CrossEntropy(batch, predictions: false);
        var sums = batch.Parts.to(decoder.Device, non_blocking: true).mv(cross);            // [3, R·T] · [R·T]
        return new BatchLoss(
            (sums[0] / weight).MoveToOuterDisposeScope(),
            sums[1].detach().MoveToOuterDisposeScope(),
            sums[2].detach().MoveToOuterDisposeScope());
    }

    /// <summary>Cross-entropy of each position, and the likeliest token there.</summary>
    /// <returns>Float32 [R·T], 0 where nothing is predicted, and int64 [R·T] or null.</returns>
    public (Tensor Cross, Tensor? Predicted) CrossEntropy(PackedBatch batch, bool predictions)
    {
        using var scope = NewDisposeScope();
        var (rows, length, first) = (batch.Batch.Rows, batch.Batch.Length, batch.Batch.FirstBlockLength);
        var ids = batch.Ids.to(decoder.Device, non_blocking: true).to(ScalarType.Int64);    // [2, R·T]
        var (inputs, targets) = (ids[0].view(rows, length), ids[1]);
        var hidden = decoder.Forward(inputs, Attention(length, first));
        var logits = decoder.Logits(hidden).flatten(0, 1).to(ScalarType.Float32);           // [R·T, V]
        var cross = F.cross_entropy(logits, targets, ignore_index: Batch.Ignored, reduction: nn.Reduction.None);
        return (cross.MoveToOuterDisposeScope(), predictions ? logits.argmax(-1).MoveToOuterDisposeScope() : null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (layout, attention) in phases.Values)
        {
            attention.Dispose();
            layout.Dispose();
        }
    }

    private DenseAttention Attention(int length, int first)
    {
        if (!phases.TryGetValue((length, first), out var phase))
        {
            var layout = BlockLayout.Regular(length, length, decoder.Config.Landmark!.BlockLength, first, decoder.Device);
            phases[(length, first)] = phase = (layout, new DenseAttention(decoder.Rotary, layout));
        }
        return phase.Attention;
    }
}
