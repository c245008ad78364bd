using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Memory.Files;

/// <summary>A document or a session as it is at a commit.</summary>
/// <param name="Name">Any text; no other document, or no other session, has it.</param>
/// <param name="Complete">Whether all of it is there; one that is not goes on where it stopped.</param>
/// <param name="From">The session that a session forked from; null for one that began with the documents alone, and for a document.</param>
/// <param name="Segments">What it consists of, in the order of its text.</param>
public sealed record MemoryEntry(string Name, bool Complete, string? From, IReadOnlyList<MemorySegment> Segments)
{
    /// <summary>What takes the place of one that is complete, as far as it is written; null where it is not being replaced.</summary>
    public MemoryEntry? Next { get; init; }

    /// <summary>The documents that a session had read when it was saved, in their order; null for a document, and where that was not kept.</summary>
    public IReadOnlyList<DocumentVersion>? Read { get; init; }

    /// <summary>The one that is written to: what takes its place, or itself.</summary>
    [JsonIgnore]
    public MemoryEntry Written => Next ?? this;

    /// <summary>What tells it from others that had or will have its name.</summary>
    [JsonIgnore]
    public DocumentVersion Version => new(Name, XxHash3.HashToUInt64(MemoryMarshal.AsBytes<ulong>(Segments.Select(s => s.Check).ToArray())));

    /// <summary>Complete blocks.</summary>
    [JsonIgnore]
    public long Blocks => Segments.Sum(s => (long)s.Blocks);

    /// <summary>Regular tokens.</summary>
    [JsonIgnore]
    public long Tokens => Segments.Sum(s => (long)s.Tokens);

    /// <summary>Bytes of text.</summary>
    [JsonIgnore]
    public long Bytes => Segments.Sum(s => (long)s.Bytes);
}
