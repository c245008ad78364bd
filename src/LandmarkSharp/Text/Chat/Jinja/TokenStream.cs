namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>A template's tokens, read one after another.</summary>
internal sealed class TokenStream(IReadOnlyList<Token> tokens)
{
    private int at;

    public Token Current => tokens[at];

    public int Line => Current.Line;

    public Token Following => tokens[Math.Min(at + 1, tokens.Count - 1)];

    public Token Next() => tokens[at < tokens.Count - 1 ? at++ : at];

    public bool Skip(TokenKind kind, string text)
    {
        if (!Current.Is(kind, text)) return false;
        Next();
        return true;
    }

    public bool SkipOperator(string text) => Skip(TokenKind.Operator, text);

    public bool SkipName(string text) => Skip(TokenKind.Name, text);

    public void ExpectOperator(string text)
    {
        if (!SkipOperator(text)) throw Unexpected($"'{text}'");
    }

    public Token Expect(TokenKind kind, string wanted) => Current.Kind == kind ? Next() : throw Unexpected(wanted);

    public JinjaException Unexpected(string wanted) =>
        JinjaException.Syntax($"{Current.Told} stands where {wanted} is expected", Line);
}
