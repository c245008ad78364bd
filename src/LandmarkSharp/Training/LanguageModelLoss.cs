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
    public BatchLoss Of(Batch batch, double weight)
    {
        using var scope = NewDisposeScope();
        var (cross, _) = CrossEntropy(batch, predictions: false);
        var parts = Floats(batch.Weights, batch.TextMask(), batch.AnswerMask());            // [3, N]
        var sums = (parts * cross.unsqueeze(0)).sum(1);
        return new BatchLoss(
            (sums[0] / weight).MoveToOuterDisposeScope(), sums[1].detach().MoveToOuterDisposeScope(), sums[2].detach().MoveToOuterDisposeScope());
    }

    /// <summary>Cross-entropy of each position, and the likeliest token there.</summary>
    /// <returns>Float32 [R·T], 0 where nothing is predicted, and int64 [R·T] or null.</returns>
    public (Tensor Cross, Tensor? Predicted) CrossEntropy(Batch batch, bool predictions)
    {
        using var scope = NewDisposeScope();
        var ids = Ids(batch.Inputs).view(batch.Rows, batch.Length);
        var targets = Ids(batch.Targets);
        var hidden = decoder.Forward(ids, Attention(batch.Length, batch.FirstBlockLength));
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

    /// <summary>Ids travel as int32, half the bytes.</summary>
    private Tensor Ids(int[] values) => tensor(values, ScalarType.Int32).to(decoder.Device).to(ScalarType.Int64);

    private Tensor Floats(params float[][] rows) => tensor(rows.SelectMany(r => r).ToArray(), ScalarType.Float32).view(rows.Length, -1).to(decoder.Device);
}
