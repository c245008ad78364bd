using System.Runtime.InteropServices;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>A stretch of a text, in UTF-16 units: from a place up to before another.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Stretch(int Start, int End);

/// <summary>
/// A string of a template: its text, and which stretches of it were not written in the template but came in with the
/// messages. They keep that mark through whatever the template does with them, so that the prompt can be made to tokens
/// without a user's words ever becoming a model's marks. Equal when the texts are equal.
/// </summary>
internal sealed class TaintedText : IEquatable<TaintedText>
{
    public static readonly TaintedText Empty = Own("");

    private readonly Stretch[] given;

    private TaintedText(string value, Stretch[] given, bool markup = false) => (Value, this.given, Markup) = (value, given, markup);

    public string Value { get; }

    /// <summary>The stretches that came from outside, in order, none touching another.</summary>
    public IReadOnlyList<Stretch> GivenStretches => given;

    /// <summary>Whether it was marked as safe HTML: what is joined to it is escaped, even here.</summary>
    public bool Markup { get; }

    /// <summary>Whether any of it came from outside.</summary>
    public bool IsGiven => given.Length > 0;

    /// <summary>A text of the template's own.</summary>
    public static TaintedText Own(string value) => new(value, []);

    /// <summary>A text from outside.</summary>
    public static TaintedText Given(string value) => new(value, value.Length == 0 ? [] : [new Stretch(0, value.Length)]);

    public static TaintedText With(string value, IEnumerable<Stretch> given) => new(value, [.. given]);

    public TaintedText AsMarkup() => new(Value, given, markup: true);

    public TaintedText Part(int start, int length)
    {
        if (length == Value.Length) return this;
        // The first stretch that ends in the part or after it: there may be as many stretches as characters.
        var (low, high, end) = (0, given.Length, start + length);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (given[middle].End > start) high = middle;
            else low = middle + 1;
        }
        var inside = new List<Stretch>();
        for (; low < given.Length && given[low].Start < end; low++)
            inside.Add(new Stretch(Math.Max(given[low].Start, start) - start, Math.Min(given[low].End, end) - start));
        return new TaintedText(Value.Substring(start, length), [.. inside], Markup);
    }

    /// <summary>The text with each stretch, own or given, put through a function of characters alone.</summary>
    public TaintedText Map(Meter meter, Func<string, string> map)
    {
        var text = new TextBuilder(meter);
        foreach (var (part, isGiven) in Runs()) text.Append(map(part), isGiven);
        return Markup ? text.ToText().AsMarkup() : text.ToText();
    }

    /// <summary>The text in pieces, each all of it from outside or none.</summary>
    public IEnumerable<(string Text, bool Given)> Runs()
    {
        var done = 0;
        foreach (var (start, end) in given)
        {
            if (start > done) yield return (Value[done..start], false);
            yield return (Value[start..end], true);
            done = end;
        }
        if (done < Value.Length) yield return (Value[done..], false);
    }

    /// <summary>Where each character starts, and the end, characters beyond the basic plane being one; null where each is one unit.</summary>
    public int[]? CharacterStarts()
    {
        if (!Value.AsSpan().ContainsAnyInRange('\ud800', '\udfff')) return null;
        var starts = new List<int>(Value.Length + 1);
        for (var i = 0; i < Value.Length; i += char.IsSurrogatePair(Value, i) ? 2 : 1) starts.Add(i);
        starts.Add(Value.Length);
        return [.. starts];
    }

    /// <summary>How many characters there are.</summary>
    public int Count => CharacterStarts() is { } starts ? starts.Length - 1 : Value.Length;

    /// <summary>Each character as a text, safe HTML or not.</summary>
    public IReadOnlyList<object?> Characters()
    {
        var plain = new TaintedText(Value, given);
        return CharacterStarts() is { } starts
            ? [.. starts.Zip(starts.Skip(1), (start, end) => plain.Part(start, end - start))]
            : [.. Enumerable.Range(0, Value.Length).Select(i => plain.Part(i, 1))];
    }

    public bool Equals(TaintedText? other) => other is not null && Value == other.Value;

    public override bool Equals(object? obj) => Equals(obj as TaintedText);

    public override int GetHashCode() => Value.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => Value;
}
