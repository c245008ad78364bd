using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text.Json;
using static TorchSharp.torch;

namespace LandmarkSharp.Memory.Files;

/// <summary>The first page of a memory file, which never changes: what the file is, whose, and how its numbers are kept.</summary>
/// <param name="Id">Drawn at random for each file.</param>
/// <param name="Model">The model.</param>
/// <param name="Type">What keys and values are kept as: Float32, BFloat16, or Int8 with a float32 scale for each row.</param>
internal sealed record MemoryHeader(ulong Id, MemoryModel Model, ScalarType Type)
{
    /// <summary>Everything begins at a multiple of so many bytes: what a disk writes at once, and what can be mapped.</summary>
    public const int Page = BlockPages.Page;

    /// <summary>Another number for every change of the format.</summary>
    public const int Version = 2;

    private const int JsonStart = 16, HashStart = Page - sizeof(ulong);

    // As that of PNG: a byte that is no text, and line ends that a transfer as text would change.
    private static ReadOnlySpan<byte> Magic => [0x89, (byte)'L', (byte)'M', (byte)'E', (byte)'M', (byte)'\r', (byte)'\n', 0x1a];

    /// <summary>Makes the header of a new file.</summary>
    /// <exception cref="LandmarkException">No such file is possible.</exception>
    public static MemoryHeader Create(MemoryModel model, ScalarType type)
    {
        if (!model.IsPossible)
            throw new LandmarkException($"There is no memory file for {model}; give fingerprints, and sizes of at least 1.");
        if (NameOf(type) is null)
            throw new LandmarkException($"A memory file cannot keep blocks as {type}; choose float32, bfloat16 or int8.");
        return new MemoryHeader((ulong)Random.Shared.NextInt64(long.MinValue, long.MaxValue), model, type);
    }

    /// <summary>The page: magic, version, length of the JSON, JSON, zeros, and the hash of all that.</summary>
    /// <exception cref="LandmarkException">The fingerprints are too long for it.</exception>
    public byte[] ToPage()
    {
        var page = new byte[Page];
        var json = JsonSerializer.SerializeToUtf8Bytes(new Fields(Id, NameOf(Type)!, Model), MemoryCatalog.Json);
        if (json.Length > HashStart - JsonStart)
            throw new LandmarkException(
                $"A memory file's header has room for {HashStart - JsonStart} bytes, and it needs {json.Length}; give shorter fingerprints.");
        Magic.CopyTo(page);
        BinaryPrimitives.WriteInt32LittleEndian(page.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(page.AsSpan(12), json.Length);
        json.CopyTo(page, JsonStart);
        BinaryPrimitives.WriteUInt64LittleEndian(page.AsSpan(HashStart), XxHash3.HashToUInt64(page.AsSpan(0, HashStart)));
        return page;
    }

    /// <summary>Reads the page.</summary>
    /// <exception cref="LandmarkException">It is none, is damaged, or of another version.</exception>
    public static MemoryHeader Read(string path, ReadOnlySpan<byte> page)
    {
        if (page.Length < Magic.Length || !page[..Magic.Length].SequenceEqual(Magic))
            throw new LandmarkException($"{path} is no memory file; give one that was made as such.");
        if (page.Length < Page)
            throw new LandmarkException($"{path} is cut short: not even its header is whole; restore it from a copy.");
        // Magic, version and this hash stay where they are in all versions.
        if (BinaryPrimitives.ReadUInt64LittleEndian(page[HashStart..]) != XxHash3.HashToUInt64(page[..HashStart])) throw Damaged(path);
        var version = BinaryPrimitives.ReadInt32LittleEndian(page[8..]);
        if (version != Version)
            throw new LandmarkException(
                $"{path} has version {version} of the format, and this program reads {Version}; open it with the version that wrote it.");
        var length = BinaryPrimitives.ReadInt32LittleEndian(page[12..]);
        if (length is < 0 or > HashStart - JsonStart) throw Damaged(path);
        try
        {
            var fields = JsonSerializer.Deserialize<Fields>(page.Slice(JsonStart, length), MemoryCatalog.Json);
            return fields is { Model.IsPossible: true } && TypeOf(fields.Type) is { } type
                ? new MemoryHeader(fields.Id, fields.Model, type) : throw Damaged(path);
        }
        catch (JsonException)
        {
            throw Damaged(path);
        }
    }

    private static LandmarkException Damaged(string path) => new($"{path} is damaged: its header is not as it was written; restore it from a copy.");

    private static string? NameOf(ScalarType type) => type switch
    {
        ScalarType.Float32 => "float32",
        ScalarType.BFloat16 => "bfloat16",
        ScalarType.Int8 => "int8",
        _ => null,
    };

    private static ScalarType? TypeOf(string name) => name switch
    {
        "float32" => ScalarType.Float32,
        "bfloat16" => ScalarType.BFloat16,
        "int8" => ScalarType.Int8,
        _ => null,
    };

    private sealed record Fields(ulong Id, string Type, MemoryModel Model);
}
