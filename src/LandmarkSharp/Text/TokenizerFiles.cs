using System.Text.Json;

namespace LandmarkSharp.Text;

/// <summary>
/// Finds a tokenizer's files and puts the tokenizer together: the vocabulary, and what the files beside it
/// (<c>tokenizer_config.json</c>, <c>special_tokens_map.json</c>, <c>added_tokens.json</c>) say about special tokens.
/// </summary>
internal static class TokenizerFiles
{
    private static readonly string[] Names = ["tokenizer.json", "tokenizer.model"];

    public static Tokenizer Load(string path)
    {
        var file = path;
        if (Directory.Exists(path))
        {
            file = Names.Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists) ?? throw new LandmarkException(
                $"The folder '{path}' holds no tokenizer (neither tokenizer.json nor tokenizer.model); give a model folder that has one.");
        }
        var bytes = ReadFile(file) ?? throw new LandmarkException(
            $"There is no tokenizer at '{path}'; give a model folder, a tokenizer.json or a SentencePiece .model file.");

        var isJson = file.EndsWith(".json", StringComparison.OrdinalIgnoreCase);
        var parts = isJson ? HuggingFaceTokenizer.Read(bytes, file) : SentencePieceModel.Read(bytes, file);
        return new Tokenizer(TokenizerSettings.Read(Path.GetDirectoryName(Path.GetFullPath(file))!).Apply(parts, file));
    }

    /// <summary>The bytes of a file, or null when there is none.</summary>
    public static byte[]? ReadFile(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllBytes(path) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new LandmarkException($"'{path}' cannot be read ({e.Message.TrimEnd('.')}); check its permissions.", e);
        }
    }
}
