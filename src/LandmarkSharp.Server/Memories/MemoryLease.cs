using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Server.Memories;

/// <summary>One request's hold on open memories, which stay open until it is disposed.</summary>
/// <param name="names">The memories' names, in the order in which they are read.</param>
/// <param name="paths">Their files.</param>
/// <param name="memory">The memories.</param>
/// <param name="ended">Told once, when it is disposed.</param>
internal sealed class MemoryLease(IReadOnlyList<string> names, IReadOnlyList<string> paths, SharedMemory memory, Action ended) : IDisposable
{
    private Action? ended = ended;

    /// <summary>The memories' names.</summary>
    public IReadOnlyList<string> Names => names;

    /// <summary>The memories.</summary>
    public SharedMemory Memory => memory;

    /// <summary>The name of the memory in which a document lies.</summary>
    public string NameOf(MemoryEntry document) => NameOf(memory.Opened.FileOf(document).FilePath);

    /// <summary>The name of the memory of a file.</summary>
    public string NameOf(string file) => names[paths.ToList().IndexOf(file)];

    /// <summary>
    /// A passage as a client is told of it: as much of it as is a document's, for the last one's end may go on into what was asked; null where
    /// nothing is.
    /// </summary>
    public ReadPassage? Of(Passage passage, double mass)
    {
        if (passage is not { Document: { } document, File: { } file, FirstByte: { } first }) return null;
        var index = paths.ToList().IndexOf(file);
        var last = memory.Opened.Documents[^1];
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
    public void Dispose() => Interlocked.Exchange(ref ended, null)?.Invoke();
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
