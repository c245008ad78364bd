using LandmarkSharp.Memory.Files;
using LandmarkSharp.Models;

namespace LandmarkSharp.Generation;

/// <summary>Models as memory files name them.</summary>
public static class MemoryModels
{
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
