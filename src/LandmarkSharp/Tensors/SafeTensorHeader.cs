using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// The header of a safetensors file: 8 bytes of length (little-endian), then a JSON object that gives each tensor's
/// type, shape and place. Nothing of it is believed before it is checked.
/// </summary>
internal sealed class SafeTensorHeader
{
    /// <summary>The bytes before the JSON.</summary>
    public const int LengthBytes = 8;

    /// <summary>The longest JSON that is read: 100 MB, as in the format's reference.</summary>
    public const long LongestJson = 100_000_000;

    private const string MetadataKey = "__metadata__";
    private const int MaxRank = 64;

    private readonly string path;
    private readonly long dataStart;
    private readonly long fileLength;
    private readonly Dictionary<string, TensorEntry> entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> metadata = new(StringComparer.Ordinal);
    private bool hasMetadata;

    private SafeTensorHeader(string path, long dataStart, long fileLength)
    {
        this.path = path;
        this.dataStart = dataStart;
        this.fileLength = fileLength;
    }

    public IReadOnlyDictionary<string, TensorEntry> Entries => entries;

    public IReadOnlyDictionary<string, string> Metadata => metadata;

    /// <summary>Checks the length that the first 8 bytes state and returns it.</summary>
    public static int JsonLength(string path, ReadOnlySpan<byte> start, long fileLength)
    {
        if (start.Length < LengthBytes)
            throw Broken(path, $"it is {fileLength} bytes long, and the header's length alone takes {LengthBytes}");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > LongestJson)
            throw Broken(path, $"its header would be {length} bytes long, and at most {LongestJson} are read");
        if ((long)length > fileLength - LengthBytes)
            throw Broken(path, $"its header would be {length} bytes long, and {fileLength - LengthBytes} follow");
        return (int)length;
    }

    /// <summary>Reads and checks the JSON.</summary>
    /// <param name="path">The file, for errors.</param>
    /// <param name="json">The header after its length.</param>
    /// <param name="fileLength">The whole file's length: the data must fill exactly what the header leaves.</param>
    public static SafeTensorHeader Parse(string path, ReadOnlySpan<byte> json, long fileLength)
    {
        if (json.IsEmpty || json[0] != '{')
            throw Broken(path, "its header is not a JSON object");
        if (!Utf8.IsValid(json))
            throw Broken(path, "its header is not valid UTF-8");

        var header = new SafeTensorHeader(path, LengthBytes + json.Length, fileLength);
        try
        {
            using var document = JsonDocument.Parse(json.ToArray());
            foreach (var property in document.RootElement.EnumerateObject())
                header.Read(property.Name, property.Value);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a name with half a surrogate pair.
            throw new LandmarkException(
                $"{path} is not a safetensors file: its header is not valid JSON ({e.InBrief()}); fetch or write it again.", e);
        }

        header.CheckLayout();
        return header;
    }

    public static LandmarkException Broken(string path, string reason) =>
        new($"{path} is not a whole safetensors file: {reason}; fetch or write it again.");

    private void Read(string name, JsonElement value)
    {
        if (name == MetadataKey)
        {
            ReadMetadata(value);
            return;
        }

        if (value.ValueKind != JsonValueKind.Object)
            throw Broken(path, $"the entry of tensor '{name}' is not a JSON object");
        var type = Type(name, Field(name, value, "dtype"));
        var shape = Integers(name, Field(name, value, "shape"), "shape");
        var offsets = Integers(name, Field(name, value, "data_offsets"), "data_offsets");
        if (offsets is not [var begin, var end] || begin > end)
            throw Broken(path, $"the data_offsets of tensor '{name}' are not a begin and an end");
        if (end > fileLength - dataStart)
            throw Broken(
                path, $"tensor '{name}' ends at byte {end} of the data, and there are {fileLength - dataStart}");

        var expected = ByteLength(shape, SafeTensorTypes.Size(type));
        if (expected != end - begin)
            throw Broken(
                path, $"tensor '{name}' of shape [{string.Join(", ", shape)}] takes {expected} bytes, and its "
                + $"data_offsets hold {end - begin}");
        if (!entries.TryAdd(name, new TensorEntry(name, type, shape, dataStart + begin, end - begin)))
            throw Broken(path, $"tensor '{name}' is listed twice");
    }

    private void ReadMetadata(JsonElement value)
    {
        if (hasMetadata || value.ValueKind != JsonValueKind.Object)
            throw Broken(path, $"{MetadataKey} is not one JSON object");
        hasMetadata = true;
        foreach (var property in value.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.String
                || !metadata.TryAdd(property.Name, property.Value.GetString()!))
                throw Broken(path, $"the {MetadataKey} '{property.Name}' is not one text");
        }
    }

    private JsonElement Field(string name, JsonElement entry, string field)
    {
        var found = default(JsonElement);
        var times = 0;
        foreach (var property in entry.EnumerateObject())
        {
            if (!property.NameEquals(field))
                continue;
            found = property.Value;
            times++;
        }

        return times == 1 ? found : throw Broken(path, $"tensor '{name}' states its {field} {times} times");
    }

    private ScalarType Type(string name, JsonElement value)
    {
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "(no text)";
        return SafeTensorTypes.Parse(text) ?? throw new LandmarkException(
            $"Tensor '{name}' of {path} has the type {text}, and only {SafeTensorTypes.Names} are read: convert it.");
    }

    private long[] Integers(string name, JsonElement value, string field)
    {
        if (value.ValueKind != JsonValueKind.Array)
            throw Broken(path, $"the {field} of tensor '{name}' is not a list");
        if (value.GetArrayLength() > MaxRank)
            throw Broken(path, $"the {field} of tensor '{name}' has more than {MaxRank} numbers");
        var result = new long[value.GetArrayLength()];
        var i = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out result[i]) || result[i] < 0)
                throw Broken(path, $"the {field} of tensor '{name}' holds something that is no size");
            i++;
        }

        return result;
    }

    // -1 stands for more than any file holds.
    private static long ByteLength(long[] shape, int size)
    {
        if (shape.Contains(0))
            return 0;
        Int128 bytes = size;
        foreach (var dimension in shape)
        {
            bytes *= dimension;
            if (bytes > long.MaxValue)
                return -1;
        }

        return (long)bytes;
    }

    // Tensors must cover the data exactly, one after the other: what the header does not describe may hide anything.
    private void CheckLayout()
    {
        var at = dataStart;
        TensorEntry? last = null;
        foreach (var entry in entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Bytes))
        {
            if (entry.Offset < at)
                throw Broken(path, $"tensors '{last?.Name}' and '{entry.Name}' overlap");
            if (entry.Offset > at)
                throw Broken(path, $"{entry.Offset - at} bytes before tensor '{entry.Name}' belong to no tensor");
            at += entry.Bytes;
            last = entry;
        }

        if (at != fileLength)
            throw Broken(path, $"{fileLength - at} bytes at its end belong to no tensor");
    }
}
