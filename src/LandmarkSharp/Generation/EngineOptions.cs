using LandmarkSharp.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Generation;

/// <summary>How a model is loaded.</summary>
public sealed record EngineOptions
{
    /// <summary>Where it runs; the CPU when null.</summary>
    public Device? Device { get; init; }

    /// <summary>Type of parameters, activations and memory.</summary>
    public ScalarType Type { get; init; } = ScalarType.Float32;

    /// <summary>How texts are read; as the model's configuration says when null. Models without landmarks take none.</summary>
    public RetrievalOptions? Retrieval { get; init; }
}
