using System.Text;
using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Server.Chat;

/// <summary>
/// The form in which models of ours are trained to be asked, for those that have no template of their own: texts, then
/// <c>Question: …</c> and <c>Answer: …</c> in turn. What the system says is a text to read. Of what a user says the last paragraph is
/// the question, and paragraphs before it are a text to read.
/// </summary>
public sealed class QuestionTemplate : IChatTemplate
{
    /// <inheritdoc/>
    public IReadOnlyList<string> Stop { get; } = ["\n"];

    /// <inheritdoc/>
    public bool WritesMarks => false;

    /// <inheritdoc/>
    public ChatPrompt Render(IReadOnlyList<ChatTurn> turns, bool addGenerationPrompt)
    {
        var prompt = new StringBuilder();
        void Paragraph(string text) => prompt.Append(prompt.Length == 0 || text.Length == 0 ? "" : "\n\n").Append(text);
        var asked = false;
        foreach (var (role, said) in turns)
        {
            var text = said.ReplaceLineEndings("\n").Trim();
            if (role == ChatRole.User)
            {
                var border = text.LastIndexOf("\n\n", StringComparison.Ordinal);
                if (border >= 0) Paragraph(text[..border].TrimEnd());
                Paragraph($"Question: {text[(border < 0 ? 0 : border + 2)..]}");
            }
            else if (role == ChatRole.Assistant && asked)
            {
                prompt.Append("\nAnswer: ").Append(text);
            }
            else
            {
                Paragraph(text);
            }
            asked = role == ChatRole.User;
        }
        if (addGenerationPrompt && !asked)
            throw new LandmarkException("The last message is not a user's, so there is no question to answer; end with one.");
        if (addGenerationPrompt) prompt.Append("\nAnswer:");
        return new ChatPrompt(prompt.ToString(), [new Range(0, prompt.Length)]);
    }
}
