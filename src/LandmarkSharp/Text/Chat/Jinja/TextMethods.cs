using System.Globalization;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The methods of strings. Case is mapped character by character.</summary>
internal static class TextMethods
{
    /// <summary>The methods that Python's strings have; not all are supported.</summary>
    public static readonly IReadOnlySet<string> Names = new HashSet<string>(
        ("capitalize casefold center count encode endswith expandtabs find format format_map index isalnum isalpha isascii isdecimal isdigit "
        + "isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip maketrans partition removeprefix "
        + "removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title translate "
        + "upper zfill").Split(' '),
        StringComparer.Ordinal);

    public static object? Call(TaintedText text, string name, Arguments arguments)
    {
        if (text.Markup && arguments.Count > 0) throw JinjaException.Unsupported($"'{name}' with arguments, of a text marked safe,");
        var meter = arguments.Meter;
        object? result = name switch
        {
            "strip" or "lstrip" or "rstrip" => Cutting.Strip(text, arguments.OptionalText("chars"), name != "rstrip", name != "lstrip"),
            "lower" => Lower(meter, text),
            "upper" => Upper(meter, text),
            "title" => Title(meter, text),
            "capitalize" => Capitalized(meter, text),
            "startswith" or "endswith" => Affixed(text, arguments.Required("prefix"), name == "startswith"),
            "removeprefix" => arguments.Text("prefix").Value is { Length: > 0 } prefix && text.Value.StartsWith(prefix, StringComparison.Ordinal)
                ? text.Part(prefix.Length, text.Value.Length - prefix.Length) : text,
            "removesuffix" => arguments.Text("suffix").Value is { Length: > 0 } suffix && text.Value.EndsWith(suffix, StringComparison.Ordinal)
                ? text.Part(0, text.Value.Length - suffix.Length) : text,
            "split" or "rsplit" => Items.List(Split(text, arguments, name == "rsplit")),
            "splitlines" => Items.List([.. PythonSpace.Lines(text.Value).Select(l => text.Part(l.Start, l.Length))]),
            "partition" or "rpartition" => Items.Tuple(Cutting.Partition(meter, text, arguments.Text("sep"), name == "rpartition")),
            "replace" => Cutting.Replace(meter, text, arguments.Text("old"), arguments.Text("new"), arguments.Integer("count", -1)),
            "join" => Joined(meter, text, arguments.Required("iterable")),
            "find" or "rfind" or "index" or "rindex" => Found(meter, text, arguments.Text("sub"), name),
            "count" => (long)Cutting.Places(meter, text, arguments.Text("sub")).Count(),
            "isdigit" or "isdecimal" or "isnumeric" when text.Value.All(char.IsAscii) => text.Value.Length > 0 && text.Value.All(char.IsAsciiDigit),
            "isspace" => text.Value.Length > 0 && text.Value.All(PythonSpace.Is),
            "isascii" => text.Value.All(char.IsAscii),
            "isupper" or "islower" => Tests.Apply(name[2..], text, new Arguments(name, meter, [], [])),
            "format" => TextFormat.Apply(text, arguments),
            _ => throw JinjaException.Unsupported($"'{name}' of a string"),
        };
        arguments.Done();
        return result;
    }

    public static TaintedText Lower(Meter meter, TaintedText text) => text.Map(meter, part => part.ToLowerInvariant());

    public static TaintedText Upper(Meter meter, TaintedText text) => text.Map(meter, part => part.ToUpperInvariant());

    public static TaintedText Capitalized(Meter meter, TaintedText text)
    {
        var first = text.Value.Length > 1 && char.IsSurrogatePair(text.Value, 0) ? 2 : Math.Min(1, text.Value.Length);
        return new TextBuilder(meter).Append(Upper(meter, text.Part(0, first)))
            .Append(Lower(meter, text.Part(first, text.Value.Length - first))).ToText();
    }

    // A letter after anything but a letter is a word's first.
    private static TaintedText Title(Meter meter, TaintedText text)
    {
        var inWord = false;
        return text.Map(meter, part => string.Concat(part.Select(c =>
        {
            var mapped = inWord ? char.ToLower(c, CultureInfo.InvariantCulture) : char.ToUpper(c, CultureInfo.InvariantCulture);
            inWord = char.IsUpper(c) || char.IsLower(c);
            return mapped;
        })));
    }

    private static bool Affixed(TaintedText text, object? affix, bool atStart) => affix switch
    {
        TaintedText one => atStart ? text.Value.StartsWith(one.Value, StringComparison.Ordinal) : text.Value.EndsWith(one.Value, StringComparison.Ordinal),
        Items { Kind: ItemsKind.Tuple } several => Enumerable.Range(0, several.Count).Any(i => Affixed(text, several[i], atStart)),
        _ => throw JinjaException.Failed($"a string cannot {(atStart ? "start" : "end")} with {Python.TypeName(affix)}"),
    };

    private static IReadOnlyList<object?> Split(TaintedText text, Arguments arguments, bool fromEnd) =>
        Cutting.Split(arguments.Meter, text, arguments.OptionalText("sep"), arguments.Integer("maxsplit", -1), fromEnd);

    private static object Found(Meter meter, TaintedText text, TaintedText wanted, string name)
    {
        var place = Cutting.Find(meter, text, wanted, last: name[0] == 'r');
        if (place < 0 && name.EndsWith("index", StringComparison.Ordinal)) throw JinjaException.Failed($"'{name}' finds nothing");
        return place < 0 ? -1L : text.Part(0, place).Count;
    }

    private static TaintedText Joined(Meter meter, TaintedText separator, object? parts)
    {
        var joined = new TextBuilder(meter);
        var first = true;
        foreach (var part in Access.Iterate(meter, parts))
        {
            if (!first) joined.Append(separator);
            first = false;
            joined.Append(part as TaintedText ?? throw JinjaException.Failed($"'join' is given {Python.TypeName(part)}"));
        }
        return joined.ToText();
    }
}
