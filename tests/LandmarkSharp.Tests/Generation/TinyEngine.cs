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
    /// <summary>The token that a tokenizer puts first, if it puts any.</summary>
    public const int Mark = 38;

    private const string Marks = """[{"id":38,"content":"<s>","special":true}]""";

    private const string MarkFirst = """
        {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
        "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[38],"tokens":["<s>"]}}}
        """;

    public static LandmarkEngine Create(ModelConfig config, RetrievalOptions? retrieval = null, bool marks = false)
    {
        using var folder = new TemporaryFolder();
        string[] letters = [.. "abcdefghijklmnopqrstuvwxyz0123456789 .".Select(c => c.ToString()), marks ? "<s>" : "!"];
        var path = Path.Combine(folder.Path, "tokenizer.json");
        File.WriteAllText(path, TokenizerBuilder.Json(
            letters, [], decoder: """{"type":"Fuse"}""", postProcessor: marks ? MarkFirst : null, added: marks ? Marks : "[]"));
        return new LandmarkEngine(
            TinyModel.Create(config), Tokenizer.Load(path), config.Landmark is null ? null : retrieval ?? config.Landmark.Retrieval());
    }
}
