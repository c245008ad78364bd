using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;

namespace LandmarkSharp.Generation;

/// <summary>Models as memory files name them.</summary>
public static class MemoryModels
{
    /// <summary>Whether memories can be made and read: the model has landmarks, is on the CPU, and does not read by windows that are calls.</summary>
    public static bool HasMemories(this LandmarkEngine engine) =>
        engine is { Config.Landmark: not null, Retrieval.WindowIsCall: false } && engine.Decoder.Device.type == TorchSharp.DeviceType.CPU;

    /// <summary>The model that an engine's memories belong to: keys and values of another, or in another type of numbers, are not its own.</summary>
    /// <exception cref="LandmarkException">It has no landmarks.</exception>
    public static MemoryModel MemoryModel(this LandmarkEngine engine)
    {
        var (config, landmark) = (engine.Config, engine.Config.Landmark ?? throw new LandmarkException(
            "A model without landmarks has no blocks to keep in a memory file; choose one with landmarks."));
        return new MemoryModel(
            ModelFingerprint.Of(engine.Decoder), engine.Tokenizer.Fingerprint, config.Layers, config.KeyValueHeads, config.HeadDim,
            landmark.BlockTokens);
    }
}
