using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory.Files;

/// <summary>
/// The one writer of a memory file. What it does is seen by readers, and is on the disk, from <see cref="Commit"/> on: at once, or not
/// at all, whenever the process or the machine stops. Used by one thread at a time.
/// </summary>
/// <example>
/// <code>
/// using var writer = MemoryFileWriter.Create("books.memory", model, ScalarType.BFloat16);
/// writer.Documents.Add("Moby Dick");
/// writer.Documents.Append("Moby Dick", new SegmentText(tokens, starts, text), segment =>
/// {
///     for (var layer = 0; layer &lt; model.Layers; layer++)
///     {
///         segment.WriteBlocks(layer, 0, numbers[layer], []);
///         segment.WriteLandmarks(layer, keys[layer]);
///     }
/// });
/// writer.Documents.Complete("Moby Dick");
/// writer.Commit();
/// </code>
/// </example>
public sealed class MemoryFileWriter : IDisposable
{
    private const int CopiedAtOnce = 1 << 20;

    private readonly string path;
    private readonly SafeFileHandle held;
    private StoredFile file;
    private MemoryHeader header;
    private MemoryRoot root;            // the last commit
    private MemoryCatalog catalog;      // of the last commit
    private long end;                   // where what is not committed yet ends
    private bool isUncertain, isAppending;

    private MemoryFileWriter(string path, SafeFileHandle held, MemoryModel? expected)
    {
        (this.path, this.held) = (path, held);
        WholeFiles.TryDelete(path + WholeFiles.Partial);
        file = StoredFile.Open(path, FileAccess.ReadWrite);
        (Documents, Sessions) = (new MemoryEntries(this, "document"), new MemoryEntries(this, "session"));
        try
        {
            header = MemoryFile.ReadHeader(file, expected);
            (root, var damaged) = MemoryRoot.Newest(file, header.Id);
            catalog = MemoryCatalog.Read(file, header, root);
            foreach (var slot in damaged)
                WholeFiles.Guard(path, () => MemoryCommit.WriteSlot(file.Handle, header.Id, slot, root));
            Rollback();                 // cuts off what a writer left that died
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The model that it belongs to.</summary>
    public MemoryModel Model => header.Model;

    /// <summary>What keys and values are kept as.</summary>
    public ScalarType Type => header.Type;

    /// <summary>The file, no link to it.</summary>
    internal string FilePath => path;

    /// <summary>The number of the last commit.</summary>
    public long Sequence => root.Sequence;

    /// <summary>The documents.</summary>
    public MemoryEntries Documents { get; }

    /// <summary>The sessions.</summary>
    public MemoryEntries Sessions { get; }

    /// <summary>Makes a memory file with nothing in it, and opens it.</summary>
    /// <param name="path">The file, which must not be there.</param>
    /// <param name="model">The model that it belongs to.</param>
    /// <param name="type">What keys and values are kept as: Float32, BFloat16, or Int8 with a float32 scale for each row.</param>
    /// <exception cref="LandmarkException">It is there, is being written by another, or the disk refuses.</exception>
    public static MemoryFileWriter Create(string path, MemoryModel model, ScalarType type)
    {
        var header = MemoryHeader.Create(model, type);
        RequireNothing(path);                               // or a lock would be left beside it
        return Locked(path, (real, held) =>
        {
            RequireNothing(real);
            WholeFiles.Write(real, target => MemoryCommit.Begin(target.SafeFileHandle, header, new MemoryCatalog([], []), sequence: 1, MemoryRoot.FirstOffset));
            return new MemoryFileWriter(real, held, model);
        });
    }

    /// <summary>Opens a memory file at its last commit; what was written after it is gone.</summary>
    /// <param name="path">The file.</param>
    /// <param name="expected">The model that is to use it; null opens any model's.</param>
    /// <exception cref="LandmarkException">
    /// It is not there, is no memory file, is damaged, belongs to another model, is being written by another, or the disk refuses.
    /// </exception>
    public static MemoryFileWriter Open(string path, MemoryModel? expected = null)
    {
        MemoryFile.Open(path, expected).Dispose();          // no lock is made beside what is no memory file
        return Locked(path, (real, held) => new MemoryFileWriter(real, held, expected));
    }

    /// <summary>Has all that was done on the disk, and seen by readers that open the file from now on.</summary>
    /// <exception cref="LandmarkException">The disk refuses; the file is at its last commit, and all that was done since is dropped.</exception>
    public void Commit()
    {
        RequireReady();
        var next = new MemoryCatalog([.. Documents.All], [.. Sessions.All]);
        var newest = root;
        try
        {
            WholeFiles.Guard(path, () =>
            {
                RandomAccess.FlushToDisk(file.Handle);
                newest = MemoryCommit.WriteCatalog(file.Handle, header.Id, next, root.Sequence + 1, end);
            });
        }
        catch
        {
            Rollback();         // a disk that failed once may have lost what it took before
            throw;
        }
        // From here on the commit may be on the disk, whatever the disk says.
        isUncertain = true;
        WholeFiles.Guard(path, () => MemoryCommit.WriteSlot(file.Handle, header.Id, newest.Slot, newest));
        isUncertain = false;
        (root, catalog, end) = (newest, next, newest.End);
    }

    /// <summary>Drops all that was done since the last commit.</summary>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public void Rollback()
    {
        RequireReady();
        Documents.Set(catalog.Documents);
        Sessions.Set(catalog.Sessions);
        Cut(root.End);
    }

    /// <summary>
    /// Commits by writing all that is used into a new file, which then takes the name: the space of what was removed is free, once the
    /// last reader of the old file has closed it.
    /// </summary>
    /// <param name="cancel">Stops it; all is as it was.</param>
    /// <exception cref="LandmarkException">The disk refuses, for as long as it has no room for both; all is as it was.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Compact(CancellationToken cancel = default)
    {
        RequireReady();
        var (fresh, next) = (MemoryHeader.Create(Model, Type), new MemoryCatalog([.. Documents.All], [.. Sessions.All]));
        var newest = root;
        WholeFiles.WritePartial(path, target =>
        {
            var (moved, at) = (new Dictionary<long, long>(), MemoryRoot.FirstOffset);
            foreach (var segment in next.Segments)
            {
                moved[segment.Offset] = at;
                at = Copy(segment, target.SafeFileHandle, at, cancel);
            }
            MemoryEntry Moved(MemoryEntry entry) => entry with
            {
                Segments = [.. entry.Segments.Select(s => s with { Offset = moved[s.Offset] })],
                Next = entry.Next is { } after ? Moved(after) : null,
            };
            next = new MemoryCatalog([.. next.Documents.Select(Moved)], [.. next.Sessions.Select(Moved)]);
            newest = MemoryCommit.Begin(target.SafeFileHandle, fresh, next, root.Sequence + 1, at);
        });
        // From here on the name may be the new file's, and nothing may be written to the old one.
        isUncertain = true;
        WholeFiles.Commit(path);
        var compacted = StoredFile.Open(path, FileAccess.ReadWrite);
        file.Dispose();
        (file, header, root, catalog) = (compacted, fresh, newest, next);
        isUncertain = false;
        Rollback();
    }

    /// <summary>Closes the file at its last commit and lets others write it.</summary>
    public void Dispose()
    {
        try
        {
            if (!isUncertain && !file.Handle.IsClosed) RandomAccess.SetLength(file.Handle, root.End);
        }
        catch (IOException)
        {
            // The next writer does it.
        }
        file.Dispose();
        held.Dispose();
    }

    /// <summary>Where the pages of a segment's blocks lie, for whoever maps them; closed with this writer.</summary>
    internal (SafeFileHandle File, long Offset) Place(MemorySegment segment, int layer) => (
        file.Handle, segment.Offset + new SegmentLayout(header, segment.Blocks, segment.Tokens, segment.Bytes).PagesAt(layer, 0));

    /// <summary>Reads tokens and text of an entry's segment, whether it is committed or not.</summary>
    /// <exception cref="LandmarkException">They are damaged.</exception>
    internal SegmentText ReadText(MemoryEntry entry, int segment)
    {
        var stored = entry.Segments[segment];
        using var reader = new SegmentReader(
            file, stored, new SegmentLayout(header, stored.Blocks, stored.Tokens, stored.Bytes), entry.Name, entry.Segments.Take(segment).Sum(s => (long)s.Blocks));
        return reader.ReadText();
    }

    /// <summary>Begins a segment after all that is there; it counts from the commit on that has it in its catalog.</summary>
    /// <param name="text">Tokens and text.</param>
    /// <param name="filled">Whether the last block is filled up.</param>
    /// <param name="finished">Told when all of it is there.</param>
    internal BegunSegment Begin(SegmentText text, bool filled, Action<MemorySegment> finished)
    {
        RequireReady();
        text.Check();
        var (tokens, block) = (text.Tokens.Length, Model.BlockTokens);
        if (tokens > block && tokens % block != 0 && !filled)
            throw new LandmarkException(
                $"{tokens} tokens are no whole blocks of {block}, and more than a tail; write the {tokens / block * block} of whole blocks, "
                + "and then the rest, or fill up the last block.");
        var blocks = (tokens + (filled ? block - 1 : 0)) / block;
        var begin = end;
        var writer = new SegmentWriter(file.Handle, begin, header, text, blocks);
        var begun = new BegunSegment(path, writer, finished, ended: whole =>
        {
            isAppending = false;
            if (!whole) Cut(begin);
        });
        isAppending = true;
        try
        {
            WholeFiles.Guard(path, () => RandomAccess.SetLength(file.Handle, end = writer.End));
            return begun;
        }
        catch
        {
            begun.Dispose();
            throw;
        }
    }

    private static MemoryFileWriter Locked(string path, Func<string, SafeFileHandle, MemoryFileWriter> open)
    {
        var real = StoredFile.Real(path);
        var held = WriterLock.Take(real);
        try
        {
            return open(real, held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    private static void RequireNothing(string path)
    {
        if (Path.Exists(path)) throw new LandmarkException($"There is something at {path} already; open it, or choose another path.");
    }

    private long Copy(MemorySegment segment, SafeFileHandle target, long at, CancellationToken cancel)
    {
        var left = new SegmentLayout(header, segment.Blocks, segment.Tokens, segment.Bytes).Length;
        var buffer = new byte[Math.Min(left, CopiedAtOnce)];
        for (var from = segment.Offset; left > 0;)
        {
            cancel.ThrowIfCancellationRequested();
            // As it is: what is damaged stays found.
            var bytes = buffer.AsSpan(0, (int)Math.Min(left, buffer.Length));
            file.Read(bytes, from);
            RandomAccess.Write(target, bytes, at);
            (from, at, left) = (from + bytes.Length, at + bytes.Length, left - bytes.Length);
        }
        return at;
    }

    // Has the file end there; while it does not, what lies behind could be taken for its newest commit.
    private void Cut(long at)
    {
        end = at;
        isUncertain = true;
        WholeFiles.Guard(path, () => RandomAccess.SetLength(file.Handle, at));
        isUncertain = false;
    }

    private void RequireReady()
    {
        if (isAppending) throw new LandmarkException($"A segment is being written to {path}; do anything else when that is done.");
        if (isUncertain)
            throw new LandmarkException($"{path} could not be written to the end, and may be at this commit or the last; open it anew.");
    }
}
