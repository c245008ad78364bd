using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Generation;

/// <summary>
/// A memory read twice: once to find what a question is about, and then that alone. A model that was trained on few blocks
/// chooses well among few: of tens of thousands, each token and head must find the same one again (docs/memory.md).
/// </summary>
public static class MemoryFocus
{
    /// <summary>Blocks of a memory up to which all of it is read where nobody says how many to find first.</summary>
    public const int LongFrom = 512;

    /// <summary>How many blocks are found first where nobody says.</summary>
    public const int Blocks = 48;

    /// <summary>How many blocks to find first where nobody says; null for none, so that all of a short memory is read.</summary>
    /// <param name="blocks">Blocks of the memory.</param>
    public static int? Unasked(long blocks) => blocks > LongFrom ? Blocks : null;

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
        this LandmarkEngine engine, OpenMemory memory, string text, int blocks, CancellationToken cancel = default) =>
        Focus(engine, memory, text, [blocks], cancel);

    /// <summary>The same with a number of blocks for each file, so that what one has much of leaves others room.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="memory">The memory.</param>
    /// <param name="text">The question, as it will be asked.</param>
    /// <param name="blocks">How many blocks of each of the memory's files, in their order, at most; a single number is that of all together.</param>
    /// <param name="cancel">Stops between chunks.</param>
    /// <inheritdoc cref="Focus(LandmarkEngine, OpenMemory, string, int, CancellationToken)"/>
    public static OpenMemory Focus(
        this LandmarkEngine engine, OpenMemory memory, string text, IReadOnlyList<int> blocks, CancellationToken cancel = default)
    {
        if (blocks.Any(b => b < 1)) throw new LandmarkException($"The number of blocks to read again is {blocks.First(b => b < 1)}; it must be at least 1.");
        MemoryFile[] files = [.. memory.Texts.Files];
        if (blocks.Count != 1 && blocks.Count != files.Length)
            throw new LandmarkException($"There are {blocks.Count} numbers of blocks to read again, and {files.Length} memory files; give one number, or one for each.");
        var reads = MemorySearch.Reads(engine, memory, text, cancel: cancel);
        var sum = ReadSum.Of(memory.Model.BlockTokens, [reads with { Layers = [.. reads.Layers.Skip(1)] }]);     // in the first all landmarks are alike
        int Budget(long block) => blocks.Count == 1 ? 0 : Array.IndexOf(files, memory.PartOf(block).File);
        return memory.Of(sum.Blocks.Select(b => b.Block).Where(b => b < memory.Blocks).GroupBy(Budget).SelectMany(b => b.Take(blocks[b.Key])));
    }
}
