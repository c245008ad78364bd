namespace LandmarkSharp.Text.Chat.Jinja;

internal enum TokenKind
{
    /// <summary>Text outside of all tags.</summary>
    Data,

    OutputBegin,
    OutputEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,

    /// <summary>The template's end.</summary>
    End,
}

/// <summary>One token of a template.</summary>
/// <param name="Kind">Its kind.</param>
/// <param name="Text">How it is spelled; of a string, what it means.</param>
/// <param name="Line">The line it starts in, from 1.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line)
{
    public bool Is(TokenKind kind, string text) => Kind == kind && Text == text;

    public bool IsOperator(string text) => Is(TokenKind.Operator, text);

    public bool IsName(string text) => Is(TokenKind.Name, text);

    /// <summary>The token as errors call it.</summary>
    public string Told => Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.OutputEnd => "'}}'",
        TokenKind.Data => "text",
        _ => $"'{Text}'",
    };
}
