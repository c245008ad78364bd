namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>How a statement ends.</summary>
internal enum Flow
{
    Next,
    Continue,
    Break,
}

/// <summary>A part of a template that does something.</summary>
internal abstract class Statement(int line)
{
    public Flow Execute(Frame frame)
    {
        frame.Meter.Step(line);
        return Run(frame);
    }

    protected abstract Flow Run(Frame frame);
}

internal sealed class Sequence(int line, IReadOnlyList<Statement> body) : Statement(line)
{
    protected override Flow Run(Frame frame)
    {
        foreach (var statement in body)
            if (statement.Execute(frame) is not Flow.Next and var flow) return flow;
        return Flow.Next;
    }
}

/// <summary><c>{{ a }}</c>, or text of the template.</summary>
internal sealed class Output(int line, Expression value) : Statement(line)
{
    protected override Flow Run(Frame frame)
    {
        frame.Output.Append(Python.Text(frame.Meter, value.Value(frame)));
        return Flow.Next;
    }
}

/// <summary><c>if</c>; what is set in it stays set.</summary>
internal sealed class Conditional(int line, Expression condition, Statement then, Statement? otherwise) : Statement(line)
{
    protected override Flow Run(Frame frame) =>
        condition.IsTrue(frame) ? then.Execute(frame) : otherwise?.Execute(frame) ?? Flow.Next;
}

/// <summary><c>break</c> and <c>continue</c>.</summary>
internal sealed class Leave(int line, Flow flow) : Statement(line)
{
    protected override Flow Run(Frame frame) => flow;
}

/// <summary>A block with names of its own.</summary>
internal sealed class Enclosed(int line, Statement body) : Statement(line)
{
    protected override Flow Run(Frame frame) => body.Execute(frame.Inner());
}

/// <summary>What a value is put into: a name or a namespace's attribute, or several, one for each item.</summary>
internal sealed record Target(IReadOnlyList<(string Name, string? Attribute)> Names, bool IsTuple)
{
    public void Set(Frame frame, object? value)
    {
        if (!IsTuple)
        {
            Set(frame, Names[0], value);
            return;
        }
        var items = Access.Iterate(frame.Meter, value);
        if (items.Count != Names.Count)
            throw JinjaException.Failed($"{items.Count} values are there for {Names.Count} names");
        for (var i = 0; i < items.Count; i++) Set(frame, Names[i], items[i]);
    }

    private static void Set(Frame frame, (string Name, string? Attribute) target, object? value)
    {
        if (target.Attribute is not { } attribute) frame.Set(target.Name, value);
        else if (frame.Get(target.Name) is Namespace space) space[attribute] = value;
        else throw JinjaException.Failed($"'{target.Name}' is no namespace, so that '{target.Name}.{attribute}' cannot be set");
    }
}

/// <summary><c>set</c>.</summary>
internal sealed class Assignment(int line, Target target, Expression value) : Statement(line)
{
    protected override Flow Run(Frame frame)
    {
        target.Set(frame, value.Value(frame));
        return Flow.Next;
    }
}

/// <summary><c>for</c>: each turn has names of its own; with a filter, only items that pass count as the loop's.</summary>
internal sealed class Loop(int line, Target target, Expression items, Expression? filter, Statement body, Statement? otherwise) : Statement(line)
{
    protected override Flow Run(Frame frame)
    {
        var all = Access.Iterate(frame.Meter, items.Value(frame));
        if (filter is not null) all = [.. all.Where(item => Passes(frame, item))];
        var (state, completed) = (new LoopState(all), false);
        for (; state.Index < all.Count; state.Index++)
        {
            var turn = frame.Inner();
            turn.Set("loop", state);
            target.Set(turn, all[state.Index]);
            var flow = body.Execute(turn);
            completed |= flow == Flow.Next;
            if (flow == Flow.Break) break;
        }
        // As Jinja has it, turns that were left by 'break' or 'continue' count as none.
        return completed ? Flow.Next : otherwise?.Execute(frame.Inner()) ?? Flow.Next;
    }

    private bool Passes(Frame frame, object? item)
    {
        var turn = frame.Inner();
        target.Set(turn, item);
        return filter!.IsTrue(turn);
    }
}

/// <summary><c>macro</c>: a function that gives the text it renders; it sees the names around its definition.</summary>
internal sealed class MacroDefinition(int line, string name, IReadOnlyList<(string Name, Expression? Default)> parameters, Statement body)
    : Statement(line)
{
    protected override Flow Run(Frame frame)
    {
        frame.Set(name, new Function($"the macro '{name}'", arguments => Call(frame, arguments), IsMacro: true));
        return Flow.Next;
    }

    private TaintedText Call(Frame around, Arguments arguments)
    {
        var output = new TextBuilder(around.Meter);
        var frame = around.Inner(output);
        var missing = new List<(string Name, Expression? Default)>();
        foreach (var parameter in parameters)
        {
            if (arguments.TryTake(parameter.Name, out var value)) frame.Set(parameter.Name, value);
            else missing.Add(parameter);
        }
        arguments.Done();
        // A default may name the parameters before it.
        foreach (var (parameter, value) in missing)
            frame.Set(parameter, value is null ? new Undefined($"parameter '{parameter}' was not provided") : value.Value(frame));
        body.Execute(frame);
        return output.ToText();
    }
}
