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
    public static BlockStorage On(Device device, BlockShape shape) =>
        device.type == DeviceType.CPU ? new HostStorage(shape) : new DeviceStorage(shape, device);

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

/// <summary>
/// Blocks in this machine's memory, at addresses that are set aside for many more: none is copied as they grow. A block has pages of
/// its own, its scales in the last of them, so that it can be given back, or be a file's, alone.
/// </summary>
internal sealed unsafe class HostStorage : BlockStorage
{
    private readonly BlockShape shape;
    private readonly long numberBytes, blockBytes, markBytes;
    private AddressRange blocks, landmarks;

    /// <summary>Sets addresses aside.</summary>
    /// <param name="shape">What a block is.</param>
    /// <param name="addresses">
    /// Bytes of addresses for blocks, and as many for landmark keys; a process has tens of thousands of times as many. Where they are
    /// used up, four times what is needed is set aside, and all that there is copied.
    /// </param>
    public HostStorage(BlockShape shape, long addresses = 1L << 32)
    {
        this.shape = shape;
        numberBytes = ((shape.Numbers * shape.BlockType.ElementSize()) + sizeof(float) - 1) / sizeof(float) * sizeof(float);
        blockBytes = AddressRange.Padded(numberBytes + (shape.IsScaled ? shape.Numbers / shape.Width * sizeof(float) : 0));
        markBytes = shape.Width * shape.Type.ElementSize();
        (blocks, landmarks) = (AddressRange.Reserve(addresses), AddressRange.Reserve(addresses));
        Grow(0, 0);
    }

    /// <inheritdoc/>
    public override void Grow(long capacity, long used)
    {
        // Nothing that there is goes before all that is new is there: the system may refuse.
        var (ofBlocks, ofLandmarks) = (
            More(blocks, blocks.Length, capacity * blockBytes), More(landmarks, HeadBytes(landmarks) * shape.Groups, shape.Groups * capacity * markBytes));
        var (head, oldHead) = (HeadBytes(ofLandmarks), HeadBytes(landmarks));
        if (ofBlocks != blocks) Copy(blocks.Address, ofBlocks.Address, used * blockBytes);
        for (var g = 0L; g < shape.Groups && ofLandmarks != landmarks; g++)
            Copy(landmarks.Address + (nint)(g * oldHead), ofLandmarks.Address + (nint)(g * head), used * markBytes);
        Replace(
            Aten.FromBlob(ofBlocks.Address, shape.Blocks(capacity), shape.BlockType, blockBytes / shape.BlockType.ElementSize()),
            shape.IsScaled
                ? Aten.FromBlob(ofBlocks.Address + (nint)numberBytes, shape.Scales(capacity), ScalarType.Float32, blockBytes / sizeof(float)) : null,
            Aten.FromBlob(ofLandmarks.Address, shape.Landmarks(capacity), shape.Type, head / shape.Type.ElementSize()));
        foreach (var (old, now) in (ReadOnlySpan<(AddressRange, AddressRange)>)[(blocks, ofBlocks), (landmarks, ofLandmarks)])
            if (old != now) old.Dispose();
        (blocks, landmarks) = (ofBlocks, ofLandmarks);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        blocks.Dispose();
        landmarks.Dispose();
    }

    /// <summary>Bytes from a head's landmark keys to the next one's.</summary>
    private long HeadBytes(AddressRange range) => range.Length / shape.Groups / markBytes * markBytes;

    private static AddressRange More(AddressRange range, long room, long needed) => needed <= room ? range : AddressRange.Reserve(4 * needed);

    private static void Copy(nint from, nint to, long bytes) => Buffer.MemoryCopy((void*)from, (void*)to, bytes, bytes);
}
