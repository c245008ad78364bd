using LandmarkSharp.Memory;

namespace LandmarkSharp.Generation;

/// <summary>
/// A memory read twice: once to find what a question is about, and then that alone. A model that was trained on few blocks
/// chooses well among few: of tens of thousands, each token and head must find the same one again (docs/memory.md).
/// </summary>
public static class MemoryFocus
{
    /// <summary>The blocks of a memory that a question reads most, as a memory of their own.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="memory">The memory, which was opened for it, and is disposed after what is returned.</param>
    /// <param name="text">The question, as it will be asked.</param>
    /// <param name="blocks">How many blocks, at most.</param>
    /// <param name="cancel">Stops between chunks.</param>
    /// <returns>Sessions that begin with it read as if the documents held nothing else; passages stand where they stood.</returns>
    /// <exception cref="LandmarkException">
    /// The question is empty, the number is below 1, what is read is damaged, or the memory was opened for another model.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static OpenMemory Focus(
        this LandmarkEngine engine, OpenMemory memory, string text, int blocks, CancellationToken cancel = default)
    {
        if (blocks < 1) throw new LandmarkException($"The number of blocks to read again is {blocks}; it must be at least 1.");
        var reads = MemorySearch.Reads(engine, memory, text, cancel: cancel);
        var sum = ReadSum.Of(memory.Model.BlockTokens, [reads with { Layers = [.. reads.Layers.Skip(1)] }]);     // in the first all landmarks are alike
        return memory.Of(sum.Blocks.Select(b => b.Block).Where(b => b < memory.Blocks).Take(blocks));
    }
}
