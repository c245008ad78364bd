using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>The file of expected numbers: its entries by name, and which of them have been used.</summary>
internal sealed class VerificationCase(string path) : IDisposable
{
    private readonly SafeTensorFile file = SafeTensorFile.Open(path);
    private readonly HashSet<string> used = new(StringComparer.Ordinal);

    public string Path => path;

    public IReadOnlyDictionary<string, string> Metadata => file.Metadata;

    public IReadOnlyList<string> Names => file.Names;

    public IReadOnlyList<string> Unused => [.. file.Names.Where(n => !used.Contains(n)).Order(StringComparer.Ordinal)];

    public bool Has(params string[] names) => names.All(file.Contains);

    /// <summary>An entry as floating-point numbers of a type.</summary>
    public Tensor Numbers(string name, ScalarType type)
    {
        used.Add(name);
        using var entry = file.Get(name);
        return entry.to(type, copy: true);
    }

    /// <summary>An entry as token ids.</summary>
    /// <param name="name">The entry.</param>
    /// <param name="vocabulary">The model's vocabulary, which every id must be in.</param>
    /// <returns>[B, T] int64.</returns>
    public Tensor Tokens(string name, int vocabulary)
    {
        used.Add(name);
        using var entry = file.Get(name);
        if (entry.dim() != 2 || entry.numel() == 0 || entry.is_floating_point())
            throw new LandmarkException(
                $"{path}: {name} is {entry.dtype} [{string.Join(", ", entry.shape)}]; "
                + "token ids are integers [batch, length] with something in them.");
        var ids = entry.to(ScalarType.Int64, copy: true);
        if (ids.min().item<long>() is >= 0 && ids.max().item<long>() is var most && most < vocabulary) return ids;
        throw new LandmarkException(
            $"{path}: {name} has token ids from {ids.min().item<long>()} to {ids.max().item<long>()}, "
            + $"and the model's vocabulary is {vocabulary}; the file belongs to another model.");
    }

    /// <summary>Throws unless an entry has the shape that the case's other entries ask for.</summary>
    public void RequireShape(string name, params long[] shape)
    {
        var found = file.Entry(name).Shape;
        if (!found.SequenceEqual(shape))
            throw new LandmarkException(
                $"{path}: {name} has shape [{string.Join(", ", found)}]; "
                + $"expected [{string.Join(", ", shape)}] to go with the other entries.");
    }

    /// <summary>The largest absolute difference; the largest number there is where one of them is none.</summary>
    public static double MaxError(Tensor expected, Tensor actual)
    {
        using var scope = NewDisposeScope();
        if (expected.numel() == 0) return 0;
        var error = (expected.to(ScalarType.Float64) - actual.cpu().to(ScalarType.Float64)).abs().max().item<double>();
        return double.IsFinite(error) ? error : double.MaxValue;
    }

    public void Dispose() => file.Dispose();
}
