using System.Runtime.CompilerServices;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Reads a template: text, outputs and statements, down to where an enclosing statement ends.</summary>
internal sealed class StatementParser
{
    private readonly TokenStream stream;
    private readonly ExpressionParser expressions;
    private int loops;

    private StatementParser(TokenStream stream) => (this.stream, expressions) = (stream, new ExpressionParser(stream));

    /// <summary>Parses a whole template.</summary>
    /// <exception cref="JinjaException">It is no template, or uses a part of the language that is not known.</exception>
    public static Statement Parse(string template)
    {
        var parser = new StatementParser(new TokenStream(Lexer.Read(template)));
        try
        {
            return parser.Body();
        }
        catch (InsufficientExecutionStackException)
        {
            throw JinjaException.Unsupported("so deep a nesting", parser.stream.Line);
        }
    }

    /// <summary>Statements up to one with one of these names, which is left to be read; without names, up to the end.</summary>
    private Statement Body(params ReadOnlySpan<string> ends)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var (line, body) = (stream.Line, new List<Statement>());
        while (true)
        {
            var token = stream.Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    body.Add(new Output(token.Line, new Constant(token.Line, TaintedText.Own(token.Text))));
                    break;
                case TokenKind.OutputBegin:
                    body.Add(new Output(token.Line, expressions.Tuple()));
                    stream.Expect(TokenKind.OutputEnd, "'}}'");
                    break;
                case TokenKind.BlockBegin:
                    if (stream.Current.Kind == TokenKind.Name && ends.Contains(stream.Current.Text)) return new Sequence(line, body);
                    body.Add(Statement());
                    break;
                default:
                    if (ends.Length == 0) return new Sequence(line, body);
                    throw JinjaException.Syntax($"the template ends where '{ends[^1]}' is expected", token.Line);
            }
        }
    }

    private Statement Statement()
    {
        var name = stream.Expect(TokenKind.Name, "a statement");
        switch (name.Text)
        {
            case "if":
                return If(name.Line);
            case "for":
                return For(name.Line);
            case "set":
                return Set(name.Line);
            case "macro":
                return Macro(name.Line);
            case "filter":
                return FilterBlock(name.Line);
            case "generation":
                EndBlock();
                return new Enclosed(name.Line, OutsideLoops(() => BodyThen("endgeneration")));
            case "break" or "continue":
                EndBlock();
                if (loops == 0) throw JinjaException.Syntax($"'{name.Text}' stands outside of a loop", name.Line);
                return new Leave(name.Line, name.Text == "break" ? Flow.Break : Flow.Continue);
            case "call" or "with" or "block" or "extends" or "include" or "import" or "from" or "autoescape" or "do" or "print" or "trans":
                throw JinjaException.Unsupported($"the statement '{name.Text}'", name.Line);
            default:
                throw JinjaException.Syntax($"there is no statement '{name.Text}' that may stand here", name.Line);
        }
    }

    private Conditional If(int line)
    {
        var condition = expressions.Tuple(choice: false);
        EndBlock();
        var then = Body("elif", "else", "endif");
        var end = stream.Next();
        if (end.Text == "elif") return new Conditional(line, condition, then, If(end.Line));
        EndBlock();
        return new Conditional(line, condition, then, end.Text == "else" ? BodyThen("endif") : null);
    }

    private Loop For(int line)
    {
        var target = expressions.Target(attributes: false);
        if (!stream.SkipName("in")) throw stream.Unexpected("'in'");
        var items = expressions.Tuple(choice: false);
        var filter = stream.SkipName("if") ? expressions.Expression() : null;
        if (stream.Current.IsName("recursive")) throw JinjaException.Unsupported("a recursive loop", stream.Line);
        EndBlock();
        loops++;
        var body = Body("else", "endfor");
        loops--;
        var end = stream.Next();
        EndBlock();
        return new Loop(line, target, items, filter, body, end.Text == "else" ? BodyThen("endfor") : null);
    }

    private Statement Set(int line)
    {
        var target = expressions.Target(attributes: true);
        if (stream.SkipOperator("="))
        {
            var value = expressions.Tuple();
            EndBlock();
            return new Assignment(line, target, value);
        }
        var body = new Captured(line);
        var filtered = expressions.Filters(body);
        EndBlock();
        body.Body = OutsideLoops(() => BodyThen("endset"));
        return new Assignment(line, target, filtered);
    }

    private Output FilterBlock(int line)
    {
        var body = new Captured(line);
        var filtered = expressions.Filters(expressions.Filter(body));
        EndBlock();
        body.Body = OutsideLoops(() => BodyThen("endfilter"));
        return new Output(line, filtered);
    }

    private MacroDefinition Macro(int line)
    {
        var name = stream.Expect(TokenKind.Name, "the macro's name").Text;
        var parameters = new List<(string Name, Expression? Default)>();
        stream.ExpectOperator("(");
        while (!stream.SkipOperator(")"))
        {
            if (parameters.Count > 0) stream.ExpectOperator(",");
            var parameter = stream.Expect(TokenKind.Name, "a parameter's name");
            if (parameters.Exists(p => p.Name == parameter.Text))
                throw JinjaException.Syntax($"the macro '{name}' has two parameters '{parameter.Text}'", parameter.Line);
            var value = stream.SkipOperator("=") ? expressions.Expression() : null;
            if (value is null && parameters.Exists(p => p.Default is not null))
                throw JinjaException.Syntax($"the parameter '{parameter.Text}' needs a default, as those before it have one", parameter.Line);
            parameters.Add((parameter.Text, value));
        }
        EndBlock();
        return new MacroDefinition(line, name, parameters, OutsideLoops(() => BodyThen("endmacro")));
    }

    private Statement BodyThen(string end)
    {
        var body = Body(end);
        stream.Next();
        EndBlock();
        return body;
    }

    // What captures its text is no place to leave a loop from.
    private Statement OutsideLoops(Func<Statement> body)
    {
        var outside = loops;
        loops = 0;
        var parsed = body();
        loops = outside;
        return parsed;
    }

    private void EndBlock() => stream.Expect(TokenKind.BlockEnd, "'%}'");
}
