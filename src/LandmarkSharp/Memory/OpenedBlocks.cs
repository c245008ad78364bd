using LandmarkSharp.Attention;

namespace LandmarkSharp.Memory;

/// <summary>
/// The blocks of an open memory in one session: the first ones of each layer. Those that are read are checked first, and what they lie in is
/// mapped; threads that compute cannot be stopped, so what is wrong is kept and said when they are done, before anything that they computed
/// is used.
/// </summary>
internal sealed class OpenedBlocks : IDisposable
{
    /// <summary>
    /// Parts of layers that stay mapped between layers. Each may cost two of what the system has for a process, 65,530 unless told otherwise,
    /// and a memory of small documents has a part for each in each layer.
    /// </summary>
    public const int MostMapped = 4096;

    private readonly OpenMemory memory;
    private readonly LayerBlocks?[] layers;
    private readonly bool[][] isMapped;                 // by layer and part
    private readonly Lock mapping = new();
    private int mapped;
    private Exception? wrong;

    /// <summary>Takes part in a memory.</summary>
    public OpenedBlocks(OpenMemory memory)
    {
        (this.memory, layers) = (memory, new LayerBlocks?[memory.Model.Layers]);
        isMapped = [.. layers.Select(_ => new bool[memory.Texts.Parts.Count])];
        memory.Hot?.Join(this);
    }

    /// <summary>Puts them where the first blocks of a layer are.</summary>
    public void Begin(int layer, LayerBlocks blocks)
    {
        memory.Begin(layer, blocks);
        layers[layer] = blocks;
    }

    /// <summary>The parts of a layer's index that all sessions of the memory have.</summary>
    public SharedNodes Nodes(int layer) => memory.Nodes(layer);

    /// <summary>What to tell of blocks that a layer is about to read.</summary>
    public BlocksChosen Reader(int layer) => (head, blocks, now) =>
    {
        // Each is waited for when it is compared with its hash: a disk is to have all of them to read by then.
        foreach (var block in blocks)
        {
            if (block < 0 || block >= memory.Blocks) continue;
            if (now) Read(layer, block, head);
            else Expect(layer, block, head);
        }
    };

    /// <summary>Says that a layer is about to read all blocks from one on.</summary>
    public void ReadFrom(int layer, long first)
    {
        for (var block = first; block < memory.Blocks; block++)
            for (var head = 0; head < memory.Model.Heads; head++) Read(layer, block, head);
    }

    /// <summary>Gives back memory that a layer's blocks take: they are read from the file again. Any thread may.</summary>
    public void Release(int layer, long at, long bytes) => layers[layer]?.Release(at, bytes);

    /// <summary>Ends a layer's reading; throws where something that was read is not as it was written.</summary>
    /// <exception cref="LandmarkException">It is damaged, the disk refuses, or the memory was closed.</exception>
    public void End()
    {
        memory.Hot?.Trim();
        if (mapped > MostMapped) Unmap();
        if (Interlocked.Exchange(ref wrong, null) is { } found)
            throw new LandmarkException(
                found is ObjectDisposedException ? "The memory was closed while a session reads it; close the session first." : found.Message, found);
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Hot?.Leave(this);

    private void Expect(int layer, long block, int head)
    {
        try
        {
            memory.Expect(layer, block, head);
        }
        catch (ObjectDisposedException e)
        {
            wrong = e;
        }
    }

    private void Read(int layer, long block, int head)
    {
        try
        {
            memory.Check(layer, block, head);
            Map(layer, memory.Texts.IndexOfPart(block));
            var (pages, at) = (memory.Pages, block * memory.Pages.Bytes);
            memory.Hot?.Read(layer, at + (head * pages.HeadBytes), pages.HeadBytes);
            if (pages.HeadScaleBytes > 0) memory.Hot?.Read(layer, at + pages.ScalesAt + (head * pages.HeadScaleBytes), pages.HeadScaleBytes);
        }
        catch (Exception e) when (e is LandmarkException or ObjectDisposedException)
        {
            wrong = e;
        }
    }

    private void Map(int layer, int part)
    {
        ref var isThere = ref isMapped[layer][part];
        if (Volatile.Read(ref isThere)) return;
        lock (mapping)
        {
            if (isThere) return;
            memory.Map(layer, part, layers[layer]!);
            mapped++;
            Volatile.Write(ref isThere, true);
        }
    }

    // Which of them the next layers read is not known: all go, and come again as they are read.
    private void Unmap()
    {
        foreach (var (layer, blocks) in layers.Index())
        {
            blocks?.Unmap();
            isMapped[layer].AsSpan().Clear();
        }
        mapped = 0;
    }
}
