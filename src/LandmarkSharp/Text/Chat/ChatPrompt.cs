namespace LandmarkSharp.Text.Chat;

/// <summary>A conversation as the model reads it.</summary>
/// <param name="Text">The whole prompt, the marks of the model's format spelled out.</param>
/// <param name="Given">
/// The parts of <paramref name="Text"/>, in UTF-16 units and in order, that were not written in the template but came
/// with the messages, the tools or the variables.
/// </param>
public sealed record ChatPrompt(string Text, IReadOnlyList<Range> Given)
{
    /// <summary>
    /// The prompt's tokens. Special tokens that the template spells out become those tokens; in what was given they stay
    /// plain characters, so that no message can end its turn or speak for another. A prompt whose messages spell out no
    /// special token has the same tokens as by transformers' <c>apply_chat_template</c>. Nothing is added: a template
    /// writes the mark at the start of a text itself.
    /// </summary>
    public int[] Encode(Tokenizer tokenizer) => tokenizer.EncodeGiven(Text, Given);
}
