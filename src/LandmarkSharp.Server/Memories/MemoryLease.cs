using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Server.Access;

namespace LandmarkSharp.Server.Memories;

/// <summary>
/// One request's claim on memories. It is made when the request comes, and takes nothing yet; the scheduler has it take its memories, all at
/// once, when the request is to run and there is room for them. They stay open then until all who hold it have disposed of it.
/// </summary>
/// <param name="open">What is open.</param>
/// <param name="caller">Whose memories they are.</param>
/// <param name="names">The memories' names, in the order in which they are read.</param>
/// <param name="paths">Their files.</param>
internal sealed class MemoryLease(OpenMemories open, Caller caller, IReadOnlyList<string> names, IReadOnlyList<string> paths) : IDisposable
{
    private int holders = 1;

    /// <summary>Whose memories they are, and how much of them may be open.</summary>
    public Caller Caller => caller;

    /// <summary>The memories' names.</summary>
    public IReadOnlyList<string> Names => names;

    /// <summary>Their files.</summary>
    public IReadOnlyList<string> Paths => paths;

    /// <summary>The complete documents of the files, as they were when they were last looked at.</summary>
    public IReadOnlyList<DocumentVersion> Versions { get; private set; } = [];

    /// <summary>Bytes of their landmark keys, and of an index over them.</summary>
    public long Bytes { get; private set; }

    /// <summary>What it has taken; null for nothing yet.</summary>
    public OpenEntry? Taken { get; set; }

    /// <summary>Whether what it has taken is open, or could not be opened.</summary>
    public bool IsReady => Taken is { Opening.IsCompleted: true };

    /// <summary>Whether the files have become others before they were opened, so that it is to be renewed and to take them again.</summary>
    public bool HasChanged => Taken?.Opening is { IsCompletedSuccessfully: true, Result: null };

    /// <summary>The memories, when they are ready.</summary>
    /// <exception cref="LandmarkException">They cannot be opened.</exception>
    /// <exception cref="RequestException">One is not there any more.</exception>
    public SharedMemory Memory => Taken!.Opening.GetAwaiter().GetResult()!;

    /// <summary>Holds it once more.</summary>
    public MemoryLease Share()
    {
        Interlocked.Increment(ref holders);
        return this;
    }

    /// <summary>Whether what it has taken has been closed to others, since it has changed.</summary>
    public bool IsClosed => Taken is { IsClosed: true };

    /// <summary>Takes the memories where there is room for them now.</summary>
    public MemoryRoom Take() => open.Take(this);

    /// <summary>Takes the memories where they are open, or there is room for them beside all that are.</summary>
    public MemoryRoom TakeBesideOthers() => open.Take(this, closes: false);

    /// <summary>Gives back what it has taken, and looks at the files again.</summary>
    /// <exception cref="LandmarkException">One cannot be read.</exception>
    /// <exception cref="RequestException">One is not there any more, or they could never be open.</exception>
    public void Renew()
    {
        open.End(this);
        (Versions, Bytes) = open.Look(this);
    }

    /// <summary>
    /// A passage as a client is told of it: as much of it as is a document's, for the last one's end may go on into what was asked; null where
    /// nothing is.
    /// </summary>
    public ReadPassage? Of(Passage passage, double mass)
    {
        if (passage is not { Document: { } document, File: { } file, FirstByte: { } first }) return null;
        var index = paths.ToList().IndexOf(file);
        var last = Memory.Opened.Documents[^1];
        var text = passage.Text;
        if (index == names.Count - 1 && document == last.Name && first + passage.Bytes > last.Bytes)
            text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text).AsSpan(0, (int)Math.Max(0, last.Bytes - first)));
        return text.Length == 0 ? null : new ReadPassage(
            names[index], document, mass, passage.Block, passage.FirstToken, first, Encoding.UTF8.GetByteCount(text), text);
    }

    /// <summary>A failure without the folders of this machine.</summary>
    public Exception Told(Exception failure) => failure is not LandmarkException ? failure : new LandmarkException(
        paths.Aggregate(failure.Message, (said, path) => said.Replace(path, Path.GetFileName(path), StringComparison.Ordinal)), failure);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Decrement(ref holders) == 0) open.End(this);
    }
}

/// <summary>Whether memories were taken.</summary>
internal enum MemoryRoom
{
    /// <summary>They were.</summary>
    Taken,

    /// <summary>Others of the same caller have the room that it may take.</summary>
    NoneForCaller,

    /// <summary>Others have all the room that there is.</summary>
    None,
}

/// <summary>A passage of a document that was read.</summary>
/// <param name="Memory">The memory's name.</param>
/// <param name="Document">The document's name.</param>
/// <param name="Mass">The share of attention that it had.</param>
/// <param name="Block">The block's number, as traces have it.</param>
/// <param name="FirstToken">Tokens of the document before it.</param>
/// <param name="FirstByte">Bytes of the document before it.</param>
/// <param name="Bytes">Its bytes in UTF-8.</param>
/// <param name="Text">Its text.</param>
internal sealed record ReadPassage(string Memory, string Document, double Mass, long Block, long FirstToken, long FirstByte, int Bytes, string Text);
