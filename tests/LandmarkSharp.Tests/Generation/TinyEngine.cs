using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Text;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Generation;

/// <summary>An engine over a small random model whose tokens are single letters.</summary>
internal static class TinyEngine
{
    public static LandmarkEngine Create(ModelConfig config, RetrievalOptions? retrieval = null)
    {
        using var folder = new TemporaryFolder();
        var letters = "abcdefghijklmnopqrstuvwxyz0123456789 .!".Select(c => c.ToString()).ToArray();
        var path = Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllText(path, TokenizerBuilder.Json(letters, [], decoder: """{"type":"Fuse"}"""));
        return new LandmarkEngine(TinyModel.Create(config), Tokenizer.Load(path), config.Landmark is null ? null : retrieval ?? config.Landmark.Retrieval());
    }
}
