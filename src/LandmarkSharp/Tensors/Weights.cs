using System.Security.Cryptography;
using System.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>
/// A model's weights, addressed by name within a scope, as in
/// <c>weights["model"]["layers"]["0"].Get("norm.weight", [64])</c>: loading code has the shape of the module tree.
/// </summary>
/// <remarks>
/// Scopes share the files of the weights they come from; disposing a scope does nothing, disposing the weights of
/// <see cref="Open"/> closes the files. Tensors stay good after that (see <see cref="SafeTensorFile"/>).
/// </remarks>
public sealed class Weights : IDisposable
{
    private const long FingerprintBytes = 4096;     // of each tensor: telling models apart must not take reading them

    private readonly WeightFiles files;
    private readonly string prefix;
    private readonly bool owner;

    private Weights(WeightFiles files, string prefix, bool owner)
    {
        this.files = files;
        this.prefix = prefix;
        this.owner = owner;
    }

    /// <summary>Full names of all tensors within this scope, in the order of the files.</summary>
    public IReadOnlyList<string> Names =>
        [.. files.Names.Where(name => name.StartsWith(prefix, StringComparison.Ordinal))];

    /// <summary>The scope of a name's part: <c>this["model"]</c> is <see cref="Scope"/> of <c>model</c>.</summary>
    public Weights this[string name] => Scope(name);

    /// <summary>Opens a model's folder, or one safetensors file.</summary>
    /// <param name="folder">A folder with <c>model.safetensors</c>, or with <c>model.safetensors.index.json</c> and its
    /// shards; or the path of a safetensors file.</param>
    /// <exception cref="LandmarkException">Neither is there, or a file is broken or missing.</exception>
    public static Weights Open(string folder) => new(WeightFiles.Open(folder), "", owner: true);

    /// <summary>The weights whose names start with this scope's, then <paramref name="name"/> and a dot.</summary>
    public Weights Scope(string name) => new(files, $"{prefix}{name}.", owner: false);

    /// <summary>Whether this scope has a tensor of that name.</summary>
    public bool Contains(string name) => files.Find(prefix + name) is not null;

    /// <summary>What the files say of a tensor, with its full name.</summary>
    /// <exception cref="LandmarkException">There is no such tensor.</exception>
    public TensorEntry Entry(string name) => files.Require(prefix + name).Entry(prefix + name);

    /// <summary>A tensor of the shape that the model needs, over the file's bytes, and marks it as read.</summary>
    /// <param name="name">Its name within this scope.</param>
    /// <param name="shape">The shape it must have.</param>
    /// <exception cref="LandmarkException">There is no such tensor, or its shape is another.</exception>
    public Tensor Get(string name, ReadOnlySpan<long> shape) => files.Get(prefix + name, shape);

    /// <summary>Full names of the tensors within this scope that <see cref="Get"/> has not returned yet.</summary>
    public IReadOnlyList<string> Unread() => [.. Names.Where(name => !files.WasRead(name))];

    /// <summary>
    /// What tells these weights from others, however they lie in files: a hash of each tensor's name, type, shape and first numbers.
    /// </summary>
    public unsafe string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in Names.Order(StringComparer.Ordinal))
        {
            var file = files.Require(name);
            var entry = file.Entry(name);
            using var tensor = file.Get(name);
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {entry.Type} {string.Join(' ', entry.Shape)}\n"));
            hash.AppendData(new ReadOnlySpan<byte>((void*)Aten.DataPointer(tensor), (int)Math.Min(FingerprintBytes, entry.Bytes)));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Closes the files, when these are the weights that opened them.</summary>
    public void Dispose()
    {
        if (owner)
            files.Dispose();
    }
}
