namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The variable <c>loop</c>: how far a loop has come.</summary>
internal sealed class LoopState(IReadOnlyList<object?> items) : IAttributes
{
    private IReadOnlyList<object?>? last;

    public int Index { get; set; }

    public bool TryGet(string name, out object? value)
    {
        value = name switch
        {
            "index" => Index + 1L,
            "index0" => (long)Index,
            "revindex" => (long)items.Count - Index,
            "revindex0" => items.Count - Index - 1L,
            "first" => Index == 0,
            "last" => Index == items.Count - 1,
            "length" => (long)items.Count,
            "previtem" => Index > 0 ? items[Index - 1] : new Undefined("there is no previous item"),
            "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("there is no next item"),
            "cycle" => new Function("loop.cycle", Cycle),
            "changed" => new Function("loop.changed", Changed),
            "depth" or "depth0" => throw JinjaException.Unsupported($"'loop.{name}'"),
            _ => null,
        };
        return value is not null || name is "previtem" or "nextitem";
    }

    private object? Cycle(Arguments arguments)
    {
        var values = arguments.Rest();
        return values.Count > 0 ? values[Index % values.Count] : throw JinjaException.Failed("loop.cycle has nothing to choose from");
    }

    private object Changed(Arguments arguments)
    {
        var (values, before) = (arguments.Rest(), last);
        last = values;
        return before is null || !Comparing.Equal(arguments.Meter, Items.Tuple(before), Items.Tuple(values));
    }
}
