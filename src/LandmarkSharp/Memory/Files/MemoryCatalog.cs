using System.IO.Hashing;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Memory.Files;

/// <summary>All that a memory file holds at a commit.</summary>
/// <param name="Documents">The documents, in their order.</param>
/// <param name="Sessions">The sessions, in their order.</param>
internal sealed record MemoryCatalog(IReadOnlyList<MemoryEntry> Documents, IReadOnlyList<MemoryEntry> Sessions)
{
    /// <summary>How the file's JSON is written.</summary>
    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
    };

    /// <summary>All that has segments: documents, sessions, and what takes their places.</summary>
    [JsonIgnore]
    public IEnumerable<MemoryEntry> Entries => Documents.Concat(Sessions).SelectMany(e => e.Next is { } next ? [e, next] : (MemoryEntry[])[e]);

    /// <summary>Each segment once.</summary>
    [JsonIgnore]
    public IEnumerable<MemorySegment> Segments => Entries.SelectMany(e => e.Segments).DistinctBy(s => s.Offset);

    /// <summary>Reads the catalog of a commit.</summary>
    /// <exception cref="LandmarkException">It is damaged, or the file is cut short.</exception>
    public static MemoryCatalog Read(StoredFile file, MemoryHeader header, MemoryRoot root)
    {
        if (root.End > file.Length)
            throw new LandmarkException(
                $"{file.Path} is cut short: its newest commit ends at byte {root.End}, and the file at {file.Length}; restore it from a copy.");
        var bytes = new byte[root.Length];
        file.Read(bytes, root.Offset);
        if (XxHash3.HashToUInt64(bytes) == root.Hash && Parse(bytes) is { } catalog && catalog.IsPossible(header, root)) return catalog;
        throw new LandmarkException($"{file.Path} is damaged: the catalog of its newest commit is not as it was written; restore it from a copy.");
    }

    /// <summary>As it is written.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    private static MemoryCatalog? Parse(byte[] bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<MemoryCatalog>(bytes, Json);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private bool IsPossible(MemoryHeader header, MemoryRoot root) =>
        AreNamed(Documents) && AreNamed(Sessions) && Segments.All(s => IsPossible(s, header, root))
        && Entries.All(e => e.Segments.SkipLast(1).All(s => s.Blocks > 0 && !s.IsFilled(header.Model)));

    private static bool AreNamed(IReadOnlyList<MemoryEntry>? entries) =>
        entries is not null && entries.All(e => IsWritten(e) && (e.Next is null || (IsWritten(e.Next) && e.Complete && e.Next is { Complete: false, Next: null } && e.Next.Name == e.Name)))
        && entries.DistinctBy(e => e.Name, StringComparer.Ordinal).Count() == entries.Count;

    private static bool IsWritten(MemoryEntry entry) => entry is { Name: not null, Segments: not null } && entry.Segments.All(s => s is not null)
        && (entry.Read ?? []).All(d => d is { Name: not null });

    private static bool IsPossible(MemorySegment segment, MemoryHeader header, MemoryRoot root)
    {
        var (offset, blocks, tokens, bytes, _) = segment;
        if (offset < MemoryRoot.FirstOffset || offset % MemoryHeader.Page != 0 || blocks < 0 || tokens < 0 || bytes < 0) return false;
        var (least, most) = (((blocks - 1L) * header.Model.BlockTokens) + 1, (long)blocks * header.Model.BlockTokens);
        if (blocks > 0 ? tokens < least || tokens > most : tokens >= header.Model.BlockTokens) return false;
        try
        {
            return new SegmentLayout(header, blocks, tokens, bytes).Length <= root.Offset - offset;
        }
        catch (OverflowException)
        {
            return false;
        }
    }
}
