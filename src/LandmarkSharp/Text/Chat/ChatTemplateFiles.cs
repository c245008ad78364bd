using System.Text;
using System.Text.Json;
using LandmarkSharp.Text.Chat.Jinja;

namespace LandmarkSharp.Text.Chat;

/// <summary>Finds the chat templates of a checkpoint, and the special tokens that they name.</summary>
internal static class ChatTemplateFiles
{
    private const string OwnFile = "chat_template.jinja", OtherFiles = "additional_chat_templates", Default = "default";

    public static ChatTemplate? Load(string folder)
    {
        if (!Directory.Exists(folder))
            throw new LandmarkException($"There is no model folder '{folder}'; give the folder of a checkpoint.");
        var (tokens, programs) = (new Dictionary<string, string>(), new Dictionary<string, TemplateProgram>());
        TokenizerSettings.ReadFile(Path.Combine(folder, TokenizerSettings.SpecialTokens), map => AddTokens(map, tokens));
        TokenizerSettings.ReadFile(Path.Combine(folder, TokenizerSettings.Config), config =>
        {
            AddTokens(config, tokens);
            if (!HasFiles(folder) && config.TryGetProperty("chat_template", out var template))
                AddTemplates(template, Path.Combine(folder, TokenizerSettings.Config), programs);
        });
        foreach (var (name, file) in Files(folder))
            programs[name] = TemplateProgram.Parse(Encoding.UTF8.GetString(TokenizerFiles.ReadFile(file)!), $"The chat template '{file}'");
        return programs.Count == 0 ? null : new ChatTemplate(programs, tokens);
    }

    /// <summary>Copies the files that hold nothing but templates.</summary>
    public static void Copy(string from, string folder)
    {
        foreach (var (_, file) in Files(from))
        {
            var copy = Path.Combine(folder, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy, overwrite: true);
        }
    }

    private static bool HasFiles(string folder) => Files(folder).Any();

    private static IEnumerable<(string Name, string File)> Files(string folder)
    {
        var own = Path.Combine(folder, OwnFile);
        if (File.Exists(own)) yield return (Default, own);
        var others = Path.Combine(folder, OtherFiles);
        if (!Directory.Exists(others)) yield break;
        foreach (var file in Directory.EnumerateFiles(others, "*.jinja").Order(StringComparer.Ordinal))
            yield return (Path.GetFileNameWithoutExtension(file), file);
    }

    private static void AddTemplates(JsonElement template, string file, Dictionary<string, TemplateProgram> programs)
    {
        if (template.ValueKind == JsonValueKind.String)
            programs[Default] = TemplateProgram.Parse(template.GetString()!, $"The chat template in '{file}'");
        else if (template.ValueKind == JsonValueKind.Array)
            foreach (var item in template.EnumerateArray())
            {
                var name = item.GetProperty("name").GetString() ?? throw new FormatException("A chat template has no name");
                var text = item.GetProperty("template").GetString() ?? throw new FormatException("A chat template has no text");
                programs[name] = TemplateProgram.Parse(text, $"The chat template '{name}' in '{file}'");
            }
        else if (template.ValueKind != JsonValueKind.Null)
            throw new LandmarkException($"'{file}' is damaged: chat_template is neither a string nor a list; fetch the file again.");
    }

    // What one file says of a token, null included, comes before what the file read before it says.
    private static void AddTokens(JsonElement map, Dictionary<string, string> tokens)
    {
        foreach (var field in map.EnumerateObject().Where(f => f.Name.EndsWith("_token", StringComparison.Ordinal)))
        {
            if (TokenizerSettings.Text(field.Value) is { } spelling) tokens[field.Name] = spelling;
            else tokens.Remove(field.Name);
        }
    }
}
