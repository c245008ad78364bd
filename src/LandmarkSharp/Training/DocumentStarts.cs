using System.Collections;
using System.IO.MemoryMappedFiles;

namespace LandmarkSharp.Training;

/// <summary>Where the documents of a source start, in tokens: a file of little-endian 64-bit integers, mapped, not loaded.</summary>
public sealed class DocumentStarts : IReadOnlyList<long>, IDisposable
{
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;
    private readonly string path;
    private readonly long tokens;

    internal DocumentStarts(string path, long count, long tokens)
    {
        (this.path, Count, this.tokens) = (path, count, tokens);
        file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        view = file.CreateViewAccessor(0, count * sizeof(long), MemoryMappedFileAccess.Read);
    }

    /// <summary>The number of documents.</summary>
    public long Count { get; }

    /// <summary>The first token of a document; the last token before it is the end of the one before.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such document.</exception>
    /// <exception cref="LandmarkException">The file is damaged.</exception>
    public long this[long document]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(document);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(document, Count);
            var start = view.ReadInt64(document * sizeof(long));
            return start >= 0 && start < tokens ? start : throw new LandmarkException(
                $"{path} is damaged: document {document} of its source would start at token {start} of {tokens}; make the shards again.");
        }
    }

    int IReadOnlyCollection<long>.Count => checked((int)Count);

    long IReadOnlyList<long>.this[int document] => this[(long)document];

    /// <inheritdoc />
    public IEnumerator<long> GetEnumerator()
    {
        for (var document = 0L; document < Count; document++) yield return this[document];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc />
    public void Dispose()
    {
        view.Dispose();
        file.Dispose();
    }
}
