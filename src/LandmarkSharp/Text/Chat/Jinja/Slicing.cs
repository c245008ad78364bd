namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary><c>a[start:end:step]</c>: places may count from the end, and lie outside.</summary>
internal static class Slicing
{
    public static object Slice(Meter meter, object? owner, object? start, object? end, object? step)
    {
        meter.SpendOn(owner);
        switch (owner)
        {
            case TaintedText text:
                var starts = text.CharacterStarts();
                var count = starts?.Length - 1 ?? text.Value.Length;
                int Place(int character) => starts is null ? character : starts[character];
                var (from, to, by) = Bounds(count, start, end, step);
                if (by == 1) return text.Part(Place(from), Place(Math.Max(from, to)) - Place(from));
                var picked = new TextBuilder(meter);
                foreach (var i in Places(from, to, by)) picked.Append(text.Part(Place(i), Place(i + 1) - Place(i)));
                return text.Markup ? picked.ToText().AsMarkup() : picked.ToText();
            case Items { Kind: ItemsKind.List or ItemsKind.Tuple or ItemsKind.Range } items:
                var (first, last, stride) = Bounds(items.Count, start, end, step);
                return new Items(items.Kind, [.. Places(first, last, stride).Select(i => items[i])]);
            case Undefined undefined:
                throw JinjaException.Failed(undefined.Reason);
            default:
                throw JinjaException.Failed($"{Python.TypeName(owner)} cannot be sliced");
        }
    }

    private static IEnumerable<int> Places(int from, int to, long by)
    {
        for (long i = from; by > 0 ? i < to : i > to; i += by) yield return (int)i;
    }

    private static (int From, int To, long By) Bounds(int count, object? start, object? end, object? step)
    {
        var by = Integer(step) ?? 1;
        if (by == 0) throw JinjaException.Failed("a slice has a step of 0");
        // A far step is as good as one beyond the end.
        by = Math.Clamp(by, -1L - count, 1L + count);
        int Clamp(long? place, int otherwise) => place is not { } given ? otherwise
            : (int)Math.Clamp(given < 0 ? Math.Max(given, -1L - count) + count : given, by > 0 ? 0 : -1, by > 0 ? count : count - 1);
        return (Clamp(Integer(start), by > 0 ? 0 : count - 1), Clamp(Integer(end), by > 0 ? count : -1), by);
    }

    private static long? Integer(object? value) => value is null ? null
        : Numbers.IsInteger(value, out var number) ? number
        : throw JinjaException.Failed($"{Python.TypeName(value)} is no place in a slice");
}
