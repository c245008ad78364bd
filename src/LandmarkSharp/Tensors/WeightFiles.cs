using System.Collections.Concurrent;
using System.Text.Json;
using static TorchSharp.torch;

namespace LandmarkSharp.Tensors;

/// <summary>The safetensors files of one model: which holds which tensor, and which tensors were read.</summary>
internal sealed class WeightFiles : IDisposable
{
    private readonly Dictionary<string, SafeTensorFile> homes = new(StringComparer.Ordinal);
    private readonly List<SafeTensorFile> files = [];
    private readonly List<string> names = [];
    private readonly ConcurrentDictionary<string, bool> read = new(StringComparer.Ordinal);
    private readonly string source;

    private WeightFiles(string source) => this.source = source;

    public IReadOnlyList<string> Names => names;

    public static WeightFiles Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        var result = new WeightFiles(path);
        try
        {
            var single = Path.Combine(path, SafeTensors.SingleFile);
            var index = Path.Combine(path, SafeTensors.IndexFile);
            if (File.Exists(path))
                result.AddWhole(path);
            else if (File.Exists(single))
                result.AddWhole(single);
            else if (File.Exists(index))
                result.AddIndexed(path, index);
            else
                throw Nothing(path);
            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    public SafeTensorFile? Find(string name) => homes.GetValueOrDefault(name);

    public SafeTensorFile Require(string name) =>
        Find(name) ?? throw new LandmarkException(
            $"The weights in {source} have no tensor '{name}'{Near(name)}: the checkpoint is of another model; "
            + "put the weights and the config.json of one model together.");

    public Tensor Get(string name, ReadOnlySpan<long> shape)
    {
        var file = Require(name);
        var found = file.Entry(name).Shape;
        if (!shape.SequenceEqual(found))
            throw new LandmarkException(
                $"Tensor '{name}' of {file.Path} has the shape {Text(found)}, and the model needs {Text(shape)}: the "
                + "configuration and the weights are of different models; put those of one model together.");
        read[name] = true;
        return file.Get(name);
    }

    public bool WasRead(string name) => read.ContainsKey(name);

    public void Dispose() => files.ForEach(file => file.Dispose());

    private static string Text(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";

    private static LandmarkException Nothing(string folder)
    {
        if (!Directory.Exists(folder))
            return new LandmarkException($"There is no folder {folder} to read weights from; check the path.");
        if (File.Exists(Path.Combine(folder, "adapter_model.safetensors")))
            return new LandmarkException(
                $"{folder} has an adapter and no whole model; merge it with the model that it was made from ('landmark weights merge').");
        var pickles = Directory.EnumerateFiles(folder)
            .Select(file => Path.GetFileName(file))
            .Where(file => Path.GetExtension(file) is ".bin" or ".pth" or ".pt")
            .Order(StringComparer.Ordinal)
            .ToArray();
        return new LandmarkException(
            $"{folder} has neither {SafeTensors.SingleFile} nor {SafeTensors.IndexFile}: "
            + (pickles.Length == 0
                ? "name the folder of a model in Hugging Face's layout."
                : $"{string.Join(", ", pickles)} is a pickle, which can run code and is not read; save the model again "
                    + "with transformers' save_pretrained, which writes safetensors."));
    }

    private void AddWhole(string path)
    {
        var file = Add(path);
        foreach (var name in file.Names)
            Own(name, file);
    }

    private void AddIndexed(string folder, string index)
    {
        var shards = new Dictionary<string, SafeTensorFile>(StringComparer.Ordinal);
        foreach (var (name, shard) in ReadIndex(index))
        {
            if (!shards.TryGetValue(shard, out var file))
            {
                // An index comes from outside: it names files of its own folder or nothing.
                if (shard.Length == 0 || shard != Path.GetFileName(shard) || shard is "." or "..")
                    throw new LandmarkException(
                        $"{index} names the file '{shard}', which is not one of its own folder; fetch it again.");
                var path = Path.Combine(folder, shard);
                if (!File.Exists(path))
                    throw new LandmarkException(
                        $"{index} names {shard}, which is not in {folder}: fetch that file too.");
                shards[shard] = file = Add(path);
            }

            if (!file.Contains(name))
                throw new LandmarkException(
                    $"{index} places tensor '{name}' in {shard}, which lacks it: the files are not of one model; fetch them again.");
            Own(name, file);
        }
    }

    private static List<(string Name, string Shard)> ReadIndex(string index)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(index));
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("weight_map", out var map)
                || map.ValueKind != JsonValueKind.Object)
                throw new LandmarkException($"{index} has no weight_map, an object from tensors to files; fetch it again.");
            return [.. map.EnumerateObject().Select(entry => (entry.Name, entry.Value.GetString() ?? ""))];
        }
        catch (Exception e) when (
            e is JsonException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"{index} cannot be read ({e.InBrief()}); fetch it again.", e);
        }
    }

    private SafeTensorFile Add(string path)
    {
        var file = SafeTensorFile.Open(path);
        files.Add(file);
        return file;
    }

    private void Own(string name, SafeTensorFile file)
    {
        if (!homes.TryAdd(name, file))
            throw new LandmarkException($"The weights in {source} list tensor '{name}' twice; fetch them again.");
        names.Add(name);
    }

    // The last part of a name seldom differs where a checkpoint has another prefix.
    private string Near(string name)
    {
        var parts = name.Split('.');
        var tail = string.Join('.', parts[Math.Max(0, parts.Length - 2)..]);
        var near = names.Find(n => n == tail || n.EndsWith('.' + tail, StringComparison.Ordinal));
        return near is null ? $" among its {names.Count}" : $" (the nearest is '{near}')";
    }
}
