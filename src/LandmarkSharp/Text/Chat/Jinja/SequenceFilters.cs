namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The filters of sequences and dictionaries.</summary>
internal static class SequenceFilters
{
    public static object? Apply(string name, object? value, Arguments arguments)
    {
        var meter = arguments.Meter;
        return name switch
        {
            "list" => Items.List(Access.Iterate(meter, value)),
            "first" => Access.Iterate(meter, value) is { Count: > 0 } items ? items[0] : new Undefined("there is no first item"),
            "last" => Last(meter, value),
            "reverse" when value is TaintedText => Slicing.Slice(meter, value, null, null, -1L),
            "reverse" when value is Items { Kind: ItemsKind.Generator } => Items.List([.. Access.Iterate(meter, value).Reverse()]),
            "reverse" => Items.Generator([.. Access.Iterate(meter, value).Reverse()]),
            "join" => Join(meter, value, arguments),
            "items" => Pairs(value),
            "dictsort" => DictSort(value, arguments),
            "sort" => Sort(meter, value, arguments),
            "unique" => Unique(meter, value, arguments),
            "min" or "max" => Extreme(meter, value, arguments, name == "max"),
            "sum" => Sum(meter, value, arguments),
            "map" or "select" or "reject" or "selectattr" or "rejectattr" when !Comparing.Truth(value) => Nothing(arguments),
            "map" => Items.Generator(Map(meter, value, arguments)),
            "select" or "reject" or "selectattr" or "rejectattr" => Items.Generator(Select(name, value, arguments)),
            _ => throw JinjaException.Unsupported($"the filter '{name}'"),
        };
    }

    // Even of none, and whatever the arguments.
    private static Items Nothing(Arguments arguments)
    {
        arguments.Rest();
        arguments.NamedRest();
        return Items.Generator([]);
    }

    private static object? Last(Meter meter, object? value)
    {
        if (value is Items { Kind: ItemsKind.Generator }) throw JinjaException.Failed("a generator has no last item; 'list' before it helps");
        return Access.Iterate(meter, value) is { Count: > 0 } items ? items[^1] : new Undefined("there is no last item");
    }

    private static TaintedText Join(Meter meter, object? value, Arguments arguments)
    {
        var separator = Python.Text(meter, arguments.Optional("d", TaintedText.Empty));
        var attribute = arguments.Optional("attribute");
        var (joined, first) = (new TextBuilder(meter), true);
        foreach (var item in Access.Iterate(meter, value))
        {
            if (!first) joined.Append(separator);
            first = false;
            joined.Append(Python.Text(meter, attribute is null ? item : Of(meter, item, attribute)));
        }
        return joined.ToText();
    }

    private static Items Pairs(object? value) => value switch
    {
        Undefined => Items.Generator([]),
        Mapping mapping => Items.Generator(mapping.Tuples()),
        _ => throw JinjaException.Failed($"{Python.TypeName(value)} has no pairs"),
    };

    private static Items DictSort(object? value, Arguments arguments)
    {
        var mapping = value as Mapping ?? throw JinjaException.Failed($"{Python.TypeName(value)} is no dictionary to sort");
        var caseSensitive = arguments.Flag("case_sensitive");
        var by = arguments.Optional("by", TaintedText.Own("key")) is TaintedText { Value: "key" or "value" } text
            ? text.Value : throw JinjaException.Failed("dictsort sorts by 'key' or 'value'");
        var reverse = arguments.Flag("reverse");
        return Items.List(Sorting.By(
            arguments.Meter,
            mapping.Tuples(),
            pair => Sorting.Folded(arguments.Meter, ((Items)pair!)[by == "key" ? 0 : 1], caseSensitive),
            reverse));
    }

    private static Items Sort(Meter meter, object? value, Arguments arguments)
    {
        var (reverse, caseSensitive) = (arguments.Flag("reverse"), arguments.Flag("case_sensitive"));
        var attribute = arguments.Optional("attribute");
        var items = Access.Iterate(meter, value);
        if (attribute is null) return Items.List(Sorting.By(meter, items, item => Key(meter, item, null, caseSensitive), reverse));
        // Several may stand between commas: what is equal in the first is sorted by the next.
        object[] names = attribute is TaintedText text ? [.. text.Value.Split(',').Select(TaintedText.Own)] : [attribute];
        return Items.List(Sorting.By(meter, items, item => Items.List([.. names.Select(name => Key(meter, item, name, caseSensitive))]), reverse));
    }

    private static Items Unique(Meter meter, object? value, Arguments arguments)
    {
        var caseSensitive = arguments.Flag("case_sensitive");
        var attribute = arguments.Optional("attribute");
        var first = new Dictionary<(bool IsNone, object Key), object?>();
        foreach (var item in Access.Iterate(meter, value))
        {
            var key = Key(meter, item, attribute, caseSensitive);
            if (key is not null && Access.HashableKey(key) is null)
                throw JinjaException.Unsupported($"the filter 'unique' of {Python.TypeName(key)}");
            first.TryAdd((key is null, key is null ? 0.0 : Numbers.IsNumber(key, out var number) ? number : key), item);
        }
        return Items.Generator([.. first.Values]);
    }

    private static object? Extreme(Meter meter, object? value, Arguments arguments, bool greatest)
    {
        var caseSensitive = arguments.Flag("case_sensitive");
        var attribute = arguments.Optional("attribute");
        var items = Access.Iterate(meter, value);
        if (items.Count == 0) return new Undefined("there is nothing to choose from");
        var (best, bestKey) = (items[0], Key(meter, items[0], attribute, caseSensitive));
        foreach (var item in items.Skip(1))
        {
            var key = Key(meter, item, attribute, caseSensitive);
            if (Comparing.Order(meter, key, bestKey) == (greatest ? 1 : -1)) (best, bestKey) = (item, key);
        }
        return best;
    }

    private static object? Sum(Meter meter, object? value, Arguments arguments)
    {
        var attribute = arguments.Optional("attribute");
        return Access.Iterate(meter, value).Aggregate(
            arguments.Optional("start", 0L),
            (sum, item) => Operators.Compute(meter, "+", sum, attribute is null ? item : Of(meter, item, attribute)));
    }

    private static object?[] Map(Meter meter, object? value, Arguments arguments)
    {
        var items = Access.Iterate(meter, value);
        if (arguments.Left == 0)
        {
            var attribute = arguments.Required("attribute");
            var otherwise = arguments.Optional("default");
            return [.. items.Select(item => Of(meter, item, attribute, otherwise))];
        }
        var name = arguments.Text("filter").Value;
        var (rest, named) = (arguments.Rest(), arguments.NamedRest());
        return [.. items.Select(item => Filters.Apply(name, item, new Arguments($"the filter '{name}'", meter, rest, named)))];
    }

    private static object?[] Select(string filter, object? value, Arguments arguments)
    {
        var meter = arguments.Meter;
        var attribute = filter.EndsWith("attr", StringComparison.Ordinal) ? arguments.Required("attribute") : null;
        var name = arguments.Left > 0 ? arguments.Text("test").Value : null;
        var (rest, named) = (arguments.Rest(), arguments.NamedRest());
        bool Passes(object? item)
        {
            meter.Spend(1);
            var looked = attribute is null ? item : Of(meter, item, attribute);
            return name is null ? Comparing.Truth(looked) : Tests.Apply(name, looked, new Arguments($"the test '{name}'", meter, rest, named));
        }
        return [.. Access.Iterate(meter, value).Where(item => Passes(item) == filter.StartsWith('s'))];
    }

    private static object? Key(Meter meter, object? item, object? attribute, bool caseSensitive) =>
        Sorting.Folded(meter, attribute is null ? item : Of(meter, item, attribute), caseSensitive);

    // 'a.b.0' is the item 0 of b of a.
    private static object? Of(Meter meter, object? item, object? attribute, object? otherwise = null)
    {
        object?[] steps = attribute is TaintedText path ? [.. path.Value.Split('.').Select(Step)] : [attribute];
        foreach (var step in steps)
        {
            item = Access.Item(meter, item, step);
            if (item is Undefined && otherwise is not null) item = otherwise;
        }
        return item;

        static object Step(string name) =>
            name.Length > 0 && name.All(char.IsAsciiDigit) && long.TryParse(name, out var place) ? place : TaintedText.Own(name);
    }
}
