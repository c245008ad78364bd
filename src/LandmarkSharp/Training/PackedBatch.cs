using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>
/// A batch as tensors, made where the batch is made. Pinned memory is copied to a GPU without waiting for what the GPU does.
/// </summary>
internal sealed class PackedBatch : IDisposable
{
    /// <summary>Packs a batch, with its count and weight.</summary>
    /// <param name="batch">The batch; its arrays are copied.</param>
    /// <param name="pinned">Whether the tensors are to go to a GPU.</param>
    public PackedBatch(Batch batch, bool pinned)
    {
        Batch = batch;
        var count = batch.Rows * batch.Length;
        var ids = new int[2 * count];
        batch.Inputs.CopyTo(ids, 0);
        batch.Targets.CopyTo(ids, count);
        var parts = new float[3 * count];
        batch.Weights.CopyTo(parts, 0);
        for (var i = 0; i < count; i++)
        {
            Weight += batch.Weights[i];
            if (batch.Answers[i])
            {
                AnswerTokens++;
                parts[(2 * count) + i] = 1;
            }
            else if (batch.Targets[i] != Batch.Ignored && batch.Families[i / batch.Length] is null)
            {
                TextTokens++;
                parts[count + i] = 1;
            }
        }
        using var scope = NewDisposeScope();
        var (packedIds, packedParts) = (tensor(ids, ScalarType.Int32).view(2, count), tensor(parts, ScalarType.Float32).view(3, count));
        Ids = (pinned ? packedIds.pin_memory() : packedIds).DetachFromDisposeScope();
        Parts = (pinned ? packedParts.pin_memory() : packedParts).DetachFromDisposeScope();
    }

    /// <summary>What was packed.</summary>
    public Batch Batch { get; }

    /// <summary>Inputs and targets, int32 [2, R·T].</summary>
    public Tensor Ids { get; }

    /// <summary>The weight of each target, 1 where it is plain text, 1 where it is an answer: float32 [3, R·T].</summary>
    public Tensor Parts { get; }

    /// <summary>The whole weight of the targets.</summary>
    public double Weight { get; }

    /// <summary>Targets that are plain text, of no task.</summary>
    public int TextTokens { get; }

    /// <summary>Targets that belong to answers.</summary>
    public int AnswerTokens { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Ids.Dispose();
        Parts.Dispose();
    }
}
