namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The arguments of a call as they are written.</summary>
internal sealed record CallArguments(IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named)
{
    public static readonly CallArguments None = new([], []);

    public Arguments Evaluate(Frame frame, string callee) => new(
        callee,
        frame.Meter,
        [.. Positional.Select(a => a.Value(frame))],
        [.. Named.Select(a => KeyValuePair.Create(a.Name, a.Value.Value(frame)))]);
}

/// <summary><c>a(b)</c>.</summary>
internal sealed class Call(int line, Expression callee, CallArguments arguments) : Expression(line)
{
    protected override object? Compute(Frame frame) => callee.Value(frame) switch
    {
        Function function => function.Body(arguments.Evaluate(frame, function.Name)),
        Undefined undefined => throw JinjaException.Failed(undefined.Reason),
        var other => throw JinjaException.Failed($"{Python.TypeName(other)} cannot be called"),
    };
}

/// <summary><c>a | name(b)</c>.</summary>
internal sealed class FilterCall(int line, Expression value, string name, CallArguments arguments) : Expression(line)
{
    protected override object? Compute(Frame frame) => Filters.Apply(name, value.Value(frame), arguments.Evaluate(frame, $"the filter '{name}'"));
}

/// <summary><c>a is name(b)</c>.</summary>
internal sealed class TestCall(int line, Expression value, string name, CallArguments arguments) : Expression(line)
{
    protected override object? Compute(Frame frame) => Tests.Apply(name, value.Value(frame), arguments.Evaluate(frame, $"the test '{name}'"));
}

/// <summary>What a block of the template renders to, as a value.</summary>
internal sealed class Captured(int line) : Expression(line)
{
    /// <summary>The block, which is read after what is done with its text.</summary>
    public Statement Body { private get; set; } = new Sequence(line, []);

    protected override object? Compute(Frame frame) => Text(frame, Body);

    public static TaintedText Text(Frame frame, Statement body)
    {
        var output = new TextBuilder(frame.Meter);
        body.Execute(frame.Inner(output));
        return output.ToText();
    }
}
