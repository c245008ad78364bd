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
            "odd" => Rest(arguments.Meter, value, 2L, 1L),
            "even" => Rest(arguments.Meter, value, 2L, 0L),
            "divisibleby" => Rest(arguments.Meter, value, arguments.Required("num"), 0L),
            "lower" or "upper" => HasCase(Python.Text(arguments.Meter, value).Value, name == "upper"),
            "eq" or "equalto" or "==" => Comparing.Holds(arguments.Meter, "==", value, arguments.Required("other")),
            "ne" or "!=" => Comparing.Holds(arguments.Meter, "!=", value, arguments.Required("other")),
            "lt" or "lessthan" or "<" => Comparing.Holds(arguments.Meter, "<", value, arguments.Required("other")),
            "le" or "<=" => Comparing.Holds(arguments.Meter, "<=", value, arguments.Required("other")),
            "gt" or "greaterthan" or ">" => Comparing.Holds(arguments.Meter, ">", value, arguments.Required("other")),
            "ge" or ">=" => Comparing.Holds(arguments.Meter, ">=", value, arguments.Required("other")),
            "in" => Comparing.Holds(arguments.Meter, "in", value, arguments.Required("seq")),
            "sameas" => Same(value, arguments.Required("other")),
            _ => throw JinjaException.Unsupported($"the test '{name}'"),
        };
        arguments.Done();
        return passes;
    }

    private static bool Rest(Meter meter, object? value, object? divisor, long rest) =>
        Comparing.Equal(meter, Operators.Compute(meter, "%", value, divisor), rest);

    // Whether other values are one object depends on how Python keeps them.
    private static bool Same(object? value, object? other) => value is null or bool || other is null or bool ? Equals(value, other)
        : throw JinjaException.Unsupported("the test 'sameas' of anything but true, false and none");

    // At least one letter, and none of the other case.
    private static bool HasCase(string text, bool upper) =>
        upper ? text.Any(char.IsUpper) && !text.Any(char.IsLower) : text.Any(char.IsLower) && !text.Any(char.IsUpper);
}
