using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using Microsoft.Win32.SafeHandles;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>How much of an experiment is done; nothing here changes what is done.</summary>
/// <param name="Seeds">Seeds of the weights and batches: a model is trained with each.</param>
/// <param name="HeldOut">Tokens of a source's held-out text that a perplexity is of, at most, but one context at least.</param>
/// <param name="Trials">Prompts of a pass key test.</param>
public sealed record ExperimentSize(IReadOnlyList<long> Seeds, long HeldOut = 1_000_000, int Trials = 50);

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
    private readonly LaboratoryRecord record;
    private readonly Dictionary<string, long> heldOut;
    private readonly SortedDictionary<string, double[]> measurements;
    private (string Model, LandmarkEngine Engine)? loaded;
    private SafeFileHandle? alone;

    /// <summary>Opens the folder; nothing is written before something is done.</summary>
    /// <param name="recipe">Trains the paper's landmark model on a corpus; other models are variants of it.</param>
    /// <param name="run">Tokenizer, shards, held-out shards, device, and the folder.</param>
    /// <param name="size">How much is done.</param>
    /// <param name="say">Told what is being done.</param>
    /// <param name="report">Told how trainings go.</param>
    /// <param name="cancel">Stops with what there is.</param>
    /// <exception cref="LandmarkException">
    /// The recipe has several stages or is no landmark model's alone, the size is none, shards are missing or of another tokenizer, or the
    /// folder has results of another recipe, tokenizer, text or size.
    /// </exception>
    public Laboratory(
        TrainingOptions recipe, TrainingRun run, ExperimentSize size,
        Action<string>? say = null, Action<TrainingProgress>? report = null, CancellationToken cancel = default)
    {
        Check(recipe.Checked());
        Check(size);
        (Recipe, this.run, this.size, this.cancel) = (recipe, run, size, cancel);
        (this.say, this.report) = (say ?? (_ => { }), report ?? (_ => { }));
        LibTorch.Load();
        Tokenizer = Tokenizer.Load(run.Tokenizer);
        using var shards = TokenShards.Open(run.Shards, Tokenizer.Fingerprint);
        using var held = TokenShards.Open(
            run.ValidationShards ?? throw new LandmarkException("An experiment is judged by held-out texts; give their token shards."),
            Tokenizer.Fingerprint);
        Sources = [.. held.Meta.Sources.Select(s => s.Name)];
        heldOut = held.Meta.Sources.ToDictionary(s => s.Name, s => s.Tokens);
        record = new(recipe.ToJson(), Tokenizer.Fingerprint, shards.Fingerprint, held.Fingerprint, size.HeldOut, size.Trials);
        // What was trained and measured belongs to a recipe: with another, figures of two would be mixed. One written before there was
        // some field says by that what it had: the field's default.
        if (Read(RecordFile, LaboratoryJson.Default.LaboratoryRecord) is { } begun
            && begun with { Recipe = TrainingOptions.Parse(begun.Recipe, RecordFile).ToJson() } != record)
            throw new LandmarkException(
                $"The folder {run.Output} has results of another recipe, tokenizer, text or size; give what it was begun with, or another folder.");
        measurements = Read(MeasurementsFile, LaboratoryJson.Default.Measurements) ?? [];
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

    /// <summary>Tokens of a source's held-out text that a perplexity is of, at most.</summary>
    public long HeldOutTokens => size.HeldOut;

    /// <summary>Prompts of a pass key test.</summary>
    public int Trials => size.Trials;

    /// <summary>Where it runs.</summary>
    public Device Device => run.Devices.FirstOrDefault(CPU);

    /// <summary>The device with the card's name, by which measurements of time are told apart.</summary>
    public string DeviceName => Device.type == DeviceType.CUDA
        && CudaDriver.Devices().FirstOrDefault(c => c.Index == Math.Max(0, Device.index)) is { } card
            ? $"{Device} ({card.Name})"
            : $"{Device}";

    private string RecordFile => Path.Combine(run.Output, "laboratory.json");

    private string MeasurementsFile => Path.Combine(run.Output, "measurements.json");

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
    /// <param name="measure">Measures, and stops when it is told to.</param>
    public double[] Measure(string key, Func<CancellationToken, double[]> measure)
    {
        if (measurements.TryGetValue(key, out var known)) return known;
        cancel.ThrowIfCancellationRequested();
        say($"Measuring {key}");
        Begin();
        var found = measure(cancel);
        measurements[key] = found;
        WholeFiles.Write(MeasurementsFile, JsonSerializer.Serialize(measurements, LaboratoryJson.Default.Measurements));
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
        return Measure($"perplexity of {variant.Name} on {source}: context {context}{reads}", stop =>
        {
            var engine = Engine(variant);
            var reader = retrieval is not null ? engine.With(retrieval) : inOnePiece ? engine.Plain() : engine;
            return [Evaluation.Perplexity.Score(reader, HeldOut(source, context), cancel: stop).Value];
        })[0];
    }

    /// <summary>A source's held-out text cut into contexts, as many whole ones as fit the size, and one at least.</summary>
    /// <param name="source">Which source.</param>
    /// <param name="context">Tokens of a context.</param>
    /// <exception cref="LandmarkException">The text is shorter than a context.</exception>
    public IEnumerable<int[]> HeldOut(string source, int context)
    {
        RequireHeldOut(source, context);
        return Contexts();

        IEnumerable<int[]> Contexts()
        {
            using var shards = TokenShards.Open(run.ValidationShards!);
            foreach (var tokens in Evaluation.Perplexity.Contexts(shards[source], context)
                .Take((int)Math.Max(1, size.HeldOut / context)).Where(c => c.Length == context))
                yield return tokens;
        }
    }

    /// <summary>Looks whether a source's held-out text has a context of so many tokens.</summary>
    /// <exception cref="LandmarkException">It is shorter.</exception>
    public void RequireHeldOut(string source, int context)
    {
        if (heldOut[source] < context)
            throw new LandmarkException(
                $"The held-out source '{source}' has {heldOut[source]} tokens, and the experiment reads contexts of {context}; "
                + "give more held-out text.");
    }

    /// <summary>Leaves a text in the folder.</summary>
    /// <param name="name">Its file's name.</param>
    /// <param name="text">The text.</param>
    /// <returns>The file's path.</returns>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public string Write(string name, string text)
    {
        var path = Path.Combine(run.Output, name);
        WholeFiles.Write(path, text);
        return path;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Unload();
        alone?.Dispose();
    }

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
            Begin();
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

    /// <summary>Holds the folder, as two that measured would each undo what the other notes, and says what it is begun with.</summary>
    private void Begin()
    {
        if (alone is not null) return;
        WholeFiles.Guard(run.Output, () => Directory.CreateDirectory(run.Output));
        alone = WriterLock.Take(
            RecordFile, $"Another process makes experiments in {run.Output}; wait until that has ended, or give another folder.");
        if (File.Exists(RecordFile)) return;
        WholeFiles.Write(RecordFile, JsonSerializer.Serialize(record, LaboratoryJson.Default.LaboratoryRecord));
    }

    private static void Check(TrainingOptions recipe)
    {
        if (recipe.Stages.Count != 1)
            throw new LandmarkException($"The recipe has {recipe.Stages.Count} stages; an experiment's variants change its one stage, so give one.");
        if (recipe.BlockTokens == 0)
            throw new LandmarkException("The recipe has block_tokens 0; give that of the landmark model, from which the plain one follows.");
        if (recipe is not { Documents: DocumentPacking.Joined, PositionJump: 0, GroupDropout: 0, ContextMiss: 0, Lora: null })
            throw new LandmarkException(
                "The recipe has documents other than joined, position_jump, group_dropout, context_miss or lora, which the plain model beside it "
                + "cannot have; leave them out, and experiments set what they need.");
    }

    private static void Check(ExperimentSize size)
    {
        if (size.Seeds.Count == 0) throw new LandmarkException("There are no seeds; give at least one.");
        if (size.Seeds.CountBy(s => s).FirstOrDefault(s => s.Value > 1) is { Value: > 1, Key: var twice })
            throw new LandmarkException($"The seed {twice} is given more than once, which would train the same model again; give each once.");
        if (size.HeldOut < 1) throw new LandmarkException($"A perplexity of {size.HeldOut} held-out tokens is none; give at least 1.");
        if (size.Trials < 1) throw new LandmarkException($"A test of {size.Trials} prompts is none; give at least 1.");
    }

    private static T? Read<T>(string path, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllText(path), type) : null;
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"The file {path} is not valid JSON ({e.InBrief()}); remove it, or give another folder.", e);
        }
    }
}

/// <summary>What a laboratory's folder was begun with.</summary>
internal sealed record LaboratoryRecord(string Recipe, string Tokenizer, string Shards, string HeldOutShards, long HeldOut, int Trials);

/// <summary>Its files.</summary>
[JsonSourceGenerationOptions(WriteIndented = true)]
[JsonSerializable(typeof(LaboratoryRecord))]
[JsonSerializable(typeof(SortedDictionary<string, double[]>), TypeInfoPropertyName = "Measurements")]
internal sealed partial class LaboratoryJson : JsonSerializerContext;
