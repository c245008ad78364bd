using System.Globalization;
using LandmarkSharp.Models;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>What an experiment was made with: at which size its figures were taken.</summary>
public static class ExperimentConditions
{
    /// <summary>Names and values, in the order in which they are told.</summary>
    /// <param name="lab">Where it was made.</param>
    /// <param name="experiment">Which experiment.</param>
    public static IReadOnlyList<(string Name, string Value)> Of(Laboratory lab, Experiment experiment)
    {
        var (recipe, stage) = (lab.Recipe, lab.Stage);
        var positions = (long)stage.Rows * stage.Accumulate * stage.Window;
        var seeds = experiment.IsOfSeeds ? lab.Seeds : lab.Seeds.Take(1);
        return
        [
            ("landmark model", string.Create(CultureInfo.InvariantCulture,
                $"{Parameters(lab) / 1e6:F1} M parameters: {recipe.Architecture.ToString().ToLowerInvariant()}, "
                + $"{recipe.Layers} layers of {recipe.HiddenSize}, {recipe.Heads} heads of {recipe.HeadDim}, "
                + $"blocks of {recipe.BlockTokens} tokens and a landmark")),
            ("training", string.Create(CultureInfo.InvariantCulture,
                $"{recipe.Steps:N0} steps of {positions:N0} positions, {recipe.Steps * positions:N0} in all, in windows of {stage.Window:N0}")),
            ("sources", string.Join(", ", recipe.Sources.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Key} {s.Value}")))),
            ("seeds", string.Join(", ", seeds)),
            ("held-out text", string.Create(CultureInfo.InvariantCulture,
                $"up to {lab.HeldOutTokens:N0} tokens of each source: {string.Join(", ", lab.Sources)}")),
            ("device", $"{lab.DeviceName}, {recipe.Compute(lab.Device).ToString().ToLowerInvariant()}"),
        ];
    }

    /// <summary>Parameters of the landmark model, whose weights are not made for that.</summary>
    private static long Parameters(Laboratory lab)
    {
        var tokenizer = lab.Tokenizer;
        using var decoder = new Decoder(
            lab.Recipe.Model(tokenizer.VocabularySize, tokenizer.EosId, tokenizer.Fingerprint), (_, shape) => empty(shape, device: META));
        return decoder.ParameterCount;
    }
}
