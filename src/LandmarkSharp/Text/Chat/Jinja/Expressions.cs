namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>A part of a template that has a value.</summary>
internal abstract class Expression(int line)
{
    protected int Line => line;

    public object? Value(Frame frame)
    {
        frame.Meter.Step(line);
        return Compute(frame);
    }

    public bool IsTrue(Frame frame) => Comparing.Truth(Value(frame));

    protected abstract object? Compute(Frame frame);
}

internal sealed class Constant(int line, object? value) : Expression(line)
{
    /// <summary>The constant with this name, if there is one.</summary>
    public static Constant? Of(int line, string name) => name switch
    {
        "true" or "True" => new Constant(line, true),
        "false" or "False" => new Constant(line, false),
        "none" or "None" => new Constant(line, null),
        _ => null,
    };

    protected override object? Compute(Frame frame) => value;
}

internal sealed class Name(int line, string name) : Expression(line)
{
    protected override object? Compute(Frame frame) => frame.Get(name);
}

/// <summary><c>[a, b]</c> or <c>(a, b)</c>.</summary>
internal sealed class Collection(int line, ItemsKind kind, IReadOnlyList<Expression> items) : Expression(line)
{
    protected override object? Compute(Frame frame) => new Items(kind, [.. items.Select(item => item.Value(frame))]);
}

/// <summary><c>{a: b}</c>.</summary>
internal sealed class Pairs(int line, IReadOnlyList<(Expression Key, Expression Value)> pairs) : Expression(line)
{
    protected override object? Compute(Frame frame) =>
        new Mapping(pairs.Select(p => (Key(p.Key.Value(frame)), p.Value.Value(frame))));

    private static object Key(object? value) =>
        Access.HashableKey(value) ?? throw JinjaException.Unsupported($"{Python.TypeName(value)} as a key");
}

/// <summary><c>a if b else c</c>.</summary>
internal sealed class Choice(int line, Expression condition, Expression then, Expression? otherwise) : Expression(line)
{
    protected override object? Compute(Frame frame) => condition.IsTrue(frame) ? then.Value(frame)
        : otherwise is null ? new Undefined("a choice without 'else' was not taken") : otherwise.Value(frame);
}

/// <summary><c>a or b</c>, which is one of them.</summary>
internal sealed class EitherOr(int line, Expression left, Expression right) : Expression(line)
{
    protected override object? Compute(Frame frame) => left.Value(frame) is var value && Comparing.Truth(value) ? value : right.Value(frame);
}

/// <summary><c>a and b</c>, which is one of them.</summary>
internal sealed class Both(int line, Expression left, Expression right) : Expression(line)
{
    protected override object? Compute(Frame frame) => left.Value(frame) is var value && !Comparing.Truth(value) ? value : right.Value(frame);
}

internal sealed class Negation(int line, Expression operand) : Expression(line)
{
    protected override object? Compute(Frame frame) => !operand.IsTrue(frame);
}

/// <summary><c>a &lt; b &lt;= c</c>: each pair must hold, and what is not needed is not looked at.</summary>
internal sealed class Comparison(int line, Expression first, IReadOnlyList<(string Operator, Expression Right)> steps) : Expression(line)
{
    protected override object? Compute(Frame frame)
    {
        var left = first.Value(frame);
        foreach (var (name, operand) in steps)
        {
            var right = operand.Value(frame);
            if (!Comparing.Holds(frame.Meter, name, left, right)) return false;
            left = right;
        }
        return true;
    }
}

internal sealed class Arithmetic(int line, string name, Expression left, Expression right) : Expression(line)
{
    protected override object? Compute(Frame frame) => Operators.Compute(frame.Meter, name, left.Value(frame), right.Value(frame));
}

internal sealed class Sign(int line, int sign, Expression operand) : Expression(line)
{
    protected override object? Compute(Frame frame) => Numbers.Signed(operand.Value(frame), sign);
}

/// <summary><c>a.b</c>.</summary>
internal sealed class Attribute(int line, Expression owner, string name) : Expression(line)
{
    protected override object? Compute(Frame frame) => Access.Attribute(frame.Meter, owner.Value(frame), name);
}

/// <summary><c>a[b]</c>.</summary>
internal sealed class Subscript(int line, Expression owner, Expression index) : Expression(line)
{
    protected override object? Compute(Frame frame) => Access.Item(frame.Meter, owner.Value(frame), index.Value(frame));
}

/// <summary><c>a[b:c:d]</c>.</summary>
internal sealed class Slice(int line, Expression owner, Expression? start, Expression? end, Expression? step) : Expression(line)
{
    protected override object? Compute(Frame frame) =>
        Slicing.Slice(frame.Meter, owner.Value(frame), start?.Value(frame), end?.Value(frame), step?.Value(frame));
}
