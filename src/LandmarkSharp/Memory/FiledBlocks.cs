using LandmarkSharp.Attention;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// A memory whose blocks go to a memory file as they become complete. From then on they are the file's pages at the same addresses, so
/// nothing changes for who reads them, and they take memory only while they are read. Landmark keys stay.
/// </summary>
/// <param name="memory">The memory, on the CPU.</param>
/// <param name="hotBytes">Bytes of the file's pages that are kept in memory, about; null for as many as the system likes.</param>
internal sealed class FiledBlocks(BlockMemory memory, long? hotBytes) : IAttention
{
    private long others = ProcessMemory.ResidentFileBytes;      // of other files: libraries, mapped weights

    /// <summary>Blocks that are in the file.</summary>
    public long Count { get; private set; }

    /// <inheritdoc/>
    public Tensor Attend(int layer, Tensor q, Tensor k, Tensor v)
    {
        var output = memory.Attend(layer, q, k, v);
        // A layer of a pass reads little; to know which pages it read would take more than to let all of them go.
        if (hotBytes is { } most && ProcessMemory.ResidentFileBytes - others > most)
        {
            foreach (var blocks in memory.Layers) blocks?.Release();
            others = ProcessMemory.ResidentFileBytes;
        }
        return output;
    }

    /// <summary>Begins after blocks that are in the file, each of which is compared with its hash once.</summary>
    /// <param name="writer">The file's writer.</param>
    /// <param name="file">The same file as it was committed.</param>
    /// <param name="segments">Whose blocks; not empty.</param>
    /// <param name="cancel">Stops between blocks.</param>
    /// <exception cref="LandmarkException">Something is damaged.</exception>
    public void StartAfter(MemoryFileWriter writer, MemoryFile file, IReadOnlyList<MemorySegment> segments, CancellationToken cancel)
    {
        var (heads, width, count) = (file.Model.Heads, file.Model.HeadDim, segments.Sum(s => (long)s.Blocks));
        memory.StartAfter(count, heads, (layer, blocks) =>
        {
            using var scope = NewDisposeScope();
            var keys = new float[heads * count * width];
            file.ReadLandmarks(layer, segments, keys);
            var landmarks = blocks.Landmarks.narrow(1, 0, count);
            landmarks.copy_(tensor(keys).view(heads, count, width).to(landmarks.dtype));
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

    /// <summary>Writes a segment's landmark keys.</summary>
    /// <inheritdoc cref="Write"/>
    public void WriteLandmarks(SegmentWriter segment, long first)
    {
        foreach (var (layer, blocks) in memory.Layers.Index())
        {
            using var scope = NewDisposeScope();
            var keys = blocks!.Landmarks.narrow(1, first, segment.Blocks).to(ScalarType.Float32).contiguous();     // [G, n, d]
            segment.WriteLandmarks(layer, keys.data<float>().ToArray());
        }
    }
}
