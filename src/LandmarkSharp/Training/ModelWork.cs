using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>What training costs a device, and what the device could do.</summary>
public static class ModelWork
{
    // Dense products of bfloat16 summed in float32, in 10¹² operations a second, by what NVIDIA's data sheets call the card;
    // a name that contains another's stands before it.
    private static readonly (string Name, double Peak)[] Cards =
    [
        ("B200", 2250), ("GH200", 989), ("H200 NVL", 835), ("H200", 989), ("H100 PCIe", 756), ("H100 NVL", 835), ("H100", 989),
        ("A100", 312), ("A30", 165), ("A10G", 70), ("A10", 125), ("L40S", 362), ("L40", 181), ("L4", 121),
        ("RTX 4090", 165), ("RTX 3090", 71),
    ];

    /// <summary>
    /// Operations that the model asks for to train on a position, a multiplication and an addition being two: three times the
    /// forward pass, in which each weight of a product is used once and attention looks back over half the window on average, or over a
    /// Transformer-XL's cache and half its window; twice for the weights that are frozen beside an adapter.
    /// What is computed again to save memory does not count.
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="window">Positions of a training window.</param>
    public static double FlopsPerPosition(ModelConfig config, int window)
    {
        double c = config.HiddenSize;
        var projections = c * config.HeadDim * ((2 * config.Heads) + (2 * config.KeyValueHeads));
        var products = (config.Layers * (projections + ((config.IsGpt ? 2 : 3) * c * config.IntermediateSize))) + (c * config.VocabularySize);
        var twice = config.Recurrence is { } r ? r.Window + (2.0 * r.Cache) : window;        // twice the keys that a query sees, on average
        var attention = config.Layers * twice * config.Heads * config.HeadDim;               // q·k and the values
        // Frozen weights get no gradients: what an adapter adds is thin beside what that saves.
        return 2 * (((config.Lora is null ? 3 : 2) * products) + (3 * attention));
    }

    /// <summary>Operations a second that devices can do at most in a type; null where that is not known.</summary>
    /// <param name="devices">The devices.</param>
    /// <param name="type">Type of the activations.</param>
    public static double? Peak(IReadOnlyList<Device> devices, ScalarType type)
    {
        if (type is not (ScalarType.BFloat16 or ScalarType.Float16) || devices.Count == 0) return null;
        return devices.Select(d => d.type == DeviceType.CUDA
            ? CardPeak(CudaDriver.Devices().FirstOrDefault(c => c.Index == d.index)?.Name ?? "")
            : null).Aggregate((a, b) => a + b);
    }

    /// <summary>A card's operations a second by its name; null for one that is not in the table.</summary>
    internal static double? CardPeak(string name)
    {
        var words = $" {name.Replace('-', ' ')} ";
        return Cards.FirstOrDefault(c => words.Contains($" {c.Name} ", StringComparison.Ordinal)) is { Name: not null, Peak: var peak }
            ? peak * 1e12
            : null;
    }
}
