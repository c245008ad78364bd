namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>What is wrong in a template, as a sentence without the place; whoever rendered it adds that.</summary>
/// <param name="problem">The sentence, with what to do about it.</param>
/// <param name="line">The template's line, from 1; 0 when the rendering knows it.</param>
internal sealed class JinjaException(string problem, int line = 0) : Exception(problem)
{
    public int Line => line;

    /// <summary>A text that is no template of this language.</summary>
    public static JinjaException Syntax(string problem, int line) => new($"{problem}; mend the template", line);

    /// <summary>A part of the language that is not known here, or that no chat template may use.</summary>
    public static JinjaException Unsupported(string what, int line = 0) => new($"{what} is not supported; use a template without it", line);

    /// <summary>A step that cannot be taken with the values at hand.</summary>
    public static JinjaException Failed(string problem) => new($"{problem}; the template does not fit what it was given");
}
