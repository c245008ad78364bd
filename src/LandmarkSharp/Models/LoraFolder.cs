using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Models;

/// <summary>
/// Adapters in PEFT's layout: <c>adapter_config.json</c> and <c>adapter_model.safetensors</c>, whose names are the decoder's after
/// <c>base_model.model.</c>. The configuration of the tuned model lies beside them.
/// </summary>
internal static class LoraFolder
{
    public const string WeightsName = "adapter_model.safetensors";

    /// <summary>What stands before the decoder's names.</summary>
    public const string Prefix = "base_model.model.";

    /// <summary>Writes a decoder's adapter and its configuration.</summary>
    /// <param name="decoder">The model with its adapter.</param>
    /// <param name="baseFolder">The model that is adapted.</param>
    /// <param name="folder">The folder; made if it is not there.</param>
    public static void Save(Decoder decoder, string baseFolder, string folder)
    {
        ConfigFile.Save(decoder.Config, folder);
        LoraConfigFile.Save(decoder.Config, baseFolder, folder);
        SafeTensors.Write(Path.Combine(folder, WeightsName), decoder.Trainable.Select(p => (Prefix + p.Key, p.Value)));
    }

    /// <summary>Reads an adapter into a decoder that has one of the same rank and targets.</summary>
    /// <param name="folder">The adapter's folder.</param>
    /// <param name="theirs">Its rank, alpha and targets.</param>
    /// <param name="decoder">The model with its adapter.</param>
    /// <exception cref="LandmarkException">It is damaged, or it is of another model or another kind.</exception>
    public static void Restore(string folder, LoraOptions theirs, Decoder decoder)
    {
        var (ours, targets) = (decoder.Config.Lora!, theirs.TargetsIn(decoder.Config));
        if (theirs.Rank != ours.Rank || theirs.Alpha != ours.Alpha || !targets.Order().SequenceEqual(ours.TargetsIn(decoder.Config).Order()))
            throw new LandmarkException(
                $"The adapter in {folder} has rank {theirs.Rank}, alpha {theirs.Alpha} and targets {string.Join(", ", targets)}; "
                + "give the recipe the same.");
        using var quiet = no_grad();
        using var weights = Open(folder);
        foreach (var (name, parameter) in decoder.Trainable)
        {
            using var value = weights.Get(Prefix + name, parameter.shape);
            parameter.copy_(value);
        }
        RequireAllRead(weights, folder);
    }

    /// <summary>Opens an adapter's tensors.</summary>
    /// <exception cref="LandmarkException">There are none, or the file is damaged.</exception>
    public static Weights Open(string folder) => File.Exists(Path.Combine(folder, WeightsName))
        ? Weights.Open(Path.Combine(folder, WeightsName))
        : throw new LandmarkException($"{folder} is no adapter's folder: there is no {WeightsName} in it; give a folder in PEFT's layout.");

    /// <summary>Throws when a tensor of an adapter was left unread.</summary>
    public static void RequireAllRead(Weights adapter, string folder)
    {
        if (adapter.Unread() is [var left, ..])
            throw new LandmarkException(
                $"The adapter in {folder} has a tensor '{left}' that the model has no place for: A and B of matrices and rows of tokens "
                + "are supported; give the model that it was made from.");
    }
}
