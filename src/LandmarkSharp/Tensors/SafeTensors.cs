using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>Writes tensors in the safetensors format: a file, or shards as Hugging Face lays them out.</summary>
public static class SafeTensors
{
    /// <summary>The file of a model that needs no shards.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>The file that says which shard holds which tensor.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private const int ChunkBytes = 1 << 26;

    /// <summary>
    /// Writes <c>path.partial</c> and renames it: until then the old file stays as it is, also when the process is
    /// killed. A path has one writer at a time.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Names and tensors, on any device; each is brought to the CPU in its turn.</param>
    /// <param name="metadata">Texts for the header; <c>format</c>, which transformers needs, is <c>pt</c> unless given.
    /// </param>
    /// <exception cref="LandmarkException">A name comes twice, a type has no name in the format, or the disk refuses.
    /// </exception>
    public static void Write(
        string path,
        IEnumerable<(string Name, Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        LibTorch.Load();
        var plan = Plan(path, Planned(tensors));
        WholeFiles.Write(path, file => WriteTensors(file, plan, metadata));
    }

    /// <summary>
    /// Writes a model's folder: <c>model.safetensors</c> when it fits, else <c>model-00001-of-0000N.safetensors</c> and
    /// so on with <c>model.safetensors.index.json</c>. Weights of an earlier model there are replaced at the end.
    /// </summary>
    /// <param name="folder">The folder; made when it is not there.</param>
    /// <param name="tensors">Names and tensors, in the order of the shards.</param>
    /// <param name="maxShardBytes">The most bytes of tensors in a file; a larger tensor has a file to itself.</param>
    /// <param name="metadata">As for <see cref="Write"/>.</param>
    public static void WriteSharded(
        string folder,
        IEnumerable<(string Name, Tensor Tensor)> tensors,
        long maxShardBytes,
        IReadOnlyDictionary<string, string>? metadata = null) =>
        WriteSharded(folder, Planned(tensors), maxShardBytes, metadata);

    /// <summary>The same for tensors that are made one after the other: a model larger than the memory is written.</summary>
    /// <inheritdoc cref="WriteSharded(string, IEnumerable{ValueTuple{string, Tensor}}, long, IReadOnlyDictionary{string, string})"/>
    public static void WriteSharded(
        string folder,
        IEnumerable<PlannedTensor> tensors,
        long maxShardBytes,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        if (maxShardBytes < 1)
            throw new LandmarkException($"The largest shard is {maxShardBytes} bytes: it must be at least 1.");
        LibTorch.Load();
        WholeFiles.Guard(folder, () => Directory.CreateDirectory(folder));

        var shards = Split(Plan(folder, tensors), maxShardBytes);
        var files = Enumerable.Range(1, shards.Count)
            .Select(i => shards.Count == 1
                ? SingleFile
                : string.Create(CultureInfo.InvariantCulture, $"model-{i:D5}-of-{shards.Count:D5}.safetensors"))
            .ToArray();

        var paths = files.Append(IndexFile).Take(files.Length == 1 ? 1 : files.Length + 1)
            .Select(file => Path.Combine(folder, file))
            .ToArray();

        // All is on the disk before the first old file goes, and the index comes last.
        try
        {
            for (var i = 0; i < shards.Count; i++)
            {
                var shard = shards[i];
                WholeFiles.WritePartial(paths[i], file => WriteTensors(file, shard, metadata));
            }

            if (shards.Count > 1)
                WholeFiles.WritePartial(paths[^1], file => WriteIndex(file, files, shards));
            Array.ForEach(paths, WholeFiles.Commit);
        }
        catch
        {
            foreach (var path in paths)
                WholeFiles.TryDelete(path + WholeFiles.Partial);
            throw;
        }

        RemoveOthers(folder, files);
    }

    private static IEnumerable<PlannedTensor> Planned(IEnumerable<(string Name, Tensor Tensor)> tensors) =>
        tensors.Select(t => new PlannedTensor(t.Name, t.Tensor.dtype, t.Tensor.shape, () => t.Tensor));

    private static List<Item> Plan(string path, IEnumerable<PlannedTensor> tensors)
    {
        var items = new List<Item>();
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            if (!names.Add(tensor.Name) || tensor.Name == "__metadata__")
                throw new LandmarkException($"{path} cannot have a second tensor '{tensor.Name}': give each its own name.");
            var type = SafeTensorTypes.NameOf(tensor.Type) ?? throw new LandmarkException(
                $"Tensor '{tensor.Name}' for {path} is {tensor.Type}, and only {SafeTensorTypes.Names} are written.");
            var elements = tensor.Shape.Aggregate(1L, (product, size) => product * size);
            items.Add(new Item(tensor, type, elements * SafeTensorTypes.Size(tensor.Type)));
        }

        return items;
    }

    private static List<List<Item>> Split(List<Item> items, long maxBytes)
    {
        List<List<Item>> shards = [[]];
        var bytes = 0L;
        foreach (var item in items)
        {
            if (bytes + item.Bytes > maxBytes && shards[^1].Count > 0)
            {
                shards.Add([]);
                bytes = 0;
            }

            shards[^1].Add(item);
            bytes += item.Bytes;
        }

        return shards;
    }

    private static void WriteTensors(FileStream file, List<Item> items, IReadOnlyDictionary<string, string>? metadata)
    {
        // Wider elements first: then every tensor starts at a multiple of its element's size.
        List<Item> ordered = [.. items.OrderByDescending(item => SafeTensorTypes.Size(item.Tensor.Type))];
        file.Write(Header(ordered, metadata));
        foreach (var item in ordered)
            WriteBytes(file, item.Tensor.Make);
    }

    private static byte[] Header(List<Item> items, IReadOnlyDictionary<string, string>? metadata)
    {
        using var json = new MemoryStream();
        json.Write(stackalloc byte[SafeTensorHeader.LengthBytes]);
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            writer.WriteStartObject("__metadata__");
            if (metadata?.ContainsKey("format") != true)
                writer.WriteString("format", "pt");
            foreach (var (key, value) in metadata ?? new Dictionary<string, string>())
                writer.WriteString(key, value);
            writer.WriteEndObject();

            var at = 0L;
            foreach (var item in items)
            {
                writer.WriteStartObject(item.Tensor.Name);
                writer.WriteString("dtype", item.Type);
                writer.WriteStartArray("shape");
                foreach (var dimension in item.Tensor.Shape)
                    writer.WriteNumberValue(dimension);
                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(at);
                at += item.Bytes;
                writer.WriteNumberValue(at);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        while (json.Length % 8 != 0)
            json.WriteByte((byte)' ');
        var header = json.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - SafeTensorHeader.LengthBytes);
        return header;
    }

    private static unsafe void WriteBytes(FileStream file, Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var plain = make().detach().to(CPU).contiguous();
        var bytes = plain.numel() * SafeTensorTypes.Size(plain.dtype);
        var data = (byte*)Aten.DataPointer(plain);
        for (var at = 0L; at < bytes; at += ChunkBytes)
            file.Write(new ReadOnlySpan<byte>(data + at, (int)Math.Min(ChunkBytes, bytes - at)));
        GC.KeepAlive(plain);
    }

    private static void WriteIndex(FileStream file, string[] files, List<List<Item>> shards)
    {
        var map = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < files.Length; i++)
        {
            foreach (var item in shards[i])
                map[item.Tensor.Name] = files[i];
        }

        var total = shards.Sum(shard => shard.Sum(item => item.Bytes));
        using var writer = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true });
        writer.WriteStartObject();
        writer.WriteStartObject("metadata");
        writer.WriteNumber("total_size", total);
        writer.WriteEndObject();
        writer.WriteStartObject("weight_map");
        foreach (var (name, shard) in map)
            writer.WriteString(name, shard);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    // Left where they are, they would be read instead of the new model, or with it.
    private static void RemoveOthers(string folder, string[] files)
    {
        var stale = Directory.EnumerateFiles(folder, "model-*-of-*.safetensors")
            .Append(Path.Combine(folder, SingleFile))
            .Where(path => !files.Contains(Path.GetFileName(path), StringComparer.Ordinal))
            .ToList();
        if (files.Length == 1)
            stale.Add(Path.Combine(folder, IndexFile));
        foreach (var path in stale)
            WholeFiles.TryDelete(path);
    }

    private sealed record Item(PlannedTensor Tensor, string Type, long Bytes);
}
