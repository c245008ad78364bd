using System.Runtime.InteropServices;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>What a layer's blocks are.</summary>
/// <param name="Groups">Key-value heads, G.</param>
/// <param name="Tokens">Regular tokens of a block, ℓ.</param>
/// <param name="Width">Width of a head, d.</param>
/// <param name="Type">Type of landmark keys.</param>
/// <param name="BlockType">Type of keys and values.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct BlockShape(long Groups, long Tokens, long Width, ScalarType Type, ScalarType BlockType)
{
    /// <summary>Whether rows have scales.</summary>
    public bool IsScaled => BlockType == ScalarType.Int8;

    /// <summary>Numbers of a block.</summary>
    public long Numbers => Groups * 2 * Tokens * Width;

    /// <summary>[n, G, 2, ℓ, d].</summary>
    public long[] Blocks(long count) => [count, Groups, 2, Tokens, Width];

    /// <summary>[n, G, 2, ℓ].</summary>
    public long[] Scales(long count) => [count, Groups, 2, Tokens];

    /// <summary>[G, n, d].</summary>
    public long[] Landmarks(long count) => [Groups, count, Width];
}

/// <summary>Where a layer's blocks lie, for as many as there is room.</summary>
internal abstract class BlockStorage : IDisposable
{
    /// <summary>[capacity, G, 2, ℓ, d].</summary>
    public Tensor Blocks { get; private set; } = null!;

    /// <summary>[capacity, G, 2, ℓ] float32; null where rows have none.</summary>
    public Tensor? Scales { get; private set; }

    /// <summary>[G, capacity, d].</summary>
    public Tensor Landmarks { get; private set; } = null!;

    /// <summary>Room for no block yet.</summary>
    /// <param name="device">Where the model is.</param>
    /// <param name="shape">What a block is.</param>
    /// <param name="onHost">Whether keys and values lie in this machine's memory wherever the model is.</param>
    public static BlockStorage On(Device device, BlockShape shape, bool onHost) =>
        device.type == DeviceType.CPU ? new HostStorage(shape) : onHost ? new PinnedStorage(shape, device) : new DeviceStorage(shape, device);

    /// <summary>Makes room for more blocks, and keeps the first <paramref name="used"/>.</summary>
    public abstract void Grow(long capacity, long used);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Lets the tensors go.</summary>
    protected virtual void Dispose(bool disposing)
    {
        foreach (var held in (Tensor?[])[Blocks, Scales, Landmarks]) held?.Dispose();
    }

    /// <summary>Puts other tensors in the place of those there are.</summary>
    protected void Replace(Tensor blocks, Tensor? scales, Tensor landmarks)
    {
        foreach (var held in (Tensor?[])[Blocks, Scales, Landmarks]) held?.Dispose();
        (Blocks, Scales, Landmarks) = (blocks.DetachFromDisposeScope(), scales?.DetachFromDisposeScope(), landmarks.DetachFromDisposeScope());
    }
}

/// <summary>Blocks on a device: more room is another tensor, to which they are copied.</summary>
internal sealed class DeviceStorage : BlockStorage
{
    private readonly BlockShape shape;
    private readonly Device device;

    public DeviceStorage(BlockShape shape, Device device)
    {
        (this.shape, this.device) = (shape, device);
        Grow(0, 0);
    }

    /// <inheritdoc/>
    public override void Grow(long capacity, long used)
    {
        using var scope = NewDisposeScope();
        var blocks = empty(shape.Blocks(capacity), shape.BlockType, device);
        var scales = shape.IsScaled ? empty(shape.Scales(capacity), ScalarType.Float32, device) : null;
        var landmarks = empty(shape.Landmarks(capacity), shape.Type, device);
        if (used > 0)
        {
            blocks.narrow(0, 0, used).copy_(Blocks.narrow(0, 0, used));
            scales?.narrow(0, 0, used).copy_(Scales!.narrow(0, 0, used));
            landmarks.narrow(1, 0, used).copy_(Landmarks.narrow(1, 0, used));
        }
        Replace(blocks, scales, landmarks);
    }
}
