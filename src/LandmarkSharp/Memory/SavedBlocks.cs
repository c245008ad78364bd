using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>A session's own blocks on their way to a memory file and back: there they are copied, as they are few beside the documents'.</summary>
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
        {
            for (var block = 0; block < segment.Blocks; block++)
                segment.WriteBlocks(layer, block, blocks!.Numbers(first + block), blocks.Factors(first + block));
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
        using var scope = NewDisposeScope();
        var (heads, width) = (file.Model.Heads, file.Model.HeadDim);
        var keys = new float[heads * segment.Blocks * width];
        file.ReadLandmarks(layer, [segment], keys);
        var landmarks = blocks.Landmarks.narrow(1, first, count);
        landmarks.copy_(tensor(keys).view(heads, segment.Blocks, width).narrow(1, 0, count).to(landmarks.dtype));
    }
}
