using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Keys and values in this machine's memory, pinned, where a card reads and writes them over the bus by the addresses they have here;
/// landmark keys, which are read for every token, on the card. Addresses are set aside for many more blocks: none is copied as they grow.
/// </summary>
internal sealed class PinnedStorage : BlockStorage
{
    private const long Addresses = 1L << 38;            // a layer's; a process has hundreds of times as many
    private const long Step = 1L << 26;                 // pinned at once: it takes a call of the driver and a walk over its pages
    private const uint Portable = 1, DeviceMap = 2;     // CU_MEMHOSTREGISTER_PORTABLE, _DEVICEMAP

    private readonly BlockShape shape;
    private readonly Device device;
    private readonly AddressRange blocks = AddressRange.Reserve(Addresses);
    private readonly List<nint> pinned = [];            // where each part that is pinned begins
    private long pinnedBytes;

    public PinnedStorage(BlockShape shape, Device device)
    {
        (this.shape, this.device) = (shape, device);
        Grow(0, 0);
    }

    /// <inheritdoc/>
    public override void Grow(long capacity, long used)
    {
        using var scope = NewDisposeScope();
        Pin(capacity * shape.Numbers * shape.BlockType.ElementSize());
        var landmarks = empty(shape.Landmarks(capacity), shape.Type, device);
        if (used > 0) landmarks.narrow(1, 0, used).copy_(Landmarks.narrow(1, 0, used));
        Replace(
            capacity == 0 ? empty(shape.Blocks(0), shape.BlockType, device)
                : Aten.FromBlob(blocks.Address, shape.Blocks(capacity), shape.BlockType, device: device),
            null, landmarks);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (pinned.Count > 0)
        {
            cuda.synchronize(device);                   // what is queued reads them
            using var entered = Context.Enter();
            foreach (var part in pinned) _ = CudaApi.cuMemHostUnregister(part);
            pinned.Clear();
        }
        blocks.Dispose();
    }

    private CudaContext Context => CudaContext.Of(Math.Max(0, device.index));

    private void Pin(long needed)
    {
        if (needed <= pinnedBytes) return;
        var bytes = (needed - pinnedBytes + Step - 1) / Step * Step;
        if (pinnedBytes + bytes > blocks.Length)
            throw new LandmarkException($"A layer's keys and values would take {needed / 1e9:N0} GB; at most {blocks.Length / 1e9:N0} GB can be pinned for each.");
        var at = blocks.Address + (nint)pinnedBytes;
        using var entered = Context.Enter();
        CudaApi.Check(
            CudaApi.cuMemHostRegister(at, (nuint)bytes, Portable | DeviceMap),
            $"pinning {bytes / 1e6:N0} MB of this machine's memory for keys and values, after {pinnedBytes / 1e6:N0} MB; "
            + "a text of fewer tokens takes less, and a limit on locked memory can be raised (ulimit -l)");
        pinned.Add(at);
        pinnedBytes += bytes;
    }
}
