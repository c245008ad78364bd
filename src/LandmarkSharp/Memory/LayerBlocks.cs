using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// One layer's blocks. Keys stand at block-local phase, so a block can be placed anywhere by turning the query; a
/// landmark's value is never read and not kept, and landmark keys lie apart, since they are scanned for every token.
/// </summary>
/// <param name="groups">Key-value heads, G.</param>
/// <param name="blockTokens">Regular tokens of a block, ℓ.</param>
/// <param name="headDim">Width of a head, d.</param>
/// <param name="type">Type of keys and values.</param>
/// <param name="device">Where they live.</param>
internal sealed class LayerBlocks(long groups, long blockTokens, long headDim, ScalarType type, Device device) : IDisposable
{
    private const int FirstBlocks = 8;

    /// <summary>[capacity, G, 2, ℓ, d]: keys and values; one head of a block is one contiguous read.</summary>
    public Tensor Blocks { get; private set; } = empty([0, groups, 2, blockTokens, headDim], type, device).DetachFromDisposeScope();

    /// <summary>[G, capacity, d]: landmark keys, at offset ℓ.</summary>
    public Tensor Landmarks { get; private set; } = empty([groups, 0, headDim], type, device).DetachFromDisposeScope();

    /// <summary>Bytes allocated.</summary>
    public long Bytes => (Blocks.numel() + Landmarks.numel()) * Blocks.element_size();

    /// <summary>Blocks that fit without growing.</summary>
    public long Capacity => Blocks.shape[0];

    /// <summary>Grows to hold so many blocks, of which the first <paramref name="used"/> are kept.</summary>
    public void Grow(long capacity, long used)
    {
        if (capacity <= Capacity) return;
        capacity = Math.Max(capacity, Math.Max(FirstBlocks, Capacity * 3 / 2));
        var blocks = empty([capacity, groups, 2, blockTokens, headDim], type, device).DetachFromDisposeScope();
        var landmarks = empty([groups, capacity, headDim], type, device).DetachFromDisposeScope();
        if (used > 0)
        {
            using var scope = NewDisposeScope();
            blocks.narrow(0, 0, used).copy_(Blocks.narrow(0, 0, used));
            landmarks.narrow(1, 0, used).copy_(Landmarks.narrow(1, 0, used));
        }
        Blocks.Dispose();
        Landmarks.Dispose();
        (Blocks, Landmarks) = (blocks, landmarks);
    }

    /// <summary>Zeros blocks about to be written: what an unfinished block does not hold yet must be finite.</summary>
    public void Clear(long first, long count)
    {
        using var scope = NewDisposeScope();
        Blocks.narrow(0, first, count).zero_();
        Landmarks.narrow(1, first, count).zero_();
    }

    /// <summary>Writes a pass's keys and values to their places.</summary>
    /// <param name="k">[G, T, d], at block-local phase.</param>
    /// <param name="v">[G, T, d].</param>
    /// <param name="places">Where each position goes.</param>
    public void Write(Tensor k, Tensor v, BlockPlaces places)
    {
        using var scope = NewDisposeScope();
        if (places.Regular is { } regular)
        {
            var pairs = stack([k, v], 2).index_select(1, regular).transpose(0, 1);           // [R, G, 2, d]
            Blocks.permute(0, 3, 1, 2, 4).index_put_(pairs, places.Block!, places.Offset!);  // view [capacity, ℓ, G, 2, d]
        }
        if (places.Landmark is { } landmark)
            Landmarks.index_copy_(1, places.Closed!, k.index_select(1, landmark));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Blocks.Dispose();
        Landmarks.Dispose();
    }
}
