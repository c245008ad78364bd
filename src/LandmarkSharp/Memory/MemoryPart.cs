using LandmarkSharp.Memory.Files;

namespace LandmarkSharp.Memory;

/// <summary>A segment's blocks in an open memory.</summary>
/// <param name="File">The file that it lies in.</param>
/// <param name="Document">The document that it belongs to.</param>
/// <param name="Segment">Its number among the document's segments.</param>
/// <param name="First">Blocks of the open memory before it.</param>
/// <param name="Blocks">Its blocks.</param>
internal sealed record MemoryPart(MemoryFile File, MemoryEntry Document, int Segment, long First, int Blocks)
{
    /// <summary>The segment itself.</summary>
    public MemorySegment Stored => Document.Segments[Segment];
}
