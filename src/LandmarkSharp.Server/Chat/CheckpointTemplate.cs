using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Server.Chat;

/// <summary>The chat template that comes with a checkpoint.</summary>
/// <param name="template">The template.</param>
public sealed class CheckpointTemplate(ChatTemplate template) : IChatTemplate
{
    /// <summary>None: a turn ends with the model's own mark.</summary>
    public IReadOnlyList<string> Stop => [];

    /// <inheritdoc/>
    public bool WritesMarks => true;

    /// <inheritdoc/>
    public ChatPrompt Render(IReadOnlyList<ChatTurn> turns, bool addGenerationPrompt) =>
        template.Render([.. turns.Select(t => new ChatMessage(Role(t.Role), t.Text))], addGenerationPrompt);

    private static string Role(ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.User => "user",
        _ => "assistant",
    };
}
