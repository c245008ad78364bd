using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>How much of an experiment is done; nothing here changes what is done.</summary>
/// <param name="Seeds">Seeds of the weights and batches: a model is trained with each.</param>
/// <param name="Contexts">Tokens of a source's held-out text that a perplexity is of, at most; cut into contexts.</param>
/// <param name="Trials">Prompts of a pass key test.</param>
public sealed record ExperimentSize(IReadOnlyList<long> Seeds, long Contexts = 1_000_000, int Trials = 50);

/// <summary>A model of an experiment: a variant of the recipe.</summary>
/// <param name="Name">By which it is kept.</param>
/// <param name="Recipe">What trains it.</param>
/// <param name="From">The model that it fine-tunes; null for a new one.</param>
public sealed record Variant(string Name, TrainingOptions Recipe, Variant? From = null);

/// <summary>
/// Where experiments are made: models that a recipe's variants train, and what was measured on them, each kept in the folder once
/// it is there. So an experiment that was stopped goes on, experiments share their models, and none is trained of which all is known.
/// </summary>
public sealed class Laboratory : IDisposable
{
    private readonly TrainingRun run;
    private readonly ExperimentSize size;
    private readonly Action<string> say;
    private readonly Action<TrainingProgress> report;
    private readonly CancellationToken cancel;
    private readonly string measured;
    private readonly SortedDictionary<string, double[]> measurements;
    private (string Model, LandmarkEngine Engine)? loaded;

    /// <summary>Opens the folder, or begins it.</summary>
    /// <param name="recipe">Trains the paper's landmark model on a corpus; other models are variants of it.</param>
    /// <param name="run">Tokenizer, shards, held-out shards, device, and the folder.</param>
    /// <param name="size">How much is done.</param>
    /// <param name="say">Told what is being done.</param>
    /// <param name="report">Told how trainings go.</param>
    /// <param name="cancel">Stops with what there is.</param>
    /// <exception cref="LandmarkException">The recipe has several stages, there are no held-out shards, or the folder is of others.</exception>
    public Laboratory(
        TrainingOptions recipe, TrainingRun run, ExperimentSize size,
        Action<string>? say = null, Action<TrainingProgress>? report = null, CancellationToken cancel = default)
    {
        (Recipe, this.run, this.size, this.cancel) = (recipe.Checked(), run, size, cancel);
        (this.say, this.report) = (say ?? (_ => { }), report ?? (_ => { }));
        if (recipe.Stages.Count != 1)
            throw new LandmarkException($"The recipe has {recipe.Stages.Count} stages; an experiment's variants change its one stage, so give one.");
        if (recipe.BlockTokens == 0)
            throw new LandmarkException("The recipe has block_tokens 0; give that of the landmark model, from which the plain one follows.");
        if (run.ValidationShards is null)
            throw new LandmarkException("An experiment is judged by held-out texts; give their token shards.");
        if (size.Seeds.Count == 0 || size.Seeds.Distinct().Count() != size.Seeds.Count || size.Contexts < 1 || size.Trials < 1)
            throw new LandmarkException("An experiment has at least one seed, each once, and at least one token and trial.");
        Tensors.LibTorch.Load();
        measured = Path.Combine(run.Output, "measurements.json");
        Tokenizer = Tokenizer.Load(run.Tokenizer);
        using (var heldOut = TokenShards.Open(run.ValidationShards, Tokenizer.Fingerprint)) Sources = [.. heldOut.Meta.Sources.Select(s => s.Name)];
        CheckFolder(new(recipe.ToJson(), Tokenizer.Fingerprint, size.Contexts, size.Trials));
        measurements = File.Exists(measured) ? JsonSerializer.Deserialize(File.ReadAllText(measured), LaboratoryJson.Default.Measurements)! : [];
    }

    /// <summary>The recipe of the landmark model.</summary>
    public TrainingOptions Recipe { get; }

    /// <summary>The tokenizer of models that are trained anew.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Sources of held-out text: a perplexity is of each.</summary>
    public IReadOnlyList<string> Sources { get; }

    /// <summary>Its stage.</summary>
    public TrainingStage Stage => Recipe.Stages[0];

    /// <summary>Seeds to train with.</summary>
    public IReadOnlyList<long> Seeds => size.Seeds;

    /// <summary>Prompts of a pass key test.</summary>
    public int Trials => size.Trials;

    /// <summary>Where it runs.</summary>
    public Device Device => run.Devices.FirstOrDefault(CPU);

    /// <summary>The recipe on text alone, without retrieval tasks, with a seed.</summary>
    public TrainingOptions OnText(long seed) => Recipe with { Seed = seed, Stages = [Stage with { TaskShare = 0 }] };

    /// <summary>A variant's model, trained now if it is not there, and loaded: the same until another is asked for.</summary>
    public LandmarkEngine Engine(Variant variant)
    {
        if (loaded is { } now && now.Model == variant.Name) return now.Engine;
        var folder = Folder(variant);
        Unload();
        var engine = LandmarkEngine.Load(folder, new EngineOptions { Device = Device, Type = Recipe.Compute(Device) });
        loaded = (variant.Name, engine);
        return engine;
    }

    /// <summary>Figures of a measurement, taken now if they are not there.</summary>
    /// <param name="key">Its name, which says all that it depends on.</param>
    /// <param name="measure">Measures.</param>
    public double[] Measure(string key, Func<double[]> measure)
    {
        if (measurements.TryGetValue(key, out var known)) return known;
        cancel.ThrowIfCancellationRequested();
        say($"Measuring {key}");
        var found = measure();
        measurements[key] = found;
        WholeFiles.Write(measured, JsonSerializer.Serialize(measurements, LaboratoryJson.Default.Measurements));
        return found;
    }

    /// <summary>Perplexity of a source's held-out text.</summary>
    /// <param name="variant">Of which model.</param>
    /// <param name="source">Which source.</param>
    /// <param name="context">Tokens of a context.</param>
    /// <param name="retrieval">How it reads; null as the model says, and a model without landmarks in its own way.</param>
    /// <param name="inOnePiece">Reads a context of a landmark model without retrieval.</param>
    public double Perplexity(Variant variant, string source, int context, RetrievalOptions? retrieval = null, bool inOnePiece = false)
    {
        var reads = retrieval is { } r
            ? $", window {r.WindowBlocks}, k {r.TopK}, {r.Selection}{(r.KeepBlocks is { } kept ? $", {kept} kept" : "")}"
            : inOnePiece ? ", in one piece" : "";
        return Measure($"perplexity of {variant.Name} on {source}: context {context}{reads}", () =>
        {
            var engine = Engine(variant);
            var reader = retrieval is not null ? engine.With(retrieval) : inOnePiece ? engine.Plain() : engine;
            return [Evaluation.Perplexity.Score(reader, HeldOut(source, context), cancel: cancel).Value];
        })[0];
    }

    /// <summary>A source's held-out text cut into contexts, as many whole ones as fit the size.</summary>
    /// <param name="source">Which source.</param>
    /// <param name="context">Tokens of a context.</param>
    public IEnumerable<int[]> HeldOut(string source, int context)
    {
        using var shards = TokenShards.Open(run.ValidationShards!);
        foreach (var tokens in Evaluation.Perplexity.Contexts(shards[source], context)
            .Take((int)Math.Max(1, size.Contexts / context)).Where(c => c.Length == context))
            yield return tokens;
    }

    /// <inheritdoc/>
    public void Dispose() => Unload();

    /// <summary>The folder of a variant's model; of an adapter, merged with what it adapts.</summary>
    private string Folder(Variant variant)
    {
        var output = Path.Combine(run.Output, "models", variant.Name);
        var (model, adapter) = (Path.Combine(output, "model"), Path.Combine(output, "adapter"));
        if (Directory.Exists(model)) return model;
        var from = variant.From is { } other ? Folder(other) : null;
        if (!Directory.Exists(adapter))
        {
            Unload();
            say($"Training {variant.Name}");
            using var trainer = new Trainer(
                variant.Recipe, run with { Output = output, Base = from, Tokenizer = from ?? run.Tokenizer, SampleEvery = 0, Keep = 1 });
            if (!trainer.Run(report, cancel)) throw new OperationCanceledException(cancel);
        }
        if (variant.Recipe.Lora is not null) LoraMerge.Write(from!, adapter, model, cancel: cancel);
        return model;
    }

    /// <summary>Frees the model that was measured last.</summary>
    private void Unload()
    {
        loaded?.Engine.Dispose();
        loaded = null;
    }

    /// <summary>What was trained and measured belongs to a recipe: with another, figures of two would be mixed.</summary>
    private void CheckFolder(LaboratoryRecord record)
    {
        Directory.CreateDirectory(run.Output);
        var path = Path.Combine(run.Output, "laboratory.json");
        if (!File.Exists(path))
        {
            WholeFiles.Write(path, JsonSerializer.Serialize(record, LaboratoryJson.Default.LaboratoryRecord));
        }
        else if (JsonSerializer.Deserialize(File.ReadAllText(path), LaboratoryJson.Default.LaboratoryRecord) != record)
        {
            throw new LandmarkException(
                $"The folder {run.Output} has results of another recipe, tokenizer or size; give what it was begun with, or another folder.");
        }
    }
}

/// <summary>What a laboratory's folder was begun with.</summary>
internal sealed record LaboratoryRecord(string Recipe, string Tokenizer, long Contexts, int Trials);

/// <summary>Its files.</summary>
[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(LaboratoryRecord))]
[JsonSerializable(typeof(SortedDictionary<string, double[]>), TypeInfoPropertyName = "Measurements")]
internal sealed partial class LaboratoryJson : JsonSerializerContext;
