using System.Collections;
using System.IO.MemoryMappedFiles;

namespace LandmarkSharp.Training;

/// <summary>Where the documents of a source start, in tokens: a file of little-endian 64-bit integers, mapped, not loaded.</summary>
public sealed class DocumentStarts : IReadOnlyList<long>, IDisposable
{
    private readonly MemoryMappedFile file;
    private readonly MemoryMappedViewAccessor view;

    internal DocumentStarts(string path, long count)
    {
        Count = count;
        file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
        view = file.CreateViewAccessor(0, count * sizeof(long), MemoryMappedFileAccess.Read);
    }

    /// <summary>The number of documents.</summary>
    public long Count { get; }

    /// <summary>The first token of a document; the last token before it is the end of the one before.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such document.</exception>
    public long this[long document]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(document);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(document, Count);
            return view.ReadInt64(document * sizeof(long));
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
