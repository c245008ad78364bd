using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>JSON in and out; out as Python's <c>json.dumps</c> writes it, whose spaces models were trained on.</summary>
internal static class Json
{
    /// <summary>A value from outside: all its strings carry that mark.</summary>
    /// <exception cref="LandmarkException">A number does not fit, or a string is none.</exception>
    public static object? Read(JsonElement json)
    {
        try
        {
            return Value(json);
        }
        catch (InvalidOperationException e)
        {
            throw new LandmarkException("A string in a message has half a surrogate pair; send text that is Unicode.", e);
        }
    }

    private static object? Value(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.Object => new Mapping(json.EnumerateObject().Select(p => ((object)TaintedText.Given(p.Name), Value(p.Value)))),
        JsonValueKind.Array => Items.List([.. json.EnumerateArray().Select(Value)]),
        JsonValueKind.String => TaintedText.Given(json.GetString()!),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Number when json.TryGetInt64(out var number) && json.GetRawText().AsSpan().IndexOfAny(".eE") < 0 => number,
        JsonValueKind.Number when json.GetRawText().AsSpan().IndexOfAny(".eE") < 0 => throw new LandmarkException(
            $"The number {json.GetRawText()} in a message has more than 64 bits; write it as a string."),
        JsonValueKind.Number => json.GetDouble(),
        _ => null,
    };

    /// <summary>The filter <c>tojson</c>, as transformers has it.</summary>
    public static TaintedText Filter(object? value, Arguments arguments)
    {
        var ascii = arguments.Flag("ensure_ascii");
        var indent = arguments.Optional("indent") switch
        {
            null => null,
            TaintedText text => text.Value,
            var width when Numbers.IsInteger(width, out var number) => new string(' ', (int)Math.Clamp(number, 0, 1000)),
            _ => throw JinjaException.Failed("'indent' of the filter 'tojson' is not a whole number"),
        };
        var separators = arguments.Optional("separators");
        var (item, key) = separators switch
        {
            null => (indent is null ? ", " : ",", ": "),
            Items { Count: 2 } pair when pair[0] is TaintedText a && pair[1] is TaintedText b => (a.Value, b.Value),
            _ => throw JinjaException.Failed("'separators' of the filter 'tojson' are not two strings"),
        };
        var sorted = arguments.Flag("sort_keys");
        arguments.Done();
        var writer = new Writer(arguments.Meter, ascii, indent, item, key, sorted);
        writer.Write(value, 1);
        return writer.Text;
    }

    private sealed class Writer(Meter meter, bool ascii, string? indent, string itemSeparator, string keySeparator, bool sorted)
    {
        private readonly TextBuilder into = new(meter);

        public TaintedText Text => into.ToText();

        public void Write(object? value, int depth)
        {
            Meter.Descend();
            meter.Spend(1);
            switch (value)
            {
                case TaintedText text:
                    into.Append(Quote(text.Value), text.IsGiven);
                    break;
                case null or bool or long or double:
                    into.Append(Plain(value));
                    break;
                case Items { Kind: ItemsKind.List or ItemsKind.Tuple } items:
                    Block("[", "]", items.Read(), depth, item => Write(item, depth + 1));
                    break;
                case Mapping mapping:
                    KeyValuePair<object, object?>[] pairs = [.. mapping.Pairs];
                    if (sorted) pairs = Sorting.By(meter, pairs, p => p.Key);
                    Block("{", "}", pairs, depth, pair =>
                    {
                        if (pair.Key is TaintedText key) into.Append(Quote(key.Value), key.IsGiven);
                        else into.Append(Quote(Plain(pair.Key)));
                        into.Append(keySeparator);
                        Write(pair.Value, depth + 1);
                    });
                    break;
                default:
                    throw JinjaException.Failed($"{Python.TypeName(value)} is nothing that JSON has");
            }
        }

        private void Block<T>(string open, string close, IReadOnlyList<T> items, int depth, Action<T> write)
        {
            into.Append(open);
            for (var i = 0; i < items.Count; i++)
            {
                if (i > 0) into.Append(itemSeparator);
                Line(depth);
                write(items[i]);
            }
            if (items.Count > 0) Line(depth - 1);
            into.Append(close);
        }

        private void Line(int depth)
        {
            if (indent is null) return;
            into.Append("\n");
            for (; depth > 0 && indent.Length > 0; depth--) into.Append(indent);
        }

        private static string Plain(object? value) => value switch
        {
            null => "null",
            bool flag => flag ? "true" : "false",
            double.NaN => "NaN",
            double.PositiveInfinity => "Infinity",
            double.NegativeInfinity => "-Infinity",
            double number => Numbers.Text(number),
            _ => ((long)value).ToString(CultureInfo.InvariantCulture),
        };

        private string Quote(string text)
        {
            var quoted = new StringBuilder(text.Length + 2).Append('"');
            foreach (var c in text)
            {
                switch (c)
                {
                    case '"' or '\\':
                        quoted.Append('\\').Append(c);
                        break;
                    case '\n' or '\r' or '\t' or '\b' or '\f':
                        quoted.Append('\\').Append(c switch { '\n' => 'n', '\r' => 'r', '\t' => 't', '\b' => 'b', _ => 'f' });
                        break;
                    case < ' ':
                    case > '~' when ascii:
                        quoted.Append($"\\u{(int)c:x4}");
                        break;
                    default:
                        quoted.Append(c);
                        break;
                }
            }
            return quoted.Append('"').ToString();
        }
    }
}
