using LandmarkSharp.Text;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Server.Chat;

/// <summary>How models are told conversations.</summary>
public static class ChatTemplates
{
    /// <summary>That of a model's folder: its own, or <see cref="QuestionTemplate"/> where it has none.</summary>
    /// <param name="folder">The folder, in Hugging Face's layout.</param>
    /// <exception cref="LandmarkException">There is no such folder, or its template cannot be read.</exception>
    public static IChatTemplate Of(string folder) =>
        ChatTemplate.Load(folder) is { } own ? new CheckpointTemplate(own) : new QuestionTemplate();

    /// <summary>A conversation's tokens, with the mark that the model expects at its start.</summary>
    internal static int[] Encode(this IChatTemplate template, ChatPrompt prompt, Tokenizer tokenizer) =>
        [.. !template.WritesMarks && tokenizer.AddsBos ? [tokenizer.BosId!.Value] : (int[])[], .. prompt.Encode(tokenizer)];

    /// <summary>
    /// A conversation's tokens after texts that were read before: it follows them as a paragraph, and marks are those of the conversation alone.
    /// </summary>
    internal static int[] EncodeAfterTexts(this IChatTemplate template, ChatPrompt prompt, Tokenizer tokenizer) =>
        template.WritesMarks ? prompt.Encode(tokenizer) : tokenizer.Encode($"\n\n{prompt.Text}", atStart: false);

    /// <summary>
    /// What is looked for in memories: the question that ends what a user said, as the model is asked it. Whatever was said before it is not.
    /// </summary>
    internal static string Question(this IChatTemplate template, string said) =>
        template.Render([new ChatTurn(ChatRole.User, LastParagraph(said))], addGenerationPrompt: true).Text;

    /// <summary>The last paragraph of a text.</summary>
    internal static string LastParagraph(string text)
    {
        var said = text.ReplaceLineEndings("\n").Trim();
        return said[(said.LastIndexOf("\n\n", StringComparison.Ordinal) is >= 0 and var border ? border + 2 : 0)..];
    }

    /// <summary>Whether a prompt ends in a word, so that the space at an answer's beginning belongs to the prompt.</summary>
    internal static bool EndsInWord(this ChatPrompt prompt) => prompt.Text.Length > 0 && !char.IsWhiteSpace(prompt.Text[^1]);
}
