using System.Text.Json;
using System.Text.Json.Nodes;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Text;

/// <summary>
/// Finds a tokenizer's files and puts the tokenizer together: the vocabulary, and what the files beside it
/// (<c>tokenizer_config.json</c>, <c>special_tokens_map.json</c>, <c>added_tokens.json</c>) say about special tokens.
/// </summary>
internal static class TokenizerFiles
{
    private static readonly string[] Names = ["tokenizer.json", "tokenizer.model"];

    private static readonly string[] Beside = [TokenizerSettings.Config, TokenizerSettings.SpecialTokens, TokenizerSettings.AddedTokens];

    /// <summary>Copies all that a tokenizer is read from, under the names that a model's folder has it by.</summary>
    /// <param name="path">What <see cref="Load"/> was given.</param>
    /// <param name="folder">A folder that is there.</param>
    public static void Copy(string path, string folder)
    {
        var isFolder = Directory.Exists(path);
        if (!isFolder) File.Copy(path, Path.Combine(folder, IsJson(path) ? Names[0] : Names[1]), overwrite: true);
        var from = isFolder ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach (var name in (string[])[.. isFolder ? Names : [], .. Beside])
            if (File.Exists(Path.Combine(from, name))) File.Copy(Path.Combine(from, name), Path.Combine(folder, name), overwrite: true);
        ChatTemplateFiles.Copy(from, folder);
        NameClass(folder);
    }

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

        var parts = IsJson(file) ? HuggingFaceTokenizer.Read(bytes, file) : SentencePieceModel.Read(bytes, file);
        return new Tokenizer(TokenizerSettings.Read(Path.GetDirectoryName(Path.GetFullPath(file))!).Apply(parts, file));
    }

    /// <summary>
    /// Says of what class a lone <c>tokenizer.model</c> is: transformers guesses by the kind of model, and cuts text otherwise than it
    /// was trained on.
    /// </summary>
    private static void NameClass(string folder)
    {
        var (file, config) = (Path.Combine(folder, Names[1]), Path.Combine(folder, TokenizerSettings.Config));
        if (File.Exists(config) || File.Exists(Path.Combine(folder, Names[0])) || ReadFile(file) is not { } bytes) return;
        var parts = SentencePieceModel.Read(bytes, file);
        string? Spelling(int? id) => id is { } known ? parts.Vocabulary[known]?.Text : null;
        var unknown = Enumerable.Range(0, parts.Vocabulary.Count).Cast<int?>().FirstOrDefault(id => parts.Vocabulary[id!.Value]?.Kind == PieceKind.Unknown);
        var json = new JsonObject
        {
            ["tokenizer_class"] = "LlamaTokenizer",
            ["bos_token"] = Spelling(parts.BosId),
            ["eos_token"] = Spelling(parts.EosId),
            ["unk_token"] = Spelling(unknown),
            ["add_bos_token"] = parts.Prefix.Count > 0,
            ["add_eos_token"] = parts.Suffix.Count > 0,
        };
        File.WriteAllText(config, json.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    private static bool IsJson(string file) => file.EndsWith(".json", StringComparison.OrdinalIgnoreCase);

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
