namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>What may stand after <c>|</c>: filters of one value here, those of sequences in <see cref="SequenceFilters"/>.</summary>
internal static class Filters
{
    /// <summary>What the filter with this name makes of a value.</summary>
    public static object? Apply(string name, object? value, Arguments arguments)
    {
        var meter = arguments.Meter;
        meter.SpendOn(value);
        var result = name switch
        {
            "default" or "d" => Default(value, arguments),
            "tojson" => Json.Filter(value, arguments),
            "string" => Python.Text(meter, value),
            "safe" => Python.Text(meter, value).AsMarkup(),
            "trim" => Cutting.Strip(Python.Text(meter, value), arguments.OptionalText("chars")),
            "upper" => TextMethods.Upper(meter, Python.Text(meter, value)),
            "lower" => TextMethods.Lower(meter, Python.Text(meter, value)),
            "capitalize" => TextMethods.Capitalized(meter, Python.Text(meter, value)),
            "title" => Title(meter, Python.Text(meter, value)),
            "replace" => Replace(meter, Python.Text(meter, value), arguments),
            "indent" => Indent(meter, value, arguments),
            "length" or "count" => Length(value),
            "int" => Integer(value, arguments.Optional("default", 0L), arguments),
            "float" => Float(value, arguments.Optional("default", 0.0)),
            "abs" => Comparing.Order(meter, value, 0L) < 0 ? Numbers.Signed(value, -1) : Numbers.Signed(value, 1),
            _ => SequenceFilters.Apply(name, value, arguments),
        };
        arguments.Done();
        return result;
    }

    private static object? Default(object? value, Arguments arguments)
    {
        var otherwise = arguments.Optional("default_value", TaintedText.Empty);
        var falseToo = arguments.Flag("boolean");
        return value is Undefined || (falseToo && !Comparing.Truth(value)) ? otherwise : value;
    }

    // Unlike the method of that name, it leaves apostrophes alone.
    private static TaintedText Title(Meter meter, TaintedText text)
    {
        var starts = true;
        return text.Map(meter, part => string.Concat(part.Select(c =>
        {
            var mapped = starts ? char.ToUpperInvariant(c) : char.ToLowerInvariant(c);
            starts = c is '-' or '(' or '{' or '[' or '<' || PythonSpace.Is(c);
            return mapped;
        })));
    }

    private static TaintedText Replace(Meter meter, TaintedText text, Arguments arguments)
    {
        var (old, with) = (Python.Text(meter, arguments.Required("old")), Python.Text(meter, arguments.Required("new")));
        return Cutting.Replace(meter, text, old, with, arguments.Integer("count", -1));
    }

    private static TaintedText Indent(Meter meter, object? value, Arguments arguments)
    {
        if (value is not TaintedText text) throw JinjaException.Failed($"{Python.TypeName(value)} cannot be indented");
        var indent = arguments.Optional("width", 4L) switch
        {
            TaintedText given => given,
            var width when Numbers.IsInteger(width, out var number) => TaintedText.Own(new string(' ', (int)Math.Clamp(number, 0, 1000))),
            _ => throw JinjaException.Failed("'width' of the filter 'indent' is no number"),
        };
        var (first, blank) = (arguments.Flag("first"), arguments.Flag("blank"));
        var indented = new TextBuilder(meter);
        var whole = new TextBuilder(meter).Append(text).Append("\n").ToText();
        var isFirst = true;
        foreach (var (start, length) in PythonSpace.Lines(whole.Value))
        {
            if (!isFirst) indented.Append("\n");
            if (isFirst ? first : blank || length > 0) indented.Append(indent);
            indented.Append(whole.Part(start, length));
            isFirst = false;
        }
        return text.Markup ? indented.ToText().AsMarkup() : indented.ToText();
    }

    private static object Length(object? value) => value switch
    {
        TaintedText text => (long)text.Count,
        Items { Kind: not ItemsKind.Generator } items => (long)items.Count,
        Mapping mapping => (long)mapping.Count,
        Undefined => 0L,
        _ => throw JinjaException.Failed($"{Python.TypeName(value)} has no length"),
    };

    private static object? Integer(object? value, object? otherwise, Arguments arguments)
    {
        if (arguments.Optional("base", 10L) is not 10L) throw JinjaException.Unsupported("a base other than 10 of the filter 'int'");
        return value switch
        {
            Undefined undefined => throw JinjaException.Failed(undefined.Reason),
            double number when double.IsInfinity(number) => throw JinjaException.Failed("infinity is no whole number"),
            double number => Whole(number) ?? otherwise,
            TaintedText text when Numbers.Parse(text.Value, whole: true) is { } whole => whole,
            TaintedText text => (Numbers.Parse(text.Value, whole: false) is double number ? Whole(number) : null) ?? otherwise,
            _ => Numbers.IsInteger(value, out var integer) ? integer : otherwise,
        };
    }

    private static object? Whole(double number) =>
        double.IsNaN(number) ? null
        : Math.Abs(number) < 9e18 ? (long)number : throw JinjaException.Unsupported("a whole number of more than 64 bits");

    private static object? Float(object? value, object? otherwise) => value switch
    {
        Undefined undefined => throw JinjaException.Failed(undefined.Reason),
        TaintedText text => Numbers.Parse(text.Value, whole: false) ?? otherwise,
        _ => Numbers.IsNumber(value, out var number) ? number : otherwise,
    };
}
