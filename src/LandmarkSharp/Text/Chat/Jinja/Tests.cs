namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>What may stand after <c>is</c>.</summary>
internal static class Tests
{
    /// <summary>Whether a value passes the test with this name.</summary>
    public static bool Apply(string name, object? value, Arguments arguments)
    {
        arguments.Meter.SpendOn(value);
        var passes = name switch
        {
            "defined" => value is not Undefined,
            "undefined" => value is Undefined,
            "none" => value is null,
            "boolean" => value is bool,
            "true" => value is true,
            "false" => value is false,
            "integer" => value is long,
            "float" => value is double,
            "number" => value is long or double or bool,
            "string" => value is TaintedText,
            "mapping" => value is Mapping,
            "iterable" => value is Items or Mapping or TaintedText or Undefined,
            "sequence" => value is Items { Kind: ItemsKind.List or ItemsKind.Tuple or ItemsKind.Range } or Mapping or TaintedText or Undefined,
            "callable" => value is Function or Undefined,
            "odd" => Integer(value, "%", 2L) is 1L,
            "even" => Integer(value, "%", 2L) is 0L,
            "divisibleby" => Integer(value, "%", arguments.Required("num")) is 0L,
            "lower" or "upper" => HasCase(Python.Text(arguments.Meter, value).Value, name == "upper"),
            "eq" or "equalto" => Comparing.Holds("==", value, arguments.Required("other")),
            "ne" => Comparing.Holds("!=", value, arguments.Required("other")),
            "lt" or "lessthan" => Comparing.Holds("<", value, arguments.Required("other")),
            "le" => Comparing.Holds("<=", value, arguments.Required("other")),
            "gt" or "greaterthan" => Comparing.Holds(">", value, arguments.Required("other")),
            "ge" => Comparing.Holds(">=", value, arguments.Required("other")),
            "in" => Comparing.Holds("in", value, arguments.Required("seq")),
            "sameas" => arguments.Required("other") is var other && value is null or bool ? Equals(value, other)
                : throw JinjaException.Unsupported("the test 'sameas' of anything but true, false and none"),
            _ => throw JinjaException.Unsupported($"the test '{name}'"),
        };
        arguments.Done();
        return passes;
    }

    private static object? Integer(object? value, string operation, object? with) =>
        Numbers.IsInteger(value, out _) && Numbers.IsInteger(with, out _) ? Numbers.Compute(operation, value, with)
            : throw JinjaException.Failed($"{Python.TypeName(value)} is divided by {Python.TypeName(with)}");

    // At least one letter, and none of the other case.
    private static bool HasCase(string text, bool upper) =>
        text.Any(char.IsLetter) && text.Any(c => upper ? char.IsUpper(c) : char.IsLower(c)) && !text.Any(c => upper ? char.IsLower(c) : char.IsUpper(c));
}
