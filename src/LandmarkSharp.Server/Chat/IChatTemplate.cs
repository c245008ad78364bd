using LandmarkSharp.Text.Chat;

namespace LandmarkSharp.Server.Chat;

/// <summary>How a model is told a conversation.</summary>
public interface IChatTemplate
{
    /// <summary>Strings before which an answer ends, besides the model's own end of a text.</summary>
    IReadOnlyList<string> Stop { get; }

    /// <summary>Whether what it writes has the mark at the start of a text in it, so that none is added.</summary>
    bool WritesMarks { get; }

    /// <summary>The conversation as one text.</summary>
    /// <param name="turns">What was said.</param>
    /// <param name="addGenerationPrompt">Whether the text ends where the model is to answer.</param>
    /// <exception cref="LandmarkException">The turns make no such conversation.</exception>
    ChatPrompt Render(IReadOnlyList<ChatTurn> turns, bool addGenerationPrompt);
}

/// <summary>Who speaks.</summary>
public enum ChatRole
{
    /// <summary>Who gives the model its task, or its text.</summary>
    System,

    /// <summary>Who asks.</summary>
    User,

    /// <summary>The model.</summary>
    Assistant,
}

/// <summary>What was said by one.</summary>
/// <param name="Role">Who.</param>
/// <param name="Text">What.</param>
public sealed record ChatTurn(ChatRole Role, string Text);
