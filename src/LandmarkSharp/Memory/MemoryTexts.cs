using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory;

/// <summary>
/// Documents of memory files as sessions have read them, block after block: where each block stands, and its text. No key of them is in
/// memory. For any number of threads.
/// </summary>
internal sealed class MemoryTexts : IDisposable
{
    private MemoryTexts(IReadOnlyList<MemoryFile> files, IReadOnlyList<MemoryPart> parts, IReadOnlyList<int> tail)
    {
        (Files, Parts, Tail, Blocks) = (files, parts, tail, parts.Sum(p => (long)p.Blocks));
        Documents = [.. files.SelectMany(f => f.Documents.Where(d => d.Complete))];
    }

    /// <summary>The files, in the order in which they are read.</summary>
    public IReadOnlyList<MemoryFile> Files { get; }

    /// <summary>The model that they belong to.</summary>
    public MemoryModel Model => Files[0].Model;

    /// <summary>What keys and values are kept as.</summary>
    public ScalarType Type => Files[0].Type;

    /// <summary>The complete documents, in the order in which sessions have read them.</summary>
    public IReadOnlyList<MemoryEntry> Documents { get; }

    /// <summary>The sessions that were saved.</summary>
    public IReadOnlyList<MemoryEntry> Sessions => [.. Files.SelectMany(f => f.Sessions.Where(s => s.Complete))];

    /// <summary>The blocks, in their order.</summary>
    public IReadOnlyList<MemoryPart> Parts { get; }

    /// <summary>Blocks that a session begins with.</summary>
    public long Blocks { get; }

    /// <summary>The tokens at the end of the last document that fill no block.</summary>
    public IReadOnlyList<int> Tail { get; }

    /// <summary>Opens memory files.</summary>
    /// <param name="paths">The files, in the order in which they are read.</param>
    /// <param name="model">The model that is to read them.</param>
    /// <param name="type">What it is to keep blocks as; null for as the files do.</param>
    /// <exception cref="LandmarkException">
    /// One is not there, is no memory file, is damaged, belongs to another model, keeps blocks as another type, or has no complete document.
    /// </exception>
    public static MemoryTexts Open(IReadOnlyList<string> paths, MemoryModel model, ScalarType? type = null)
    {
        if (paths.Count == 0) throw new LandmarkException("No memory file is given; give one or more.");
        List<MemoryFile> files = [];
        try
        {
            foreach (var path in paths)
            {
                var file = MemoryFile.Open(path, model);
                files.Add(file);
                if (file.Type != (type ?? files[0].Type))
                    throw new LandmarkException(
                        $"{path} keeps blocks as {file.Type}, and {type ?? files[0].Type} is asked for; choose the file's type, and files of one.");
                if (!file.Documents.Any(d => d.Complete))
                    throw new LandmarkException($"{file.FilePath} has no complete document; add one, or let one that is being added be finished.");
            }
            var (parts, tail) = MemoryPart.Of(files);
            return new MemoryTexts(files, parts, tail);
        }
        catch
        {
            foreach (var file in files) file.Dispose();
            throw;
        }
    }

    /// <summary>Some of the blocks, as if the documents held nothing else; not to be disposed.</summary>
    /// <param name="blocks">Their numbers, in order.</param>
    public MemoryTexts Of(IEnumerable<long> blocks)
    {
        List<MemoryPart> some = [];
        foreach (var block in blocks)
        {
            var part = PartOf(block);
            some.Add(part with { First = some.Count, From = part.From + (int)(block - part.First), Blocks = 1 });
        }
        return new MemoryTexts(Files, some, Tail);
    }

    /// <summary>The file that a document or session lies in.</summary>
    public MemoryFile FileOf(MemoryEntry entry) =>
        Files.First(f => f.Documents.Concat(f.Sessions).Contains(entry, ReferenceEqualityComparer.Instance));

    /// <summary>What a document's tokens stand for.</summary>
    /// <param name="document">One of <see cref="Documents"/>.</param>
    /// <param name="segment">The number of the segment in which they begin.</param>
    /// <param name="first">The first, within the segment.</param>
    /// <param name="count">How many, of this segment.</param>
    /// <exception cref="LandmarkException">It is damaged.</exception>
    public MemoryText TextOf(MemoryEntry document, int segment, int first, int count) =>
        MemoryText.Read(FileOf(document), document, segment, first, count);

    /// <summary>The part that a block belongs to.</summary>
    public MemoryPart PartOf(long block) => Parts[IndexOfPart(block)];

    /// <summary>Its number among <see cref="Parts"/>.</summary>
    public int IndexOfPart(long block)
    {
        var (low, high) = (0, Parts.Count - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            if (Parts[middle].First <= block) low = middle;
            else high = middle - 1;
        }
        return low;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in Files) file.Dispose();
    }
}
