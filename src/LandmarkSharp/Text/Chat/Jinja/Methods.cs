namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The methods of Python's values; those that would change a value may not be used by chat templates anywhere.</summary>
internal static class Methods
{
    private static readonly HashSet<string> OfDictionaries =
        [.. "clear copy fromkeys get items keys pop popitem setdefault update values".Split(' ')];

    private static readonly HashSet<string> OfLists = [.. "append clear copy count extend index insert pop remove reverse sort".Split(' ')];

    private static readonly HashSet<string> OfTuples = ["count", "index"];

    private static readonly HashSet<string> OfNumbers =
        [.. "as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag is_integer numerator real to_bytes".Split(' ')];

    private static readonly HashSet<string> OfMacros = [.. "arguments caller catch_kwargs catch_varargs name".Split(' ')];

    private static readonly HashSet<string> Changing =
        [.. "append clear extend insert pop popitem remove reverse setdefault sort update".Split(' ')];

    /// <summary>A value's method with this name, or null where the type has none.</summary>
    public static object? Find(Meter meter, object? owner, string name)
    {
        switch (owner)
        {
            case TaintedText text:
                return !TextMethods.Names.Contains(name) ? null : Method(meter, owner, name, arguments => TextMethods.Call(text, name, arguments));
            case Mapping when OfDictionaries.Contains(name) && Changing.Contains(name):
            case Items { Kind: ItemsKind.List } when OfLists.Contains(name) && Changing.Contains(name):
                return new Undefined($"{Python.TypeName(owner)} may not be changed, as '{name}' would do");
            case Mapping mapping when OfDictionaries.Contains(name):
                return Method(meter, owner, name, arguments => OfMapping(mapping, name, arguments));
            case Items items when items.Kind <= ItemsKind.Range && (items.Kind == ItemsKind.List ? OfLists : OfTuples).Contains(name):
                return Method(meter, owner, name, arguments => OfItems(items, name, arguments));
            case long or double or bool when OfNumbers.Contains(name):
            case Function { IsMacro: true } when OfMacros.Contains(name):
                throw JinjaException.Unsupported($"'{name}' of {Python.TypeName(owner)}");
            default:
                return null;
        }
    }

    private static Function Method(Meter meter, object? owner, string name, Func<Arguments, object?> body) => new($"'{name}'", arguments =>
    {
        meter.SpendOn(owner);
        return body(arguments);
    });

    private static object? OfMapping(Mapping mapping, string name, Arguments arguments)
    {
        switch (name)
        {
            case "get":
                var (key, otherwise) = (arguments.Required("key"), arguments.Optional("default"));
                arguments.Done();
                arguments.Meter.SpendOn(key);
                return Access.HashableKey(key) is { } known && mapping.TryGet(known, out var value) ? value : otherwise;
            case "copy":
                arguments.Done();
                return mapping;
            case "items" or "keys" or "values":
                arguments.Done();
                return new Items(ItemsKind.View, name switch
                {
                    "items" => mapping.Tuples(),
                    "keys" => mapping.Keys,
                    _ => [.. mapping.Pairs.Select(p => p.Value)],
                });
            default:
                throw JinjaException.Unsupported($"'{name}' of a dictionary");
        }
    }

    private static object? OfItems(Items items, string name, Arguments arguments)
    {
        switch (name)
        {
            case "copy":
                arguments.Done();
                return items;
            case "count" or "index":
                var wanted = arguments.Required("value");
                arguments.Done();
                var places = Enumerable.Range(0, items.Count).Where(i => Comparing.Equal(arguments.Meter, items[i], wanted));
                return name == "count" ? (long)places.Count()
                    : places.Cast<int?>().FirstOrDefault() is { } place ? (long)place : throw JinjaException.Failed("'index' finds nothing");
            default:
                throw JinjaException.Unsupported($"'{name}' of a list");
        }
    }
}
