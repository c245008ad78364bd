using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Generation;

/// <summary>A document, by how much of a question's attention it had.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Mass">The share of attention that its blocks had together.</param>
/// <param name="Passages">Those of its blocks that had any, the most read first.</param>
/// <param name="File">The memory file that it lies in, as it was opened.</param>
public sealed record RankedDocument(string Name, double Mass, IReadOnlyList<RankedPassage> Passages, string File);

/// <summary>A passage, by how much of a question's attention it had.</summary>
/// <param name="Passage">The passage.</param>
/// <param name="Mass">Its share.</param>
public sealed record RankedPassage(Passage Passage, double Mass);

/// <summary>Whose attention ranks documents.</summary>
public sealed record SearchOptions
{
    /// <summary>Passages of each document that are told, the most read first.</summary>
    public int Passages { get; init; } = 3;

    /// <summary>The layer alone that ranks, from 0; the last third of them when null.</summary>
    public int? Layer { get; init; }

    /// <summary>The query head alone that ranks, from 0; all when null.</summary>
    public int? Head { get; init; }
}

/// <summary>A memory's documents ranked by the landmarks that a text's last tokens score highest (docs/memory.md).</summary>
public static class MemorySearch
{
    /// <summary>Positions that rank: where a question ends, the model looks for what is to follow.</summary>
    internal const int Positions = 4;

    /// <summary>Of a memory of many small documents nothing is kept that has it mapped: the system has 65,530 mappings for a process.</summary>
    private const int MostKeptMappings = 1000;

    /// <summary>Reads a question, or the beginning of a sentence that a document goes on with, and ranks documents by what it reads of them.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="memory">The memory, which was opened for it.</param>
    /// <param name="text">The question.</param>
    /// <param name="options">Whose attention ranks; null for the defaults.</param>
    /// <param name="cancel">Stops between chunks.</param>
    /// <returns>Documents of which something was read, the most read first.</returns>
    /// <exception cref="LandmarkException">
    /// The question is empty, there is no such layer or head, what is read is damaged, or the memory was opened for another model.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<RankedDocument> Search(
        this LandmarkEngine engine, OpenMemory memory, string text, SearchOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new SearchOptions();
        if (options.Passages < 0) throw new LandmarkException($"The number of passages is {options.Passages}; it must be 0 or more.");
        var reads = Reads(engine, memory, text, Positions, cancel);
        // Early layers look for what is alike in wording, late ones for what goes on.
        if (options.Layer is null) reads = reads with { Layers = [.. reads.Layers.Skip(2 * reads.Layers.Count / 3)] };
        var sum = ReadSum.Of(memory.Model.BlockTokens, [reads], options.Layer, options.Head);
        return Ranked(engine, memory, memory.Tail, sum.Blocks, options.Passages);
    }

    /// <summary>What a question's last positions read of a memory, or all of its tokens.</summary>
    internal static TokenReads Reads(LandmarkEngine engine, OpenMemory memory, string text, int? positions = null, CancellationToken cancel = default)
    {
        if (string.IsNullOrWhiteSpace(text)) throw new LandmarkException("The question is empty; write it in quotes.");
        using var session = memory.Mappings > MostKeptMappings
            ? Begin(engine, memory, cancel)
            : memory.Searches.Use((engine.Decoder, engine.Retrieval), () => Begin(engine, memory, cancel), begun => begun.ForkToReadOn());
        var before = session.Tokens.Count;
        session.Append($"\n\n{text.Trim()}", cancel: cancel);
        var reads = session.ReadsOfLast(positions ?? session.Tokens.Count - before, cancel);
        memory.IsSearched = true;
        return reads;
    }

    /// <summary>A session that has read what is put before a question.</summary>
    internal static Session Begin(LandmarkEngine engine, OpenMemory memory, CancellationToken cancel)
    {
        var session = engine.NewSession(memory);
        try
        {
            session.Append(Before(memory, engine.Retrieval!.WindowBlocks), cancel: cancel);
            session.ComputeAllBut(0, cancel);
            return session;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>Groups blocks by the documents that they are of; those of a session's own text are of none.</summary>
    /// <param name="engine">The model.</param>
    /// <param name="memory">The memory.</param>
    /// <param name="tail">What stands at the beginning of the session's own text of the last document, or nothing.</param>
    /// <param name="blocks">Blocks and masses, the most read first.</param>
    /// <param name="passages">How many of each are wanted.</param>
    internal static IReadOnlyList<RankedDocument> Ranked(
        LandmarkEngine engine, OpenMemory memory, IReadOnlyList<int> tail, IEnumerable<BlockMass> blocks, int passages)
    {
        var end = memory.Blocks + (tail.Count > 0 ? 1 : 0);
        MemoryEntry Of(long block) => block < memory.Blocks ? memory.PartOf(block).Document : memory.Documents[^1];
        var ranked = blocks.Where(b => b.Block < end).GroupBy<BlockMass, object>(b => Of(b.Block), ReferenceEqualityComparer.Instance)
            .Select(group => (Document: (MemoryEntry)group.Key, Mass: group.Sum(b => b.Mass), Best: group.Take(passages).ToArray()))
            .OrderByDescending(d => d.Mass).ToArray();
        var texts = MemoryPassages.Of(engine.Tokenizer, memory.Texts, tail, ranked.SelectMany(d => d.Best).Select(b => b.Block)).ToDictionary(p => p.Block);
        return
        [
            .. ranked.Select(d => new RankedDocument(
                d.Document.Name, d.Mass, [.. d.Best.Select(b => new RankedPassage(texts[b.Block], b.Mass))], memory.FileOf(d.Document).FilePath)),
        ];
    }

    /// <summary>
    /// What is put before a question, so that its window begins after all documents, whose blocks are then all scored, and has a block of text
    /// before it, as windows have that the model was trained with: the documents' last tokens once more.
    /// </summary>
    private static int[] Before(OpenMemory memory, int windowBlocks)
    {
        var (length, window) = (memory.Model.BlockTokens, (long)windowBlocks * memory.Model.BlockTokens);
        var held = (memory.Blocks * length) + memory.Tail.Count;
        var count = ((held + window - 1) / window * window) - held + length;
        List<int> last = [];
        foreach (var (document, segment) in memory.Documents.Reverse().SelectMany(d => d.Segments.Reverse().Select(s => (d, s))))
        {
            if (last.Count >= count) break;
            last.InsertRange(0, memory.FileOf(document).ReadText(segment).Tokens);
        }
        return [.. Enumerable.Repeat(last, (int)(count / last.Count) + 1).SelectMany(t => t).TakeLast((int)count)];     // where all are too few
    }
}
