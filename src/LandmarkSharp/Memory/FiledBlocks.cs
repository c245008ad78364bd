using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// A memory whose blocks go to a memory file as they become complete. From then on they are the file's pages at the same addresses, so
/// nothing changes for who reads them, and they take memory only while they are read. Landmark keys stay.
/// </summary>
internal sealed class FiledBlocks
{
    private readonly BlockMemory memory;
    private readonly long most;
    private long others, hot;                   // resident pages of other files (libraries, mapped weights), and of this one

    /// <summary>Takes charge of a memory's blocks.</summary>
    /// <param name="memory">The memory, on the CPU, which has nothing yet.</param>
    /// <param name="hotBytes">
    /// Bytes of the file's pages that are kept in memory; null for as many as the system likes. What one window reads in one layer is there
    /// while it does, also if that is more.
    /// </param>
    public FiledBlocks(BlockMemory memory, long? hotBytes)
    {
        (this.memory, others) = (memory, ProcessMemory.ResidentFileBytes);
        if (hotBytes is not { } bytes) return;
        most = bytes;
        memory.WindowRead = Trim;
    }

    /// <summary>Blocks that are in the file.</summary>
    public long Count { get; private set; }

    /// <summary>Begins after blocks that are in the file, each of which is compared with its hash once.</summary>
    /// <param name="writer">The file's writer.</param>
    /// <param name="file">The same file as it was committed.</param>
    /// <param name="segments">Whose blocks; not empty.</param>
    /// <param name="cancel">Stops between blocks.</param>
    /// <exception cref="LandmarkException">Something is damaged.</exception>
    public void StartAfter(MemoryFileWriter writer, MemoryFile file, IReadOnlyList<MemorySegment> segments, CancellationToken cancel)
    {
        var count = segments.Sum(s => (long)s.Blocks);
        memory.StartAfter(count, file.Model.Heads, (layer, blocks) =>
        {
            SavedBlocks.ReadLandmarks(file, segments, layer, count, blocks, first: 0);
            var (numbers, scales) = (new byte[blocks.Numbers(0).Length], new float[blocks.Factors(0).Length]);
            var first = 0L;
            foreach (var segment in segments)
            {
                for (var block = 0; block < segment.Blocks; block++)
                {
                    cancel.ThrowIfCancellationRequested();
                    file.ReadBlocks(segment, layer, block, numbers, scales);
                }
                var (handle, offset) = writer.Place(segment, layer);
                blocks.Map(first, handle, offset, segment.Blocks);
                first += segment.Blocks;
            }
        });
        Count = count;
    }

    /// <summary>Writes the complete blocks that are not in the file yet.</summary>
    /// <param name="segment">The segment that they belong to.</param>
    /// <param name="first">The memory's first block that belongs there.</param>
    public void Write(SegmentWriter segment, long first)
    {
        var end = memory.Positions / memory.BlockLength;
        foreach (var (layer, blocks) in memory.Layers.Index())
        {
            for (var block = Count; block < end; block++)
                segment.WriteBlocks(layer, (int)(block - first), blocks!.Numbers(block), blocks.Factors(block));
            var (file, offset) = segment.Place(layer, (int)(Count - first));
            blocks!.Map(Count, file, offset, end - Count);
        }
        Count = end;
    }

    // Lets all pages go where there would be no room for what the next window reads, if it is what this one read: to know which
    // of them it will read would take more.
    private void Trim()
    {
        var (now, before) = (ProcessMemory.ResidentFileBytes - others, hot);
        hot = now;
        if (now + Math.Max(0, now - before) <= most) return;
        foreach (var blocks in memory.Layers) blocks?.Release();
        (others, hot) = (ProcessMemory.ResidentFileBytes, 0);
    }
}
