using LandmarkSharp.Attention;

namespace LandmarkSharp.Memory;

/// <summary>
/// The blocks of an open memory in one session: the first ones of each layer. Those that are read are checked first; threads that compute
/// cannot be stopped, so what is wrong is kept and said when they are done, before anything that they computed is used.
/// </summary>
/// <param name="memory">The memory.</param>
internal sealed class OpenedBlocks(OpenMemory memory)
{
    private Exception? wrong;

    /// <summary>Puts them where the first blocks of a layer are.</summary>
    public void Begin(int layer, LayerBlocks blocks) => memory.Map(layer, blocks);

    /// <summary>What to tell of blocks that a layer is about to read.</summary>
    public BlocksChosen Reader(int layer) => blocks =>
    {
        foreach (var block in blocks)
            if (block >= 0 && block < memory.Blocks) Read(layer, block);
    };

    /// <summary>Says that a layer is about to read all blocks from one on.</summary>
    public void ReadFrom(int layer, long first)
    {
        for (var block = first; block < memory.Blocks; block++) Read(layer, block);
    }

    /// <summary>Throws where something that was read is not as it was written.</summary>
    /// <exception cref="LandmarkException">It is damaged, the disk refuses, or the memory was closed.</exception>
    public void Require()
    {
        if (Interlocked.Exchange(ref wrong, null) is { } found)
            throw new LandmarkException(
                found is ObjectDisposedException ? "The memory was closed while a session reads it; close the session first." : found.Message, found);
    }

    private void Read(int layer, long block)
    {
        try
        {
            memory.Check(layer, block);
        }
        catch (Exception e) when (e is LandmarkException or ObjectDisposedException)
        {
            wrong = e;
        }
    }
}
