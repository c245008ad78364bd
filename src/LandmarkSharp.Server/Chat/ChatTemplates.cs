using System.Text.Json;

namespace LandmarkSharp.Server.Chat;

/// <summary>How models are told conversations.</summary>
public static class ChatTemplates
{
    /// <summary>That of a model's folder: <see cref="QuestionTemplate"/>, or null where the model has a template of its own.</summary>
    /// <param name="folder">The folder, in Hugging Face's layout.</param>
    /// <exception cref="LandmarkException">Its tokenizer_config.json is no JSON.</exception>
    public static IChatTemplate? Of(string folder) =>
        File.Exists(Path.Combine(folder, "chat_template.jinja")) || HasTemplate(Path.Combine(folder, "tokenizer_config.json"))
            ? null : new QuestionTemplate();

    /// <summary>Whether a prompt ends in a word, so that the space at an answer's beginning belongs to the prompt.</summary>
    internal static bool EndsInWord(string prompt) => prompt.Length > 0 && !char.IsWhiteSpace(prompt[^1]);

    private static bool HasTemplate(string path)
    {
        if (!File.Exists(path)) return false;
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("chat_template", out var template) && template.ValueKind != JsonValueKind.Null;
        }
        catch (JsonException e)
        {
            throw new LandmarkException($"The file '{path}' is no JSON that can be read; fetch it again.", e);
        }
    }
}
