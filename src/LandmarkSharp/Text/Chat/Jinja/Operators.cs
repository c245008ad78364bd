using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>What <c>+ - * / // % ** ~</c> do.</summary>
internal static class Operators
{
    public static object? Compute(Meter meter, string name, object? left, object? right)
    {
        if (name == "~") return new TextBuilder(meter).Append(Python.Text(meter, left)).Append(Python.Text(meter, right)).ToText();
        if (Numbers.Compute(name, left, right) is { } number) return number;
        switch (name, left, right)
        {
            case (_, Undefined undefined, _):
                throw JinjaException.Failed(undefined.Reason);
            case ("%", TaintedText, _):
                throw JinjaException.Unsupported("a string's '%'");
            case (_, _, Undefined undefined):
                throw JinjaException.Failed(undefined.Reason);
            case ("+", TaintedText a, TaintedText b):
                return Join(meter, a, b);
            case ("+", Items { Kind: ItemsKind.List or ItemsKind.Tuple } a, Items b) when a.Kind == b.Kind:
                meter.Spend(a.Count + b.Count);
                return new Items(a.Kind, [.. a.Read(), .. b.Read()]);
            case ("*", _, _) when Numbers.IsInteger(right, out var times):
                return Repeat(meter, left, times);
            case ("*", _, _) when Numbers.IsInteger(left, out var times):
                return Repeat(meter, right, times);
            default:
                throw Wrong(name, left, right);
        }
    }

    // What is added to safe HTML is escaped, even in these templates, whose output is no HTML; not so by ~.
    private static TaintedText Join(Meter meter, TaintedText left, TaintedText right)
    {
        if (!left.Markup && !right.Markup) return new TextBuilder(meter).Append(left).Append(right).ToText();
        return new TextBuilder(meter).Append(Escaped(meter, left)).Append(Escaped(meter, right)).ToText().AsMarkup();
    }

    private static TaintedText Escaped(Meter meter, TaintedText text) => text.Markup ? text : text.Map(meter, part =>
        new StringBuilder(part).Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;")
            .Replace("'", "&#39;").Replace("\"", "&#34;").ToString());

    private static object Repeat(Meter meter, object? value, long times)
    {
        times = Math.Max(times, 0);
        switch (value)
        {
            case TaintedText text:
                var repeated = new TextBuilder(meter);
                for (; times > 0 && text.Value.Length > 0; times--) repeated.Append(text);
                return text.Markup ? repeated.ToText().AsMarkup() : repeated.ToText();
            case Items { Kind: ItemsKind.List or ItemsKind.Tuple } items:
                var all = new List<object?>();
                for (; times > 0 && items.Count > 0; times--)
                {
                    meter.Spend(items.Count);
                    all.AddRange(items.Read());
                }
                return new Items(items.Kind, all);
            default:
                throw Wrong("*", value, times);
        }
    }

    private static JinjaException Wrong(string name, object? left, object? right) =>
        left is Items { Kind: ItemsKind.View } || right is Items { Kind: ItemsKind.View }
            ? JinjaException.Unsupported($"'{name}' of a dictionary's view")
            : JinjaException.Failed($"'{name}' is not for {Python.TypeName(left)} and {Python.TypeName(right)}");
}
