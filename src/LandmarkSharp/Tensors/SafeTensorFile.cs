using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// A safetensors file, mapped: opening it reads the header alone, and a tensor's bytes come from the disk when they
/// are first used.
/// </summary>
/// <remarks>
/// A tensor of <see cref="Get"/> lies over the mapping and keeps it alive, so it outlives <see cref="Dispose"/>.
/// Writing into it changes a private copy of the page, never the file. The file must not be shortened meanwhile:
/// replace it by renaming, as <see cref="SafeTensors.Write"/> does.
/// </remarks>
public sealed class SafeTensorFile : IDisposable
{
    private readonly SafeTensorHeader header;
    private readonly MappedFile mapping;
    private volatile bool disposed;

    private SafeTensorFile(string path, SafeTensorHeader header, MappedFile mapping)
    {
        Path = path;
        this.header = header;
        this.mapping = mapping;
        Names = [.. header.Entries.Values.OrderBy(entry => entry.Offset).Select(entry => entry.Name)];
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The tensors' names, in the order in which they lie in the file.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The file's own words about itself, such as <c>format</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata => header.Metadata;

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="LandmarkException">The file is not there, cannot be read, or is not a whole safetensors file.
    /// </exception>
    public static SafeTensorFile Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        MappedFile? mapping = null;
        try
        {
            using var file = File.OpenHandle(path);
            var length = RandomAccess.GetLength(file);
            Span<byte> start = stackalloc byte[SafeTensorHeader.LengthBytes];
            var json = SafeTensorHeader.JsonLength(path, start[..RandomAccess.Read(file, start, 0)], length);
            mapping = MappedFile.Open(file, length);
            var header = SafeTensorHeader.Parse(path, mapping.Bytes(SafeTensorHeader.LengthBytes, json), length);
            return new SafeTensorFile(path, header, mapping);
        }
        catch (Exception e)
        {
            mapping?.Dispose();
            if (e is FileNotFoundException or DirectoryNotFoundException)
                throw new LandmarkException($"There is no file {path}; check the path.", e);
            if (e is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
                throw new LandmarkException($"'{path}' cannot be read ({e.Message.TrimEnd('.')}); check its permissions.", e);
            throw;
        }
    }

    /// <summary>Whether the file has a tensor of that name.</summary>
    public bool Contains(string name) => header.Entries.ContainsKey(name);

    /// <summary>What the file says of a tensor.</summary>
    /// <exception cref="LandmarkException">There is no such tensor.</exception>
    public TensorEntry Entry(string name) =>
        header.Entries.TryGetValue(name, out var entry) ? entry : throw new LandmarkException(
            $"{Path} has no tensor '{name}': it has {Names.Count}"
            + (Names.Count == 0 ? "." : $", such as {string.Join(", ", Names.Take(3).Select(n => $"'{n}'"))}."));

    /// <summary>A CPU tensor over the file's bytes, not copied.</summary>
    /// <exception cref="LandmarkException">There is no such tensor.</exception>
    public Tensor Get(string name)
    {
        var entry = Entry(name);
        ObjectDisposedException.ThrowIf(disposed, this);
        LibTorch.Load();
        if (entry.Bytes == 0)
            return empty(entry.Shape, entry.Type, CPU);

        // Writers align their tensors; one that did not gets its tensor copied to where every kernel can read it.
        if (entry.Offset % SafeTensorTypes.Size(entry.Type) == 0)
            return mapping.Tensor(entry.Offset, entry.Shape, entry.Type);
        using var crooked = mapping.Tensor(entry.Offset, entry.Shape, entry.Type);
        return crooked.clone();
    }

    /// <summary>Closes the file; tensors made from it stay good.</summary>
    public void Dispose()
    {
        disposed = true;
        mapping.Dispose();
    }
}
