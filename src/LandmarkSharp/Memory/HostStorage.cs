using LandmarkSharp.Tensors;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Blocks in this machine's memory, at addresses that are set aside for many more: none is copied as they grow. A block has pages of
/// its own, <see cref="BlockPages"/>, and so have each head's landmark keys, so that the first ones can be a file's.
/// </summary>
internal sealed unsafe class HostStorage : BlockStorage
{
    private readonly BlockShape shape;
    private readonly BlockPages pages;
    private readonly long markBytes;
    private readonly List<(SafeFileHandle File, long Offset, long First, long Count)> mapped = [];
    private (SafeFileHandle File, long Offset, long Count)? mappedLandmarks;
    private AddressRange blocks, landmarks;

    /// <summary>Sets addresses aside.</summary>
    /// <param name="shape">What a block is.</param>
    /// <param name="addresses">
    /// Bytes of addresses for blocks, and as many for landmark keys; a process has tens of thousands of times as many. Where they are
    /// used up, four times what is needed is set aside, and all that is no file's is copied.
    /// </param>
    public HostStorage(BlockShape shape, long addresses = 1L << 32)
    {
        this.shape = shape;
        pages = new BlockPages(shape.Groups, shape.Tokens, shape.Width, shape.BlockType);
        markBytes = shape.Width * shape.Type.ElementSize();
        (blocks, landmarks) = (AddressRange.Reserve(addresses), AddressRange.Reserve(addresses));
        Grow(0, 0);
    }

    /// <summary>Blocks that are a file's, or are left for it: the first ones.</summary>
    public long Mapped { get; private set; }

    /// <summary>Blocks whose landmark keys are a file's.</summary>
    public long MappedLandmarks => mappedLandmarks?.Count ?? 0;

    /// <inheritdoc/>
    public override void Grow(long capacity, long used)
    {
        // Nothing that there is goes before all that is new is there: the system may refuse.
        var (ofBlocks, ofLandmarks) = (
            More(blocks, blocks.Length, capacity * pages.Bytes),
            More(landmarks, HeadBytes(landmarks) * shape.Groups, shape.Groups * BlockPages.Padded(capacity * markBytes)));
        if (ofBlocks != blocks)
        {
            foreach (var part in mapped) ofBlocks.Map(part.File, part.Offset, part.First * pages.Bytes, part.Count * pages.Bytes);
            Copy(blocks.Address, ofBlocks.Address, Mapped * pages.Bytes, used * pages.Bytes);
        }
        if (ofLandmarks != landmarks)
        {
            MapLandmarks(ofLandmarks);
            for (var g = 0L; g < shape.Groups; g++)
                Copy(
                    landmarks.Address + (nint)(g * HeadBytes(landmarks)), ofLandmarks.Address + (nint)(g * HeadBytes(ofLandmarks)),
                    MappedLandmarks * markBytes, used * markBytes);
        }
        Replace(
            Aten.FromBlob(ofBlocks.Address, shape.Blocks(capacity), shape.BlockType, pages.Bytes / shape.BlockType.ElementSize()),
            shape.IsScaled
                ? Aten.FromBlob(ofBlocks.Address + (nint)pages.ScalesAt, shape.Scales(capacity), ScalarType.Float32, pages.Bytes / sizeof(float)) : null,
            Aten.FromBlob(ofLandmarks.Address, shape.Landmarks(capacity), shape.Type, HeadBytes(ofLandmarks) / shape.Type.ElementSize()));
        foreach (var (old, now) in (ReadOnlySpan<(AddressRange, AddressRange)>)[(blocks, ofBlocks), (landmarks, ofLandmarks)])
            if (old != now) old.Dispose();
        (blocks, landmarks) = (ofBlocks, ofLandmarks);
    }

    /// <summary>
    /// Has blocks of a file, as <see cref="BlockPages"/> lays them out, in the place of those there are; they cannot be written from then
    /// on. They follow those that are a file's, or are among them where these were left for it.
    /// </summary>
    /// <param name="first">The first block here.</param>
    /// <param name="file">The file, which must stay open.</param>
    /// <param name="offset">Where they begin in it, at a page.</param>
    /// <param name="count">How many, for which there is room.</param>
    /// <exception cref="LandmarkException">The system refuses, or they are not such.</exception>
    public void Map(long first, SafeFileHandle file, long offset, long count)
    {
        if (count < 1 || (first != Mapped && (first < 0 || first + count > Mapped)) || first + count > Blocks.shape[0])
            throw new LandmarkException(
                $"{count} blocks from block {first} on cannot be mapped after {Mapped} that are, of {Blocks.shape[0]}; map the next ones.");
        blocks.Map(file, offset, first * pages.Bytes, count * pages.Bytes);
        mapped.Add((file, offset, first, count));
        Mapped = Math.Max(Mapped, first + count);
    }

    /// <summary>Leaves the first blocks to a file, before anything is here: none of them may be read before it is mapped.</summary>
    /// <param name="count">How many, for which there is room.</param>
    public void Leave(long count) => Mapped = count;

    /// <summary>Has none of a file's blocks mapped any more; they stay left for it.</summary>
    public void Unmap()
    {
        if (mapped.Count > 0) blocks.Clear(0, Mapped * pages.Bytes);
        mapped.Clear();
    }

    /// <summary>Has the landmark keys of the first blocks from a file: what is written after them changes copies of their last pages.</summary>
    /// <param name="file">The file, which must stay open.</param>
    /// <param name="offset">Where they begin in it, [G][count][d], each head's in pages of its own.</param>
    /// <param name="count">Of how many blocks, for which there is room.</param>
    /// <exception cref="LandmarkException">The system refuses, or there is no room.</exception>
    public void MapLandmarks(SafeFileHandle file, long offset, long count)
    {
        if (mappedLandmarks is not null || count < 1 || count > Blocks.shape[0])
            throw new LandmarkException($"The landmark keys of {count} blocks of {Blocks.shape[0]} cannot be mapped; map those of all, once.");
        mappedLandmarks = (file, offset, count);
        MapLandmarks(landmarks);
    }

    /// <summary>Gives back the memory that blocks of files take; they are read from there again when they are needed.</summary>
    public void Release() => Release(0, long.MaxValue);

    /// <summary>The same of a part of them, in bytes from the first one's beginning, at a page; any thread may.</summary>
    public void Release(long at, long bytes)
    {
        var count = Math.Min(bytes, (Mapped * pages.Bytes) - at);
        if (count > 0) blocks.Release(at, count);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        blocks.Dispose();
        landmarks.Dispose();
    }

    private void MapLandmarks(AddressRange to)
    {
        if (mappedLandmarks is not var (file, offset, count)) return;
        var bytes = BlockPages.Padded(count * markBytes);
        for (var g = 0L; g < shape.Groups; g++) to.Map(file, offset + (g * bytes), g * HeadBytes(to), bytes, writable: true);
    }

    /// <summary>Bytes from a head's landmark keys to the next one's.</summary>
    private long HeadBytes(AddressRange range) => range.Length / shape.Groups / BlockPages.Page * BlockPages.Page;

    private static AddressRange More(AddressRange range, long room, long needed) => needed <= room ? range : AddressRange.Reserve(4 * needed);

    // What comes before is a file's.
    private static void Copy(nint from, nint to, long first, long end)
    {
        if (first < end) Buffer.MemoryCopy((void*)(from + (nint)first), (void*)(to + (nint)first), end - first, end - first);
    }
}
