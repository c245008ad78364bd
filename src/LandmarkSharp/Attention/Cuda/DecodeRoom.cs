using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// The memory that the decode kernels need between their launches. Layers follow each other on one stream, so a pass has one.
/// </summary>
internal sealed class DecodeRoom : IDisposable
{
    private readonly Tensor memory, arrived;

    /// <summary>Allocates on a device.</summary>
    /// <param name="shape">What it is for.</param>
    /// <param name="parts">Thread blocks of a unit's scan.</param>
    /// <param name="keysInShared">Whether the choice needs no room for its keys.</param>
    /// <param name="headDim">Width of a head, d.</param>
    /// <param name="device">The device.</param>
    public DecodeRoom(DecodeShape shape, int parts, bool keysInShared, int headDim, Device device)
    {
        var rows = (long)shape.Sequences * shape.Heads;
        var size = 0L;
        long Next(long count)
        {
            var at = size;
            size += (count + 3) / 4 * 4;        // 16 bytes are read at once
            return at;
        }
        var scores = Next(rows * shape.MostBlocks);
        var totals = Next(rows * parts * 2);
        var keys = Next(keysInShared ? 0 : (long)shape.Sequences * shape.Choices * shape.MostBlocks);
        var sums = Next(rows * shape.Slots * headDim);
        var logits = Next(rows * shape.Slots);
        memory = empty([size], ScalarType.Float32, device).DetachFromDisposeScope();
        arrived = zeros([shape.Sequences * shape.Heads / shape.ReadHeads], ScalarType.Int32, device).DetachFromDisposeScope();
        var start = (long)Aten.DataPointer(memory);
        (Scores, Totals, Keys) = (start + (4 * scores), start + (4 * totals), start + (4 * keys));
        (Sums, Logits, Arrived) = (start + (4 * sums), start + (4 * logits), Aten.DataPointer(arrived));
    }

    /// <summary>Address of [sequences, H, blocks]: scores of landmarks.</summary>
    public long Scores { get; }

    /// <summary>Address of [sequences, H, parts, 2]: statistics of their softmax.</summary>
    public long Totals { get; }

    /// <summary>Address of [sequences, choices, blocks]: scores that were shared, as integers.</summary>
    public long Keys { get; }

    /// <summary>Address of [sequences, H, slots, d]: what each block gives.</summary>
    public long Sums { get; }

    /// <summary>Address of [sequences, H, slots]: the gate's logits.</summary>
    public long Logits { get; }

    /// <summary>Address of [sequences, units]: zero before and after each reading.</summary>
    public long Arrived { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        memory.Dispose();
        arrived.Dispose();
    }
}
