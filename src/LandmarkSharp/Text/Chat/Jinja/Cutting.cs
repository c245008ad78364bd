using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Stripping, splitting and replacing, with each piece's marks kept.</summary>
internal static class Cutting
{
    /// <summary>A text without white space, or without these characters, at its sides.</summary>
    public static TaintedText Strip(TaintedText text, TaintedText? characters, bool start = true, bool end = true)
    {
        var value = text.Value.AsSpan();
        var stripped = characters?.Characters().Select(c => ((TaintedText)c!).Value).ToHashSet(StringComparer.Ordinal);
        bool Goes(ReadOnlySpan<char> one) => stripped?.Contains(one.ToString()) ?? PythonSpace.Is(one[0]);
        var (from, to) = (0, value.Length);
        while (start && from < to)
        {
            Rune.DecodeFromUtf16(value[from..to], out _, out var length);
            if (!Goes(value.Slice(from, length))) break;
            from += length;
        }
        while (end && from < to)
        {
            Rune.DecodeLastFromUtf16(value[from..to], out _, out var length);
            if (!Goes(value.Slice(to - length, length))) break;
            to -= length;
        }
        return text.Part(from, to - from);
    }

    /// <summary>The pieces between a separator or, without one, between white space, where empty ones do not count.</summary>
    /// <param name="meter">The rendering's.</param>
    /// <param name="text">The text.</param>
    /// <param name="separator">The separator, or null.</param>
    /// <param name="most">How many cuts at most; below 0 any number.</param>
    /// <param name="fromEnd">Whether the last cuts are made, where not all are.</param>
    public static IReadOnlyList<object?> Split(Meter meter, TaintedText text, TaintedText? separator, int most, bool fromEnd)
    {
        if (separator is null) return Words(text, most, fromEnd);
        var length = separator.Value.Length;
        if (length == 0) throw JinjaException.Failed("a string is split at nothing");
        var cuts = Places(meter, text, separator, fromEnd).ToList();
        if (most >= 0 && cuts.Count > most) cuts = fromEnd ? cuts[^most..] : cuts[..most];
        var (pieces, from) = (new List<object?>(cuts.Count + 1), 0);
        foreach (var cut in cuts)
        {
            pieces.Add(text.Part(from, cut - from));
            from = cut + length;
        }
        pieces.Add(text.Part(from, text.Value.Length - from));
        return pieces;
    }

    private static List<object?> Words(TaintedText text, int most, bool fromEnd)
    {
        var (value, words, done) = (text.Value, new List<object?>(), 0);
        // Counted from the side that cutting begins at.
        char At(int place) => value[fromEnd ? value.Length - 1 - place : place];
        TaintedText Piece(int start, int end) => fromEnd ? text.Part(value.Length - end, end - start) : text.Part(start, end - start);
        while (true)
        {
            while (done < value.Length && PythonSpace.Is(At(done))) done++;
            if (done == value.Length) break;
            var start = done;
            // What is left once all cuts are made keeps the white space at its far end.
            if (most >= 0 && words.Count == most) done = value.Length;
            while (done < value.Length && !PythonSpace.Is(At(done))) done++;
            words.Add(Piece(start, done));
        }
        if (fromEnd) words.Reverse();
        return words;
    }

    /// <summary>What stands before a separator, the separator, and what stands after it.</summary>
    public static object?[] Partition(Meter meter, TaintedText text, TaintedText separator, bool last)
    {
        if (separator.Value.Length == 0) throw JinjaException.Failed("a string is split at nothing");
        var place = Find(meter, text, separator, last);
        if (place < 0) return last ? [TaintedText.Empty, TaintedText.Empty, text] : [text, TaintedText.Empty, TaintedText.Empty];
        var after = place + separator.Value.Length;
        return [text.Part(0, place), text.Part(place, separator.Value.Length), text.Part(after, text.Value.Length - after)];
    }

    public static TaintedText Replace(Meter meter, TaintedText text, TaintedText old, TaintedText with, int most)
    {
        var (replaced, done) = (new TextBuilder(meter), 0);
        foreach (var place in Places(meter, text, old).Take(most < 0 ? int.MaxValue : most))
        {
            replaced.Append(text.Part(done, place - done)).Append(with);
            done = place + old.Value.Length;
        }
        return replaced.Append(text.Part(done, text.Value.Length - done)).ToText();
    }

    /// <summary>Where a text first or last stands in another, or −1.</summary>
    public static int Find(Meter meter, TaintedText text, TaintedText wanted, bool last = false)
    {
        meter.SpendOnSearch(text, wanted);
        return last ? text.Value.LastIndexOf(wanted.Value, StringComparison.Ordinal) : text.Value.IndexOf(wanted.Value, StringComparison.Ordinal);
    }

    /// <summary>Where a text stands in another, without overlap; nothing stands before each character and at the end.</summary>
    public static IEnumerable<int> Places(Meter meter, TaintedText text, TaintedText looked, bool fromEnd = false)
    {
        meter.SpendOnSearch(text, looked);
        var (value, wanted) = (text.Value, looked.Value);
        if (wanted.Length == 0)
        {
            for (var i = 0; i <= value.Length; i++)
                if (i == 0 || i == value.Length || !char.IsSurrogatePair(value, i - 1)) yield return i;
        }
        else if (fromEnd)
        {
            var places = new Stack<int>();
            for (var i = value.Length; i > 0 && (i = value.LastIndexOf(wanted, i - 1, StringComparison.Ordinal)) >= 0;) places.Push(i);
            foreach (var place in places) yield return place;
        }
        else
        {
            for (var i = 0; (i = value.IndexOf(wanted, i, StringComparison.Ordinal)) >= 0; i += wanted.Length) yield return i;
        }
    }
}
