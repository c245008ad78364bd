using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>Where the positions of a pass go in the blocks: made once, used by every layer.</summary>
internal sealed class BlockPlaces : IDisposable
{
    /// <summary>Sorts the positions <paramref name="first"/> … <paramref name="first"/> + <paramref name="count"/> − 1.</summary>
    /// <param name="first">Position of the first, landmarks counted.</param>
    /// <param name="count">Positions of the pass.</param>
    /// <param name="length">Positions of a block, L.</param>
    /// <param name="device">Where the indices are needed.</param>
    public BlockPlaces(long first, int count, long length, Device device)
    {
        List<long> regular = [], block = [], offset = [], landmark = [], closed = [];
        for (var i = 0; i < count; i++)
        {
            var (b, o) = Math.DivRem(first + i, length);
            if (o < length - 1)
            {
                regular.Add(i);
                block.Add(b);
                offset.Add(o);
            }
            else
            {
                landmark.Add(i);
                closed.Add(b);
            }
        }
        Tensor? Index(List<long> list) => list.Count == 0 ? null : tensor(list.ToArray(), device: device).DetachFromDisposeScope();
        (Regular, Block, Offset, Landmark, Closed) = (Index(regular), Index(block), Index(offset), Index(landmark), Index(closed));
    }

    /// <summary>[R]: which of the pass's positions are regular tokens; null if none.</summary>
    public Tensor? Regular { get; }

    /// <summary>[R]: their blocks.</summary>
    public Tensor? Block { get; }

    /// <summary>[R]: their offsets in them.</summary>
    public Tensor? Offset { get; }

    /// <summary>[C]: which of the pass's positions are landmarks; null if none.</summary>
    public Tensor? Landmark { get; }

    /// <summary>[C]: the blocks they close.</summary>
    public Tensor? Closed { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var t in (IEnumerable<Tensor?>)[Regular, Block, Offset, Landmark, Closed]) t?.Dispose();
    }
}
