using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>What a batch says of a model, as scalars on its device.</summary>
/// <param name="Loss">Σ weight · cross-entropy, over the step's whole weight.</param>
/// <param name="Text">Σ cross-entropy over tokens of plain text.</param>
/// <param name="Answers">Σ cross-entropy over tokens of answers.</param>
/// <param name="Gradients">What the loss's backward pass begins with; null where no gradients are asked for.</param>
internal readonly record struct BatchLoss(Tensor Loss, Tensor Text, Tensor Answers, LossGradients? Gradients);

/// <summary>
/// Cross-entropy of a decoder over batches whose rows have their landmarks at the same places: the layout of each phase is
/// made once, and that of documents or positions of a batch's own for each.
/// </summary>
/// <param name="decoder">The model; its landmark configuration gives the block, and without one attention is causal or a Transformer-XL's.</param>
/// <param name="gateDropout">The probability of a gate to be dropped in training.</param>
/// <param name="recompute">Whether layers are computed again in the backward pass.</param>
/// <param name="controlled">
/// The probability of a block to be controlled by the context-miss token of a model that has one; unless a recipe says another, the paper's,
/// so that validations compare.
/// </param>
/// <param name="dropout">The probability of an element that is added to the residual stream to be dropped in training.</param>
internal sealed class LanguageModelLoss(
    Decoder decoder, double gateDropout = 0, bool recompute = false, double controlled = 0.5, double dropout = 0) : IDisposable
{
    private readonly Dictionary<(int Length, int First), Phase> phases = [];
    private Phase? own;     // of the batch before: its backward pass may need it, and
    private Tensor? marks;  // which blocks were controlled

    /// <summary>The loss of a batch, in training.</summary>
    /// <param name="batch">Rows of one phase.</param>
    /// <param name="weight">What the weighted sum is divided by: the step's weight over all its batches, a scalar on any device.</param>
    public BatchLoss Of(PackedBatch batch, Tensor weight)
    {
        using var scope = NewDisposeScope();
        var (hidden, targets) = Hidden(
            batch,
            gateDropout > 0 ? new SeededDropout(gateDropout, batch.Batch.Seed) : null,
            dropout > 0 ? new SeededDropout(dropout, batch.Batch.Seed) : null);
        weight = weight.to(decoder.Device);
        var parts = batch.Parts.to(decoder.Device, non_blocking: true);                     // [3, R·T]
        var (cross, gradients) = hidden.requires_grad
            ? OutputLoss.Differentiate(decoder, hidden, targets, parts[0] / weight)
            : (OutputLoss.Evaluate(decoder, hidden, targets, predictions: false).Cross, null);
        var sums = parts.mv(cross);                                                         // [3]
        return new BatchLoss(
            (sums[0] / weight).MoveToOuterDisposeScope(),
            sums[1].MoveToOuterDisposeScope(),
            sums[2].MoveToOuterDisposeScope(),
            gradients?.MoveToOuterDisposeScope());
    }

    /// <summary>Cross-entropy of each position, and the likeliest token there.</summary>
    /// <returns>Float32 [R·T], 0 where nothing is predicted, and int64 [R·T] or null; without gradients.</returns>
    public (Tensor Cross, Tensor? Predicted) CrossEntropy(PackedBatch batch, bool predictions)
    {
        using var scope = NewDisposeScope();
        var (hidden, targets) = Hidden(batch, null, null);
        var (cross, predicted) = OutputLoss.Evaluate(decoder, hidden, targets, predictions);
        return (cross.MoveToOuterDisposeScope(), predicted?.MoveToOuterDisposeScope());
    }

    /// <summary>What the layers give, [R·T, D], and what is to be predicted from it, int64 [R·T].</summary>
    private (Tensor Hidden, Tensor Targets) Hidden(PackedBatch batch, SeededDropout? gates, SeededDropout? added)
    {
        using var scope = NewDisposeScope();
        var (rows, length) = (batch.Batch.Rows, batch.Batch.Length);
        var ids = batch.Ids.to(decoder.Device, non_blocking: true).to(ScalarType.Int64);    // [2, R·T]
        var (inputs, targets) = (ids[0].view(rows, length), ids[1]);
        var attention = Of(batch.Batch).Attention;
        var miss = decoder.Config.Landmark?.MissId;
        if (attention is DenseAttention landmarks)
        {
            landmarks.Dropout = gates;
            landmarks.Controlled = miss is null ? null : Controlled(batch.Batch, landmarks.Blocks);
        }
        // The context-miss token stands before each row, and its place predicts nothing.
        if (miss is { } token) inputs = cat([full([rows, 1], token, ScalarType.Int64, decoder.Device), inputs], 1);
        var hidden = decoder.Forward(inputs, attention, recompute, added).narrow(1, miss is null ? 0 : 1, length).flatten(0, 1);
        return (hidden.MoveToOuterDisposeScope(), targets.MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        own?.Dispose();
        marks?.Dispose();
        foreach (var phase in phases.Values) phase.Dispose();
    }

    /// <summary>Which blocks are controlled, drawn anew for each batch and row, and the same in every layer: [R, N] bool.</summary>
    private Tensor Controlled(Batch batch, long blocks)
    {
        marks?.Dispose();
        var random = new CounterRandom(batch.Seed);
        bool[] drawn = [.. Enumerable.Range(0, batch.Rows * (int)blocks).Select(_ => random.Chance(controlled))];
        return marks = tensor(drawn, device: decoder.Device).view(batch.Rows, blocks).DetachFromDisposeScope();
    }

    private Phase Of(Batch batch)
    {
        var (length, first, device) = (batch.Length, batch.FirstBlockLength, decoder.Device);
        if (batch.Documents is null && batch.Positions is null)
        {
            if (!phases.TryGetValue((length, first), out var phase))
            {
                phases[(length, first)] = phase = decoder.Config.Landmark is { BlockLength: var regular }
                    ? new Phase(decoder, BlockLayout.Regular(length, length, regular, first, device), null)
                    : new Phase(decoder, null, null);
            }
            return phase;
        }
        own?.Dispose();
        var block = decoder.Config.Landmark!.BlockLength;
        var layout = batch.Documents is { } documents
            ? BlockLayout.Packed(length, length, block, documents, device)
            : BlockLayout.Regular(length, length, block, first, device);
        var positions = batch.Positions is { } p ? tensor(p, ScalarType.Int64, device).view(batch.Rows, length).DetachFromDisposeScope() : null;
        return own = new Phase(decoder, layout, positions);
    }

    /// <summary>Attention over windows whose blocks, documents and positions lie alike.</summary>
    private sealed class Phase(Decoder decoder, BlockLayout? layout, Tensor? positions) : IDisposable
    {
        public IAttention Attention { get; } = layout is not null ? new DenseAttention(decoder.Rotary, layout, positions)
            : decoder.Config.Recurrence is { } recurrence ? new RecurrentAttention(decoder.Rotary, recurrence)
            : new CausalAttention(decoder.Rotary);

        public void Dispose()
        {
            ((IDisposable)Attention).Dispose();
            positions?.Dispose();
            layout?.Dispose();
        }
    }
}
