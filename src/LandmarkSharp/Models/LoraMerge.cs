using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// The model that a base and an adapter are together: W + α/r · B·A, and in the embeddings the rows of tokens that were learned
/// whole, as a landmark's. Sums are float32, weights are written in the base's types, and one tensor is in memory at a time.
/// </summary>
public static class LoraMerge
{
    private const long ShardBytes = 5L << 30;

    /// <summary>
    /// Writes the merged model, with the configuration and the tokenizer that lie beside the adapter or, where PEFT wrote it and
    /// there is no config.json, with the base's.
    /// </summary>
    /// <param name="baseFolder">The model that the adapter was trained beside.</param>
    /// <param name="folder">The adapter.</param>
    /// <param name="output">A new folder.</param>
    /// <param name="progress">Told of tensors done.</param>
    /// <param name="cancel">Stops between two tensors; nothing is left.</param>
    /// <returns>How many tensors were written.</returns>
    /// <exception cref="LandmarkException">The adapter is of another model or another kind, or a file is missing or damaged.</exception>
    public static int Write(
        string baseFolder, string folder, string output, IProgress<long>? progress = null, CancellationToken cancel = default)
    {
        LibTorch.Load();
        using var scope = NewDisposeScope();
        var (options, tokens) = LoraConfigFile.Load(folder);
        var tells = File.Exists(Path.Combine(folder, ConfigFile.Name));
        var config = ConfigFile.Load(tells ? folder : baseFolder);
        using var bases = Weights.Open(baseFolder);
        using var adapter = LoraFolder.Open(folder);
        if (tells && config.BaseFingerprint is { } made && made != bases.Fingerprint())
            throw new LandmarkException(
                $"The adapter in {folder} was trained beside other weights than those in {baseFolder}; give the model that it was made from.");
        var done = 0;
        var plan = bases.Names.Where(n => !Checkpoint.Derived(n, config)).Select(Planned).ToArray();
        LoraFolder.RequireAllRead(adapter, folder);
        ModelFiles.WriteNew(output, partial =>
        {
            SafeTensors.WriteSharded(partial, plan, ShardBytes);
            ModelFiles.CopyBeside(tells ? folder : baseFolder, partial);
        });
        return plan.Length;

        PlannedTensor Planned(string name)
        {
            var entry = bases.Entry(name);
            var isMatrix = name.EndsWith(".weight", StringComparison.Ordinal) && entry.Shape.Length == 2;
            var module = isMatrix ? LoraFolder.Prefix + name[..^".weight".Length] : name;
            Func<Tensor, Tensor> change = w => w;
            var (shape, ids) = (entry.Shape, Array.Empty<int>());
            if (isMatrix && adapter.Contains(module + LandmarkRow.Suffix))
            {
                ids = [.. tokens.GetValueOrDefault(module[(module.LastIndexOf('.') + 1)..], [])];
                var own = adapter.Get(module + LandmarkRow.Suffix, [ids.Length, shape[1]]);
                var order = Enumerable.Range(0, ids.Length).ToArray();
                Array.Sort(ids, order);
                shape = [shape[0] + ids.Count(id => id >= shape[0]), shape[1]];
                change = w => LandmarkRow.Put(w, ids, own[tensor(order)].to(w.dtype));
            }
            else if (isMatrix && adapter.Contains(module + LoraPair.A))
            {
                var a = adapter.Get(module + LoraPair.A, [options.Rank, shape[1]]);
                var b = adapter.Get(module + LoraPair.B, [shape[0], options.Rank]);
                change = w => w + (b.to(w.dtype).matmul(a.to(w.dtype)) * options.Scale);
            }
            if (ids.Any(id => id < 0 || id >= shape[0]) || (LandmarkRow.Embeddings.Contains(name) && shape[0] != config.VocabularySize))
                throw new LandmarkException(
                    $"'{name}' in {baseFolder} has {entry.Shape[0]} rows and would have {shape[0]} with those of the adapter in {folder}, "
                    + $"which was made for {config.VocabularySize}; give the model that it was made from.");
            return new PlannedTensor(name, entry.Type, shape, () =>
            {
                cancel.ThrowIfCancellationRequested();
                progress?.Report(++done);
                return change(bases.Get(name, entry.Shape).to(ScalarType.Float32)).to(entry.Type);
            });
        }
    }
}
