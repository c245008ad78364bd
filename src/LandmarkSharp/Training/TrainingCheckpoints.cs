using System.Globalization;
using System.Text.Json;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>
/// Checkpoints of a run: folders <c>step-N</c> with the model in Hugging Face's layout, the optimizer's moments and the recipe.
/// One is written beside and renamed, so whatever has the name is whole, and was finite when it was written.
/// </summary>
/// <param name="folder">The run's folder.</param>
/// <param name="areBeginnings">Whether another run may begin with them: one that tunes all weights of a model begins with the model.</param>
public sealed class TrainingCheckpoints(string folder, bool areBeginnings = true)
{
    internal const string Prefix = "step-";
    private const string OptimizerFolder = "optimizer";
    private const string RecipeFile = "recipe.json";

    /// <summary>The newest checkpoint, or null.</summary>
    public (long Step, string Path)? Latest => All().Select(c => ((long, string)?)c).LastOrDefault();

    /// <summary>How another run keeps what was learned, as the end of a sentence; empty where it cannot.</summary>
    internal string Onward => areBeginnings && Latest is var (_, path) ? $", with --from {path} to begin with what was learned" : "";

    /// <summary>The newest checkpoint, found to have all its files, or null.</summary>
    /// <exception cref="LandmarkException">It is damaged; the message says from which one the run can go on, and how.</exception>
    public (long Step, string Path)? LatestWhole()
    {
        if (Latest is not var (step, path)) return null;
        if (Damage(path) is not { } damage) return (step, path);
        var older = All().SkipLast(1).Select(c => c.Path).LastOrDefault(p => Damage(p) is null);
        throw new LandmarkException(
            $"The newest checkpoint is damaged ({damage.Message.Split(';')[0].TrimEnd('.')}); " + (older is null
                ? $"restore it, or begin anew in another folder: {folder} has no other that is whole."
                : $"remove {path} to go on from {older}, which is whole."), damage);
    }

    /// <summary>Writes a checkpoint and removes all but the newest few.</summary>
    /// <param name="step">Steps done.</param>
    /// <param name="decoder">The model.</param>
    /// <param name="optimizer">Its optimizer.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="keep">Checkpoints to keep.</param>
    /// <exception cref="LandmarkException">A number in it is not finite, or the disk refuses; older checkpoints are then as they were.</exception>
    public void Save(long step, Decoder decoder, IOptimizer optimizer, TrainingOptions options, int keep)
    {
        var path = Path.Combine(folder, Prefix + step.ToString("D8", CultureInfo.InvariantCulture));
        using var scope = NewDisposeScope();
        RequireFinite(step, decoder, optimizer);
        WholeFiles.WriteFolder(path, partial =>
        {
            if (decoder.Config.Lora is null) Checkpoint.Save(decoder, partial, ScalarType.Float32);
            else LoraFolder.Save(decoder, "", partial);
            SafeTensors.WriteSharded(Path.Combine(partial, OptimizerFolder), optimizer.State, 1L << 30);
            File.WriteAllText(Path.Combine(partial, RecipeFile), options.ToJson());
        });
        foreach (var (_, old) in All().SkipLast(Math.Max(1, keep))) WholeFiles.RemoveFolder(old);
    }

    /// <summary>What the other processes do while the first saves: they give their shares of the optimizer's state.</summary>
    /// <inheritdoc cref="Save"/>
    internal void Attend(long step, Decoder decoder, IOptimizer optimizer)
    {
        RequireFinite(step, decoder, optimizer);
        foreach (var part in optimizer.State)
        {
            using var scope = NewDisposeScope();
            part.Make();
        }
    }

    /// <summary>Reads a checkpoint's parameters and moments into a run that was started alike.</summary>
    /// <exception cref="LandmarkException">The checkpoint is damaged, or was made with another recipe.</exception>
    public static void Restore(string path, Decoder decoder, IOptimizer optimizer, TrainingOptions options)
    {
        RequireSame(path, options);
        RestoreWeights(path, decoder);
        using var moments = Weights.Open(Path.Combine(path, OptimizerFolder));
        optimizer.Restore(moments);
    }

    /// <summary>Reads a model's parameters, of whatever type, into a decoder that computes the same from them.</summary>
    /// <exception cref="LandmarkException">There is no model, it is damaged, or it is of another kind or tokenizer.</exception>
    public static void RestoreWeights(string path, Decoder decoder)
    {
        using var quiet = no_grad();
        if (decoder.Config.Lora is not null)
        {
            var adapter = LoraConfigFile.Load(path).Options;      // a whole model is told from an adapter first
            RequireFitting(path, ConfigFile.Load(path), decoder.Config);
            LoraFolder.Restore(path, adapter, decoder);
            return;
        }
        using var weights = Weights.Open(path);
        var config = ConfigFile.Load(path);
        RequireFitting(path, config, decoder.Config);
        foreach (var (name, parameter) in decoder.Parameters)
        {
            using var value = weights.Get(name, parameter.shape);
            parameter.copy_(value);
        }
        Checkpoint.RequireAllRead(weights, config, path, "begin with a model of the recipe's kind");
    }

    /// <summary>What shapes do not tell: equal weights mean something else with other tokens, positions, heads or blocks.</summary>
    private static void RequireFitting(string path, ModelConfig model, ModelConfig run)
    {
        void Same<T>(string what, T theirs, T ours)
        {
            if (!EqualityComparer<T>.Default.Equals(theirs, ours))
                throw new LandmarkException(
                    $"The model in {path} has {what} {(object?)theirs ?? "none"}, and this run {(object?)ours ?? "none"}; "
                    + "begin with a model that fits, or change the recipe.");
        }
        if (model.TokenizerFingerprint is { } theirs && run.TokenizerFingerprint is { } ours && theirs != ours)
            throw new LandmarkException(
                $"The model in {path} was trained with another tokenizer "
                + $"(fingerprint {theirs[..Math.Min(12, theirs.Length)]}…, "
                + $"this one is {ours[..Math.Min(12, ours.Length)]}…); "
                + "give that tokenizer, or another folder.");
        if (model.BaseFingerprint is { } before && run.BaseFingerprint is { } beside && before != beside)
            throw new LandmarkException(
                $"The adapter in {path} was trained beside other weights than those given now; give the model that it was made from, or another folder.");
        Same("rope_theta", model.Rotary.Theta, run.Rotary.Theta);
        Same("the rotary scaling", model.Rotary.Kind, run.Rotary.Kind);
        Same("num_attention_heads", model.Heads, run.Heads);
        Same("num_key_value_heads", model.KeyValueHeads, run.KeyValueHeads);
        Same(run.IsGpt ? "norm_epsilon" : "rms_norm_eps", model.NormEpsilon, run.NormEpsilon);
        Same("hidden_act", model.Activation, run.Activation);
        // A plain model has no blocks yet: this is how it gets them.
        if (model.Landmark is not { } had) return;
        Same("block_tokens", had.BlockTokens, run.Landmark?.BlockTokens ?? 0);
        Same("the landmark", had.Id, run.Landmark?.Id ?? had.Id);
        Same("the context-miss token", had.MissId, run.Landmark?.MissId);
    }

    // The loss of a step was finite, and what the step made of the weights may not be. All processes ask, and hear the same.
    private void RequireFinite(long step, Decoder decoder, IOptimizer optimizer)
    {
        if (!(optimizer.IsFinite & FiniteNumbers.In(decoder.Trainable.Values)))
            throw TrainingFailure.NoNumber($"The weights after step {step} are no finite numbers", Onward);
    }

    /// <summary>What is wrong with a checkpoint's files, as their sizes and headers tell; null for nothing.</summary>
    private static LandmarkException? Damage(string path)
    {
        try
        {
            _ = Recipe(path);
            _ = ConfigFile.Load(path);
            if (File.Exists(Path.Combine(path, LoraConfigFile.Name))) LoraFolder.Open(path).Dispose();
            else Weights.Open(path).Dispose();
            Weights.Open(Path.Combine(path, OptimizerFolder)).Dispose();
            return null;
        }
        catch (LandmarkException e)
        {
            return e;
        }
    }

    private (long Step, string Path)[] All()
    {
        if (!Directory.Exists(folder)) return [];
        return [.. Directory.EnumerateDirectories(folder, Prefix + "*")
            .Select(p => (
                Parsed: long.TryParse(
                    Path.GetFileName(p)[Prefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var n),
                Step: n,
                Path: p))
            .Where(c => c.Parsed).Select(c => (c.Step, c.Path)).Order()];
    }

    /// <summary>The recipe that a checkpoint was made with.</summary>
    private static TrainingOptions Recipe(string path)
    {
        var recipe = Path.Combine(path, RecipeFile);
        return File.Exists(recipe)
            ? TrainingOptions.Load(recipe)
            : throw new LandmarkException($"{path} is no checkpoint of a run: it has no {RecipeFile}; give another output folder.");
    }

    /// <summary>A run goes on with the recipe that it began with: every field decides what is computed.</summary>
    private static void RequireSame(string path, TrainingOptions options)
    {
        using var then = JsonDocument.Parse(Recipe(path).ToJson());
        using var now = JsonDocument.Parse(options.ToJson());
        foreach (var field in then.RootElement.EnumerateObject())
        {
            var value = now.RootElement.GetProperty(field.Name);
            if (!JsonElement.DeepEquals(field.Value, value))
                throw new LandmarkException(
                    $"The run was begun with {field.Name} {JsonSerializer.Serialize(field.Value)} "
                    + $"and cannot go on with {JsonSerializer.Serialize(value)}; "
                    + "give the same recipe, or another output folder.");
        }
    }
}
