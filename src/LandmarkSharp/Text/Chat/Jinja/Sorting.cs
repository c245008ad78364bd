namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Sorting by Python's order; what is equal stays in its order, also backwards.</summary>
internal static class Sorting
{
    /// <summary>The items in the order of their keys.</summary>
    /// <exception cref="JinjaException">Some keys have no order among them.</exception>
    public static T[] By<T>(Meter meter, IReadOnlyList<T> items, Func<T, object?> key, bool reverse = false)
    {
        var order = Comparer<object?>.Create((left, right) => Comparing.Order(meter, left, right));
        try
        {
            return [.. reverse ? items.OrderByDescending(key, order) : items.OrderBy(key, order)];
        }
        catch (InvalidOperationException e) when (e.InnerException is JinjaException inner)
        {
            throw new JinjaException(inner.Message);
        }
    }

    /// <summary>A key without regard to case, if it is a text.</summary>
    public static object? Folded(Meter meter, object? key, bool caseSensitive) =>
        key is TaintedText text && !caseSensitive ? text.Map(meter, part => part.ToLowerInvariant()) : key;
}
