using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>What is copied to a memory file and back: landmark keys, and a session's own blocks, which are few beside the documents'.</summary>
internal static class SavedBlocks
{
    /// <summary>Writes a segment's keys, values and landmark keys.</summary>
    /// <param name="segment">The segment.</param>
    /// <param name="memory">What the blocks are of.</param>
    /// <param name="first">The first one, which is complete as the others are.</param>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static void Write(SegmentWriter segment, BlockMemory memory, long first)
    {
        foreach (var (layer, blocks) in memory.Layers.Index())
            for (var block = 0; block < segment.Blocks; block++)
                segment.WriteBlocks(layer, block, blocks!.Numbers(first + block), blocks.Factors(first + block));
        WriteLandmarks(segment, memory, first);
    }

    /// <summary>Writes a segment's landmark keys alone.</summary>
    /// <inheritdoc cref="Write"/>
    public static void WriteLandmarks(SegmentWriter segment, BlockMemory memory, long first)
    {
        foreach (var (layer, blocks) in memory.Layers.Index())
        {
            using var scope = NewDisposeScope();
            var keys = blocks!.Landmarks.narrow(1, first, segment.Blocks).to(ScalarType.Float32).contiguous();     // [G, n, d]
            segment.WriteLandmarks(layer, keys.data<float>().ToArray());
        }
    }

    /// <summary>Reads a layer's.</summary>
    /// <param name="file">The file.</param>
    /// <param name="segment">The segment.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="count">How many of its blocks.</param>
    /// <param name="blocks">Where they go; there is room for them.</param>
    /// <param name="first">After how many that are there.</param>
    /// <exception cref="LandmarkException">They are damaged, or the disk refuses.</exception>
    public static void Read(MemoryFile file, MemorySegment segment, int layer, int count, LayerBlocks blocks, long first)
    {
        for (var block = 0; block < count; block++)
            file.ReadBlocks(segment, layer, block, blocks.Numbers(first + block), blocks.Factors(first + block));
        ReadLandmarks(file, [segment], layer, count, blocks, first);
    }

    /// <summary>Reads the landmark keys of a layer's first blocks in some segments.</summary>
    /// <inheritdoc cref="Read"/>
    public static void ReadLandmarks(
        MemoryFile file, IReadOnlyList<MemorySegment> segments, int layer, long count, LayerBlocks blocks, long first)
    {
        using var scope = NewDisposeScope();
        var (heads, width, stored) = (file.Model.Heads, file.Model.HeadDim, segments.Sum(s => (long)s.Blocks));
        var keys = new float[heads * stored * width];
        file.ReadLandmarks(layer, segments, keys);
        var landmarks = blocks.Landmarks.narrow(1, first, count);
        landmarks.copy_(tensor(keys).view(heads, stored, width).narrow(1, 0, count).to(landmarks.dtype));
    }
}
