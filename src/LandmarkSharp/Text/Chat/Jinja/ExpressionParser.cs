using System.Globalization;
using System.Runtime.CompilerServices;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Reads expressions, the loosest binding first: choice, or, and, not, comparison, sum, ~, product, power, sign.</summary>
internal sealed class ExpressionParser(TokenStream stream)
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    public Expression Expression()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var line = stream.Line;
        var value = Or();
        while (stream.SkipName("if"))
        {
            var condition = Or();
            value = new Choice(line, condition, value, stream.SkipName("else") ? Expression() : null);
        }
        return value;
    }

    /// <summary>Expressions between commas: one as it is, several as a tuple.</summary>
    /// <param name="choice">Whether <c>a if b else c</c> may stand here; where <c>if</c> means something else, it may not.</param>
    /// <param name="parentheses">Whether parentheses around it say that nothing is a tuple, too.</param>
    public Expression Tuple(bool choice = true, bool parentheses = false)
    {
        var (line, items, comma) = (stream.Line, new List<Expression>(), false);
        while (!EndsTuple())
        {
            items.Add(choice ? Expression() : Or());
            comma = stream.SkipOperator(",");
            if (!comma) break;
        }
        if (items.Count == 1 && !comma) return items[0];
        return items.Count > 0 || parentheses ? new Collection(line, ItemsKind.Tuple, items) : throw stream.Unexpected("an expression");
    }

    /// <summary>A name, or names between commas, that something is put into.</summary>
    public Target Target(bool attributes)
    {
        var (names, comma) = (new List<(string Name, string? Attribute)>(), false);
        var parentheses = stream.SkipOperator("(");
        while (true)
        {
            var name = stream.Expect(TokenKind.Name, "a name");
            if (Constant.Of(name.Line, name.Text) is not null) throw JinjaException.Syntax($"'{name.Text}' cannot be set", name.Line);
            names.Add((name.Text, attributes && stream.SkipOperator(".") ? stream.Expect(TokenKind.Name, "a name").Text : null));
            if (!stream.SkipOperator(",")) break;
            comma = true;
            if (stream.Current.Kind != TokenKind.Name || stream.Current.IsName("in")) break;
        }
        if (parentheses) stream.ExpectOperator(")");
        return new Target(names, comma);
    }

    /// <summary>The filters that follow, each on the result of the one before.</summary>
    public Expression Filters(Expression value)
    {
        while (stream.SkipOperator("|")) value = Filter(value);
        return value;
    }

    /// <summary>A filter's name and arguments.</summary>
    public Expression Filter(Expression value)
    {
        var name = stream.Expect(TokenKind.Name, "a filter's name");
        return new FilterCall(name.Line, value, name.Text, stream.Current.IsOperator("(") ? Arguments() : CallArguments.None);
    }

    private bool EndsTuple() =>
        stream.Current.Kind is TokenKind.OutputEnd or TokenKind.BlockEnd or TokenKind.End || stream.Current.IsOperator(")");

    public Expression Or()
    {
        var (line, left) = (stream.Line, And());
        while (stream.SkipName("or")) left = new EitherOr(line, left, And());
        return left;
    }

    private Expression And()
    {
        var (line, left) = (stream.Line, Not());
        while (stream.SkipName("and")) left = new Both(line, left, Not());
        return left;
    }

    private Expression Not()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var line = stream.Line;
        return stream.SkipName("not") ? new Negation(line, Not()) : Comparison();
    }

    private Expression Comparison()
    {
        var (line, first) = (stream.Line, Sum());
        var steps = new List<(string Operator, Expression Right)>();
        while (true)
        {
            if (stream.Current.Kind == TokenKind.Operator && Comparisons.Contains(stream.Current.Text))
                steps.Add((stream.Next().Text, Sum()));
            else if (stream.SkipName("in"))
                steps.Add(("in", Sum()));
            else if (stream.Current.IsName("not") && stream.Following.IsName("in"))
            {
                stream.Next();
                stream.Next();
                steps.Add(("not in", Sum()));
            }
            else
                return steps.Count == 0 ? first : new Comparison(line, first, steps);
        }
    }

    private Expression Sum() => Chain(Joined, "+", "-");

    // All that ~ joins is turned to text; so how it is grouped does not matter.
    private Expression Joined() => Chain(Product, "~");

    private Expression Product() => Chain(Power, "*", "/", "//", "%");

    // From the left, unlike Python's.
    private Expression Power() => Chain(() => Unary(filters: true), "**");

    private Expression Chain(Func<Expression> operand, params ReadOnlySpan<string> operators)
    {
        var (line, left) = (stream.Line, operand());
        while (stream.Current.Kind == TokenKind.Operator && operators.Contains(stream.Current.Text))
            left = new Arithmetic(line, stream.Next().Text, left, operand());
        return left;
    }

    private Expression Unary(bool filters)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var line = stream.Line;
        var value = stream.SkipOperator("-") ? new Sign(line, -1, Unary(filters: false))
            : stream.SkipOperator("+") ? new Sign(line, 1, Unary(filters: false))
            : Primary();
        value = Postfix(value);
        while (filters)
        {
            if (stream.Current.IsOperator("|")) value = Filters(value);
            else if (stream.Current.IsName("is")) value = Test(value);
            else if (stream.Current.IsOperator("(")) value = new Call(stream.Line, value, Arguments());
            else break;
        }
        return value;
    }

    private Expression Postfix(Expression value)
    {
        while (true)
        {
            var line = stream.Line;
            if (stream.SkipOperator("."))
            {
                var name = stream.Next();
                value = name.Kind switch
                {
                    TokenKind.Name => new Attribute(line, value, name.Text),
                    TokenKind.Integer => new Subscript(line, value, new Constant(line, Integer(name))),
                    _ => throw JinjaException.Syntax($"{name.Told} stands where a name is expected", name.Line),
                };
            }
            else if (stream.SkipOperator("["))
                value = Subscript(value, line);
            else if (stream.Current.IsOperator("("))
                value = new Call(line, value, Arguments());
            else
                return value;
        }
    }

    private Expression Subscript(Expression value, int line)
    {
        var parts = new List<Expression?> { stream.Current.IsOperator(":") ? null : Expression() };
        while (parts.Count < 3 && stream.SkipOperator(":"))
            parts.Add(stream.Current.IsOperator(":") || stream.Current.IsOperator("]") ? null : Expression());
        stream.ExpectOperator("]");
        return parts.Count == 1 ? new Subscript(line, value, parts[0]!) : new Slice(line, value, parts[0], parts[1], parts.ElementAtOrDefault(2));
    }

    private Expression Test(Expression value)
    {
        var line = stream.Next().Line;
        var negated = stream.SkipName("not");
        var name = stream.Current.Kind == TokenKind.Name ? stream.Next().Text : throw stream.Unexpected("a test's name");
        var current = stream.Current;
        var arguments = CallArguments.None;
        if (current.IsOperator("(")) arguments = Arguments();
        else if (current.Kind is TokenKind.Text or TokenKind.Integer or TokenKind.Float || current.IsOperator("[") || current.IsOperator("{")
            || (current.Kind == TokenKind.Name && current.Text is not ("else" or "or" or "and")))
        {
            if (current.Text == "is" && current.Kind == TokenKind.Name) throw stream.Unexpected("the end of a test");
            arguments = new CallArguments([Postfix(Primary())], []);
        }
        var test = new TestCall(line, value, name, arguments);
        return negated ? new Negation(line, test) : test;
    }

    private CallArguments Arguments()
    {
        stream.ExpectOperator("(");
        var (positional, named) = (new List<Expression>(), new List<(string, Expression)>());
        while (!stream.SkipOperator(")"))
        {
            if (positional.Count + named.Count > 0)
            {
                stream.ExpectOperator(",");
                if (stream.SkipOperator(")")) break;
            }
            if (stream.Current.IsOperator("*") || stream.Current.IsOperator("**"))
                throw JinjaException.Unsupported($"'{stream.Current.Text}' before an argument", stream.Line);
            if (stream.Current.Kind == TokenKind.Name && stream.Following.IsOperator("="))
            {
                var name = stream.Next().Text;
                stream.Next();
                named.Add((name, Expression()));
            }
            else if (named.Count > 0)
                throw stream.Unexpected("an argument with a name");
            else
                positional.Add(Expression());
        }
        return new CallArguments(positional, named);
    }

    private Expression Primary()
    {
        var token = stream.Next();
        switch (token.Kind)
        {
            case TokenKind.Name:
                return Constant.Of(token.Line, token.Text) ?? (Expression)new Name(token.Line, token.Text);
            case TokenKind.Text:
                var text = token.Text;
                while (stream.Current.Kind == TokenKind.Text) text += stream.Next().Text;
                return new Constant(token.Line, TaintedText.Own(text));
            case TokenKind.Integer:
                return new Constant(token.Line, Integer(token));
            case TokenKind.Float:
                return new Constant(token.Line, double.Parse(token.Text, CultureInfo.InvariantCulture));
            case TokenKind.Operator when token.Text == "(":
                var inner = Tuple(parentheses: true);
                stream.ExpectOperator(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return new Collection(token.Line, ItemsKind.List, [.. Until("]", Expression)]);
            case TokenKind.Operator when token.Text == "{":
                return new Pairs(token.Line, [.. Until("}", Pair)]);
            default:
                throw JinjaException.Syntax($"{token.Told} stands where an expression is expected", token.Line);
        }
    }

    private (Expression Key, Expression Value) Pair()
    {
        var key = Expression();
        stream.ExpectOperator(":");
        return (key, Expression());
    }

    private IEnumerable<T> Until<T>(string end, Func<T> item)
    {
        for (var first = true; !stream.SkipOperator(end); first = false)
        {
            if (!first)
            {
                stream.ExpectOperator(",");
                if (stream.SkipOperator(end)) yield break;
            }
            yield return item();
        }
    }

    private static object Integer(Token token) => long.TryParse(token.Text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number : throw JinjaException.Unsupported("a whole number of more than 64 bits", token.Line);
}
