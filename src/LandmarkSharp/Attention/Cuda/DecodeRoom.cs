using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Attention.Cuda;

/// <summary>
/// The memory that the decode kernels need between their launches. Layers follow each other on one stream, so a pass has one.
/// </summary>
internal sealed class DecodeRoom : IDisposable
{
    private readonly Tensor memory, counters;

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
        var masses = Next(rows);
        memory = empty([size], ScalarType.Float32, device).DetachFromDisposeScope();
        var units = shape.Sequences * shape.Heads / shape.ReadHeads;
        counters = zeros([units + 1], ScalarType.Int32, device).DetachFromDisposeScope();
        Dropped = counters.narrow(0, units, 1).DetachFromDisposeScope();
        var start = (long)Aten.DataPointer(memory);
        (Scores, Totals, Keys) = (start + (4 * scores), start + (4 * totals), start + (4 * keys));
        (Sums, Logits, Masses, Arrived) = (start + (4 * sums), start + (4 * logits), start + (4 * masses), Aten.DataPointer(counters));
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

    /// <summary>Address of [sequences, H]: masses of a context-miss token.</summary>
    public long Masses { get; }

    /// <summary>[1] int32: heads that retrieved nothing though there were blocks, since the room is there.</summary>
    public Tensor Dropped { get; }

    /// <summary>Address of [sequences, units]: zero before and after each reading.</summary>
    public long Arrived { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        memory.Dispose();
        Dropped.Dispose();
        counters.Dispose();
    }
}
