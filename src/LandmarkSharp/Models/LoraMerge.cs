using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// The model that a base and an adapter are together: W + α/r · B·A, and the landmark's rows in the embeddings. Sums are float32,
/// weights are written in the base's types, and one tensor is in memory at a time.
/// </summary>
public static class LoraMerge
{
    private const long ShardBytes = 5L << 30;

    /// <summary>Writes the merged model, with the tokenizer and configuration that lie beside the adapter.</summary>
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
        var (options, config) = (LoraFolder.Options(folder), ConfigFile.Load(folder));
        using var bases = Weights.Open(baseFolder);
        using var adapter = LoraFolder.Open(folder);
        var ids = config.Landmark?.OwnTokens ?? throw new LandmarkException(
            $"The adapter in {folder} has no landmark; give one that fine-tuning made here.");
        if (config.BaseFingerprint is { } made && made != bases.Fingerprint())
            throw new LandmarkException(
                $"The adapter in {folder} was trained beside other weights than those in {baseFolder}; give the model that it was made from.");
        var done = 0;
        var plan = bases.Names.Where(n => !Checkpoint.Derived(n, config)).Select(Planned).ToArray();
        LoraFolder.RequireAllRead(adapter, folder);
        ModelFiles.WriteNew(output, partial =>
        {
            SafeTensors.WriteSharded(partial, plan, ShardBytes);
            ModelFiles.CopyBeside(folder, partial);
        });
        return plan.Length;

        PlannedTensor Planned(string name)
        {
            var entry = bases.Entry(name);
            var isMatrix = name.EndsWith(".weight", StringComparison.Ordinal) && entry.Shape.Length == 2;
            var module = isMatrix ? LoraFolder.Prefix + name[..^".weight".Length] : name;
            Func<Tensor, Tensor> change = w => w;
            var shape = entry.Shape;
            if (isMatrix && adapter.Contains(module + LandmarkRow.Suffix))
            {
                var own = adapter.Get(module + LandmarkRow.Suffix, [ids.Count, shape[1]]);
                if (shape[0] < ids[0] || Math.Max(shape[0], ids[^1] + 1) != config.VocabularySize)
                    throw new LandmarkException(
                        $"'{name}' in {baseFolder} has {shape[0]} rows, and the adapter in {folder} was made for {config.VocabularySize} "
                        + "with the landmark's; give the model that it was made from.");
                shape = [config.VocabularySize, shape[1]];
                change = w => LandmarkRow.Put(w, ids, own);
            }
            else if (isMatrix && adapter.Contains(module + LoraPair.A))
            {
                var a = adapter.Get(module + LoraPair.A, [options.Rank, shape[1]]);
                var b = adapter.Get(module + LoraPair.B, [shape[0], options.Rank]);
                change = w => w + (b.matmul(a) * options.Scale);
            }
            return new PlannedTensor(name, entry.Type, shape, () =>
            {
                cancel.ThrowIfCancellationRequested();
                progress?.Report(++done);
                return change(bases.Get(name, entry.Shape).to(ScalarType.Float32)).to(entry.Type);
            });
        }
    }
}
