using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// A memory on disk: documents, and sessions that went on from them, with their text, tokens, landmark keys, and the keys and values
/// of their blocks. It shows the commit that was the newest when it was opened, whatever is written meanwhile, and may be read by any
/// number of threads. The format: docs/memory-file.md.
/// </summary>
/// <example>
/// <code>
/// using var file = MemoryFile.Open("books.memory", model);
/// MemorySegment[] segments = [.. file.Documents.SelectMany(d => d.Segments)];
/// var keys = new float[model.Heads * segments.Sum(s => s.Blocks) * model.HeadDim];
/// file.ReadLandmarks(layer: 0, segments, keys);                               // [G, n, d]
/// var block = file.MapBlock(segments[0], layer: 0, block: 5);                 // [G, K|V, ℓ, d]
/// </code>
/// </example>
public sealed class MemoryFile : IDisposable
{
    private readonly StoredFile file;
    private readonly MemoryHeader header;
    private readonly MemoryRoot root;
    private readonly IReadOnlyList<int> damagedSlots;
    private readonly Dictionary<long, SegmentReader> readers = [];
    private readonly string path;

    private MemoryFile(string path, StoredFile file, MemoryModel? expected)
    {
        (this.path, this.file) = (path, file);
        header = ReadHeader(file, expected);
        (root, damagedSlots) = MemoryRoot.Newest(file, header.Id);
        var catalog = MemoryCatalog.Read(file, header, root);
        (Documents, Sessions) = (catalog.Documents, catalog.Sessions);
        foreach (var entry in catalog.Entries)
        {
            var blocks = 0L;
            foreach (var segment in entry.Segments)
            {
                readers.TryAdd(segment.Offset, new SegmentReader(
                    file, segment, new SegmentLayout(header, segment.Blocks, segment.Tokens, segment.Bytes), entry.Name, blocks));
                blocks += segment.Blocks;
            }
        }
    }

    /// <summary>The file, as it was opened.</summary>
    public string FilePath => path;

    /// <summary>The model that it belongs to.</summary>
    public MemoryModel Model => header.Model;

    /// <summary>What keys and values are kept as: Float32, BFloat16, or Int8 with a float32 scale for each row. Landmark keys are float32.</summary>
    public ScalarType Type => header.Type;

    /// <summary>The number of the commit that is shown; every commit has the next.</summary>
    public long Sequence => root.Sequence;

    /// <summary>The documents, in their order.</summary>
    public IReadOnlyList<MemoryEntry> Documents { get; }

    /// <summary>The sessions, in their order.</summary>
    public IReadOnlyList<MemoryEntry> Sessions { get; }

    /// <summary>Bytes of the file that this commit uses; the others up to its end are freed by <see cref="MemoryFileWriter.Compact"/>.</summary>
    public long UsedBytes => MemoryRoot.FirstOffset + root.End - root.Offset + readers.Values.Sum(r => r.Layout.Length);

    /// <summary>Those bytes by what they hold; what is left of them are header, roots, catalog, and what fills pages.</summary>
    public MemoryBytes BytesByKind => readers.Values.Select(r => r.Layout.Bytes).Aggregate(new MemoryBytes(0, 0, 0, 0, 0), MemoryBytes.Sum);

    /// <summary>Bytes of the file up to the end of this commit.</summary>
    public long Bytes => root.End;

    /// <summary>Opens a memory file at its newest commit.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expected">The model that is to use it; null opens any model's.</param>
    /// <exception cref="LandmarkException">It is not there, is no memory file, is damaged, or belongs to another model.</exception>
    public static MemoryFile Open(string path, MemoryModel? expected = null)
    {
        var file = StoredFile.Open(path, FileAccess.Read);
        try
        {
            return new MemoryFile(path, file, expected);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The file at its newest commit: this object when there is none newer, else one that is to be disposed as well.</summary>
    /// <exception cref="LandmarkException">What now has its name cannot be opened, or belongs to another model.</exception>
    public MemoryFile Refreshed()
    {
        var newest = Open(path, Model);
        if ((newest.header.Id, newest.root) != (header.Id, root)) return newest;
        newest.Dispose();
        return this;
    }

    /// <summary>Gathers a layer's landmark keys of segments, one after the other.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="segments">Segments of this commit.</param>
    /// <param name="keys">[G, c, d]: of each head's c rows the first n are filled, n being the segments' blocks.</param>
    /// <exception cref="LandmarkException">Something is damaged, is not of this commit, or has no room.</exception>
    public void ReadLandmarks(int layer, IReadOnlyList<MemorySegment> segments, Span<float> keys)
    {
        Within(layer, Model.Layers, "layer");
        var (stride, rest) = Math.DivRem(keys.Length, Model.Heads);
        var needed = segments.Sum(s => (long)s.Blocks) * Model.HeadDim;
        if (rest != 0 || stride % Model.HeadDim != 0 || stride < needed)
            throw new LandmarkException(
                $"The landmark keys of these segments are {Model.Heads} times {needed} numbers, and there is room for {keys.Length} in all; give more.");
        var at = 0;
        foreach (var segment in segments)
        {
            var reader = Reader(segment);
            for (var head = 0; head < Model.Heads; head++)
                reader.ReadLandmarks(layer, head, keys.Slice((head * stride) + at, reader.Layout.LandmarkFloats));
            at += reader.Layout.LandmarkFloats;
        }
    }

    /// <summary>Reads keys and values of consecutive blocks.</summary>
    /// <param name="segment">A segment of this commit.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="first">The first block, within the segment.</param>
    /// <param name="numbers">[blocks, G, K|V, ℓ, d] in <see cref="Type"/>: as many blocks as it has room for.</param>
    /// <param name="scales">[blocks, G, K|V, ℓ] for int8, else nothing.</param>
    /// <exception cref="LandmarkException">They are damaged, are not of this commit, or do not fit.</exception>
    public void ReadBlocks(MemorySegment segment, int layer, int first, Span<byte> numbers, Span<float> scales)
    {
        var reader = Reader(segment);
        var blocks = numbers.Length / Math.Max(1, Model.Heads * reader.Layout.HeadBytes);
        Place(reader, layer, first, blocks);
        Fits(reader, blocks * Model.Heads, numbers.Length, scales.Length);
        reader.ReadHeads(layer, first, 0, blocks * Model.Heads, numbers, scales);
    }

    /// <summary>Reads keys and values of one head of a block.</summary>
    /// <param name="segment">A segment of this commit.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="block">The block, within the segment.</param>
    /// <param name="head">The key-value head.</param>
    /// <param name="numbers">[K|V, ℓ, d] in <see cref="Type"/>.</param>
    /// <param name="scales">[K|V, ℓ] for int8, else nothing.</param>
    /// <inheritdoc cref="ReadBlocks"/>
    public void ReadHead(MemorySegment segment, int layer, int block, int head, Span<byte> numbers, Span<float> scales)
    {
        var reader = Reader(segment);
        Place(reader, layer, block, 1);
        Within(head, Model.Heads, "head");
        Fits(reader, 1, numbers.Length, scales.Length);
        reader.ReadHeads(layer, block, head, 1, numbers, scales);
    }

    /// <summary>
    /// Keys and values of a block where the system has them, until this is disposed. A disk that fails there ends the process, as it
    /// does with all mapped memory; <see cref="ReadBlocks"/> throws.
    /// </summary>
    /// <param name="segment">A segment of this commit.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="block">The block, within the segment.</param>
    /// <exception cref="LandmarkException">They are damaged, or are not of this commit.</exception>
    public MappedRows MapBlock(MemorySegment segment, int layer, int block)
    {
        var reader = Reader(segment);
        Place(reader, layer, block, 1);
        return reader.MapHeads(layer, block, 0, Model.Heads);
    }

    /// <summary>The same of one key-value head.</summary>
    /// <inheritdoc cref="MapBlock"/>
    public MappedRows MapHead(MemorySegment segment, int layer, int block, int head)
    {
        var reader = Reader(segment);
        Place(reader, layer, block, 1);
        Within(head, Model.Heads, "head");
        return reader.MapHeads(layer, block, head, 1);
    }

    /// <summary>Where the pages of a layer's blocks begin, one after the other, and in what.</summary>
    /// <param name="segment">A segment of this commit, with blocks.</param>
    /// <param name="layer">The layer.</param>
    internal (SafeFileHandle File, long Offset) PagesOf(MemorySegment segment, int layer) =>
        (file.Handle, segment.Offset + Reader(segment).Layout.PagesAt(layer, 0));

    /// <summary>Has the system begin to read keys and values of a head of a block.</summary>
    internal void ExpectHead(MemorySegment segment, int layer, int block, int head)
    {
        var layout = Reader(segment).Layout;
        file.Expect(segment.Offset + layout.NumbersAt(layer, block, head), layout.HeadBytes);
        if (layout.HeadScales > 0) file.Expect(segment.Offset + layout.ScalesAt(layer, block, head), layout.HeadScales * sizeof(float));
    }

    /// <summary>Reads keys and values of a head of a block, and throws where they are not as they were written.</summary>
    /// <inheritdoc cref="MapHead"/>
    internal void CheckHead(MemorySegment segment, int layer, int block, int head) => Reader(segment).CheckHead(layer, block, head);

    /// <summary>Reads a segment's tokens and text.</summary>
    /// <param name="segment">A segment of this commit.</param>
    /// <exception cref="LandmarkException">They are damaged, or are not of this commit.</exception>
    public SegmentText ReadText(MemorySegment segment) => Reader(segment).ReadText();

    /// <summary>Reads all that this commit uses, and tells what is damaged. Header and catalog were checked when it was opened.</summary>
    /// <param name="cancel">Stops it.</param>
    public IReadOnlyList<MemoryDamage> Check(CancellationToken cancel = default) =>
    [
        .. damagedSlots.Select(slot => new MemoryDamage(null, $"root slot {slot}, which the next writer makes anew")),
        .. readers.Values.SelectMany(r => r.Check(cancel)),
    ];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var reader in readers.Values) reader.Dispose();
        file.Dispose();
    }

    /// <summary>Reads and checks a file's header.</summary>
    internal static MemoryHeader ReadHeader(StoredFile file, MemoryModel? expected)
    {
        var page = new byte[MemoryHeader.Page];
        var header = MemoryHeader.Read(file.Path, page.AsSpan(0, file.ReadSome(page, 0)));
        expected?.Require(file.Path, header.Model);
        return header;
    }

    private SegmentReader Reader(MemorySegment segment)
    {
        ObjectDisposedException.ThrowIf(file.Handle.IsClosed, this);
        return readers.TryGetValue(segment.Offset, out var reader) && reader.Segment == segment ? reader : throw new LandmarkException(
            $"{path} has no such segment at its commit {Sequence}; take segments from the same object's documents and sessions.");
    }

    private void Place(SegmentReader reader, int layer, int first, int blocks)
    {
        Within(layer, Model.Layers, "layer");
        if (first < 0 || blocks < 0 || first > reader.Segment.Blocks - blocks)
            throw new LandmarkException(
                $"There are no {blocks} blocks from block {first} on in a segment of {reader.Segment.Blocks}; ask for those that it has.");
    }

    private static void Within(int index, int count, string what)
    {
        if (index < 0 || index >= count) throw new LandmarkException($"There is no {what} {index} in a memory of {count}; ask for one that it has.");
    }

    private static void Fits(SegmentReader reader, int heads, int numbers, int scales)
    {
        if (numbers != heads * reader.Layout.HeadBytes || scales != heads * reader.Layout.HeadScales)
            throw new LandmarkException(
                $"Keys and values are {reader.Layout.HeadBytes} bytes a head and {reader.Layout.HeadScales} scales, and there is room for "
                + $"{numbers} bytes and {scales} scales for {heads} heads; give buffers of that size.");
    }
}
