using System.Runtime.CompilerServices;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Server.Memories;

/// <summary>One caller's memories: files in a folder of its own, as the tool makes them. For any number of threads.</summary>
internal sealed class MemoryShelf
{
    private const string Suffix = ".memory", Uploads = ".incoming";

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    private readonly string folder;
    private readonly LibraryParts parts;

    /// <summary>Opens one, and goes on with the documents that were on their way.</summary>
    /// <param name="folder">Its folder.</param>
    /// <param name="parts">What all shelves have in common.</param>
    /// <param name="caller">Whose it is.</param>
    public MemoryShelf(string folder, LibraryParts parts, Caller caller)
    {
        (this.folder, this.parts, Caller) = (folder, parts, caller);
        Queue = new DocumentQueue(Path.Combine(folder, Uploads), parts.Reader, this, parts.Log);
        Sessions = new MemorySessions(this, parts);
        Queue.Resume();
    }

    /// <summary>Whose it is, with its limits as they were last told.</summary>
    public Caller Caller { get; set; }

    /// <summary>Documents on their way.</summary>
    public DocumentQueue Queue { get; }

    /// <summary>Sessions that are kept in the memories.</summary>
    public MemorySessions Sessions { get; }

    /// <summary>All memories, by name.</summary>
    public MemoryList All() => new(
        [.. Files().Select(path => Describe(NameOf(path)) with { Documents = null })
            .OrderBy(m => m.Name, StringComparer.Ordinal)]);

    /// <summary>Makes a memory with nothing in it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="blockType">What keys and values are kept as: "float32", "bfloat16" or "int8"; null for as answers keep them.</param>
    /// <exception cref="RequestException">The name or the type is none, or there is a memory of that name.</exception>
    public MemoryInfo Create(string? name, string? blockType)
    {
        var path = Path.Combine(folder, MemoryNames.Memory(name) + Suffix);
        var asked = parts.Engine.Retrieval!.BlockType;
        ScalarType type = blockType switch
        {
            null => asked ?? ScalarType.Float32,
            "float32" => ScalarType.Float32,
            "bfloat16" => ScalarType.BFloat16,
            "int8" => ScalarType.Int8,
            _ => throw RequestException.Field("block_type", $"The type '{blockType}' is not known; use float32, bfloat16 or int8."),
        };
        if (asked is not null && asked != type)
            throw RequestException.Field(
                "block_type", $"This server answers from blocks of the type {TypeName(asked.Value)} alone; use that, or leave it out.");
        Guarded(() =>
        {
            Directory.CreateDirectory(folder);
            if (File.Exists(path))
                throw new RequestException(
                    StatusCodes.Status409Conflict, $"There is a memory '{name}' already; delete it, or choose another name.", "name", "memory_exists");
            using var writer = MemoryFileWriter.Create(path, parts.Reader.Model, type);
            try
            {
                parts.Reader.Maker(writer);
            }
            catch (LandmarkException)
            {
                File.Delete(path);
                throw RequestException.Field("block_type", $"This model cannot keep blocks as {TypeName(type)}; use another type, or leave it out.");
            }
        });
        return Describe(name!);
    }

    /// <summary>A memory and its documents.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    public MemoryInfo Describe(string name)
    {
        var path = PathOf(name);
        try
        {
            using var file = MemoryFile.Open(path, parts.Reader.Model);
            var complete = file.Documents.Where(d => d.Complete).ToDictionary(d => d.Name);
            var coming = Queue.Of(name).ToDictionary(i => i.Record.Document);
            DocumentInfo[] documents =
                [.. complete.Keys.Union(coming.Keys).Select(d => Told(d, complete.GetValueOrDefault(d), coming.GetValueOrDefault(d)))];
            return new MemoryInfo(
                name, parts.ModelName, TypeName(file.Type), file.Bytes, complete.Values.Sum(d => d.Tokens), complete.Count, documents);
        }
        catch (LandmarkException e)
        {
            return new MemoryInfo(name, parts.ModelName, null, new FileInfo(path).Length, 0, 0, [], Told(e));
        }
    }

    /// <summary>Deletes a memory with all its documents; answers that are being read from it go on.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    public async Task Delete(string name)
    {
        var path = PathOf(name);
        Queue.Remove(name);
        using var held = await Queue.Hold(name);
        Guarded(() => File.Delete(path));
        parts.Open.Close(path);
    }

    /// <summary>A document.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    public DocumentInfo Document(string memory, string document) => Find(memory, document) ?? throw NoDocument(document);

    /// <summary>A document whenever it has changed, until nothing is to happen to it any more, or it is removed.</summary>
    public async IAsyncEnumerable<DocumentInfo> Follow(string memory, string document, [EnumeratorCancellation] CancellationToken cancel)
    {
        DocumentInfo? last = null;
        while (last is not { IsSettled: true } && !parts.Stopping.IsCancellationRequested)
        {
            if (!File.Exists(Path.Combine(folder, memory + Suffix)) || Find(memory, document) is not { } now) yield break;
            if (now != last) yield return last = now;
            else await Task.Delay(Look, cancel);
        }
    }

    /// <summary>Removes a document, also one that is on its way.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    public async Task Remove(string memory, string document)
    {
        var path = PathOf(memory);
        var coming = Queue.Remove(memory, document);
        using var held = await Queue.Hold(memory);
        var there = false;
        Guarded(() => there = parts.Reader.Remove(path, document));
        if (!there && !coming) throw NoDocument(document);
    }

    /// <summary>A piece of a document's text, in pieces.</summary>
    /// <param name="memory">The memory.</param>
    /// <param name="document">The document.</param>
    /// <param name="from">Its first byte.</param>
    /// <param name="to">The byte after its last; null for the text's end.</param>
    /// <exception cref="RequestException">There is none of that name, or it has no such bytes.</exception>
    public IEnumerable<ReadOnlyMemory<byte>> Text(string memory, string document, long from, long? to)
    {
        using var file = Open(memory);
        var entry = file.Documents.FirstOrDefault(d => d.Complete && d.Name == document) ?? throw NoDocument(document);
        if (from < 0 || to < from || (to ?? from) > entry.Bytes)
            throw RequestException.Field(
                from < 0 || from > entry.Bytes ? "from" : "to",
                $"The document has {entry.Bytes} bytes, and there are none from {from} to {to ?? entry.Bytes}; ask for those that it has.");
        var at = 0L;
        foreach (var segment in entry.Segments)
        {
            var (first, end) = (Math.Max(0, from - at), Math.Min(segment.Bytes, (to ?? entry.Bytes) - at));
            if (first < end) yield return file.ReadText(segment).Text.AsMemory((int)first, (int)(end - first));
            at += segment.Bytes;
        }
    }

    /// <summary>A request's claim on memories, which a job takes when it is to run.</summary>
    /// <exception cref="RequestException">There is none of a name, one is named twice, or they are more than may ever be open.</exception>
    public MemoryLease Lease(IReadOnlyList<string> names)
    {
        var lease = new MemoryLease(parts.Open, Caller, names, Paths(names));
        Guarded(lease.Renew);
        return lease;
    }

    /// <summary>The documents of memories as they are now, which nothing of them need be open for.</summary>
    /// <exception cref="RequestException">There is none of a name, or one is named twice.</exception>
    public MemoryTexts Texts(IReadOnlyList<string> names)
    {
        MemoryTexts? texts = null;
        Guarded(() => texts = MemoryTexts.Open(Paths(names), parts.Reader.Model));
        return texts!;
    }

    /// <summary>The name of the memory of a file.</summary>
    public static string NameOf(string path) => Path.GetFileName(path)[..^Suffix.Length];

    /// <summary>Reads a document that has come.</summary>
    public async Task Read(DocumentReader reader, Incoming incoming)
    {
        var path = PathOf(incoming.Record.Memory);
        long? room = DiskBytes is { } most ? most - UsedBytes() + new FileInfo(path).Length : null;
        await reader.Read(Caller, incoming, path, HotBytes, room);
    }

    /// <summary>Has memories that are likely to be asked ready for it.</summary>
    public void Prepare(IReadOnlyList<string> names) => MemoryPreparation.Begin(this, parts, names);

    /// <summary>Makes sure that a document may come, before any of it does.</summary>
    /// <exception cref="RequestException">It is too large, or there is no room for what its reading takes; or the memory is not there.</exception>
    public void RequireRoom(string memory, long bytes)
    {
        using var file = Open(memory);
        if (bytes > UploadBytes)
            throw new RequestException(
                StatusCodes.Status413PayloadTooLarge, $"A document may have {UploadBytes:N0} bytes here; send a shorter one, or several.",
                code: "too_large");
        var read = Incoming.TokensAbout(bytes) * parts.Reader.BytesPerToken(file.Type);
        if (DiskBytes is { } most && UsedBytes() + bytes + read > most)
            throw new RequestException(
                StatusCodes.Status507InsufficientStorage,
                $"A document of {bytes:N0} bytes takes about {read / 1e6:N0} MB when it is read, and all memories may have {most / 1e6:N0} MB; "
                + "remove others, or keep blocks as int8.", code: "insufficient_storage");
    }

    /// <summary>Makes sure that there is room for a session of so many tokens.</summary>
    /// <exception cref="RequestException">There is none.</exception>
    public void RequireRoomOnDisk(string memory, long tokens)
    {
        if (DiskBytes is not { } most) return;
        using var file = Open(memory);
        var takes = tokens * parts.Reader.BytesPerToken(file.Type);
        if (UsedBytes() + takes > most)
            throw new RequestException(
                StatusCodes.Status507InsufficientStorage,
                $"A session of {tokens:N0} tokens takes about {takes / 1e6:N0} MB, and all memories may have {most / 1e6:N0} MB; remove others.",
                "landmark.session", "insufficient_storage");
    }

    /// <summary>Bytes that a document may have.</summary>
    public long UploadBytes => Math.Min(parts.Options.MaxUploadBytes, Caller.Limits.UploadBytes ?? long.MaxValue);

    /// <summary>That there is no memory of a name.</summary>
    internal static RequestException NotThere(string name, string field) => new(
        StatusCodes.Status404NotFound, $"There is no memory '{name}'; make one by POST /v1/memories.", field, "memory_not_found");

    /// <summary>The sentence of a failure, without the folders of this machine.</summary>
    public string Told(Exception e) => e is LandmarkException or RequestException
        ? e.Message.Replace(folder + Path.DirectorySeparatorChar, "", StringComparison.Ordinal) : "The server failed at this; its log says how.";

    private long? DiskBytes => Least(parts.Options.MemoryDiskBytes, Caller.Limits.DiskBytes);

    private long? HotBytes => Least(parts.Options.MemoryHotBytes, Caller.Limits.HotBytes);

    private static long? Least(long? a, long? b) => a is null ? b : b is null ? a : Math.Min(a.Value, b.Value);

    private static string TypeName(ScalarType type) => type.ToString().ToLowerInvariant();

    private static RequestException NoDocument(string document) => new(
        StatusCodes.Status404NotFound, $"There is no document '{document}' in this memory; see the memory's list.", "document", "document_not_found");

    private static DocumentInfo Told(string name, MemoryEntry? complete, Incoming? coming) => new(
        name, coming?.State.ToString().ToLowerInvariant() ?? DocumentInfo.Ready, complete?.Tokens, complete?.Bytes, coming?.Progress,
        coming?.Record.Error);

    private string[] Paths(IReadOnlyList<string> names) => names.Distinct().Count() == names.Count
        ? [.. names.Select(n => PathOf(n, "memories"))]
        : throw RequestException.Field("memories", "A memory is named twice; name each once.");

    private IEnumerable<string> Files() => Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*" + Suffix) : [];

    private long UsedBytes() => Directory.Exists(folder)
        ? new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(f => f.Length) : 0;

    /// <summary>A memory's file.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    public string PathOf(string name, string field = "name")
    {
        var path = Path.Combine(folder, MemoryNames.Memory(name, field) + Suffix);
        return File.Exists(path) ? path : throw NotThere(name, field);
    }

    private DocumentInfo? Find(string memory, string document)
    {
        // What is coming is looked at first: when it is not any more, it is there.
        var coming = Queue.Of(memory).FirstOrDefault(i => i.Record.Document == document);
        using var file = Open(memory);
        var complete = file.Documents.FirstOrDefault(d => d.Complete && d.Name == document);
        return complete is null && coming is null ? null : Told(document, complete, coming);
    }

    /// <summary>A memory's file as it is now.</summary>
    /// <exception cref="RequestException">There is none of that name.</exception>
    /// <exception cref="LandmarkException">It cannot be opened.</exception>
    public MemoryFile Open(string memory)
    {
        MemoryFile? file = null;
        Guarded(() => file = MemoryFile.Open(PathOf(memory), parts.Reader.Model));
        return file!;
    }

    /// <summary>Has sentences name memories by their files' names alone.</summary>
    public void Guarded(Action act)
    {
        try
        {
            act();
        }
        catch (LandmarkException e)
        {
            throw new LandmarkException(Told(e), e);
        }
    }
}
