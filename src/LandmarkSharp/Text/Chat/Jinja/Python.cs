using System.Globalization;
using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Values as text, as Python prints them.</summary>
internal static class Python
{
    /// <summary>What an output prints of a value.</summary>
    public static TaintedText Text(Meter meter, object? value)
    {
        if (value is TaintedText text) return text;
        var printed = new TextBuilder(meter);
        if (value is not Undefined) Represent(meter, value, printed);
        return printed.ToText();
    }

    /// <summary>The name of a value's type.</summary>
    public static string TypeName(object? value) => value switch
    {
        null => "none",
        bool => "a truth value",
        long => "a whole number",
        double => "a number",
        TaintedText => "a string",
        Items { Kind: ItemsKind.List } => "a list",
        Items { Kind: ItemsKind.Tuple } => "a tuple",
        Items { Kind: ItemsKind.Range } => "a range",
        Items { Kind: ItemsKind.View } => "a dictionary's view",
        Items => "a generator",
        Mapping => "a dictionary",
        Undefined => "an undefined value",
        Namespace => "a namespace",
        LoopState => "the loop",
        _ => "a function",
    };

    // repr(): a value as it would be written in a program.
    private static void Represent(Meter meter, object? value, TextBuilder into)
    {
        meter.Spend(1);
        Meter.Descend();
        switch (value)
        {
            case null:
                into.Append("None");
                break;
            case bool flag:
                into.Append(flag ? "True" : "False");
                break;
            case long number:
                into.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case double number:
                into.Append(Numbers.Text(number));
                break;
            case TaintedText text:
                if (text.Markup) into.Append("Markup(");
                into.Append(Quote(text.Value), text.IsGiven);
                if (text.Markup) into.Append(")");
                break;
            case Undefined:
                into.Append("Undefined");
                break;
            case Items { Kind: ItemsKind.List or ItemsKind.Tuple } items:
                into.Append(items.Kind == ItemsKind.List ? "[" : "(");
                for (var i = 0; i < items.Count; i++)
                {
                    if (i > 0) into.Append(", ");
                    Represent(meter, items[i], into);
                }
                into.Append(items.Kind == ItemsKind.List ? "]" : items.Count == 1 ? ",)" : ")");
                break;
            case Mapping mapping:
                into.Append("{");
                var first = true;
                foreach (var (key, item) in mapping.Pairs)
                {
                    if (!first) into.Append(", ");
                    first = false;
                    Represent(meter, key, into);
                    into.Append(": ");
                    Represent(meter, item, into);
                }
                into.Append("}");
                break;
            default:
                throw JinjaException.Unsupported($"{TypeName(value)} as text");
        }
    }

    private static string Quote(string text)
    {
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        var quoted = new StringBuilder(text.Length + 2).Append(quote);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (char.IsSurrogatePair(text, i))
            {
                var code = char.ConvertToUtf32(text, i);
                if (IsPrintable(CharUnicodeInfo.GetUnicodeCategory(code))) quoted.Append(text, i, 2);
                else quoted.Append("\\U").Append(code.ToString("x8"));
                i++;
            }
            else if (c == quote || c == '\\') quoted.Append('\\').Append(c);
            else if (c is '\n' or '\r' or '\t') quoted.Append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            else if (c == ' ' || IsPrintable(char.GetUnicodeCategory(c))) quoted.Append(c);
            else quoted.Append(c < 256 ? $"\\x{(int)c:x2}" : $"\\u{(int)c:x4}");
        }
        return quoted.Append(quote).ToString();
    }

    private static bool IsPrintable(UnicodeCategory category) => category is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.SpaceSeparator);
}
