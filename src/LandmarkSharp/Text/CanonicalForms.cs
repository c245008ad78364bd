using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace LandmarkSharp.Text;

/// <summary>
/// Unicode's canonical composition (NFC), which some vocabularies were trained on. .NET's own leaves text as it is
/// when the program runs without ICU, as on a bare server, and tokens must not depend on that.
/// </summary>
internal static class CanonicalForms
{
    // Unicode 3.12: Hangul syllables are L·V or L·V·T by arithmetic.
    private const int SyllableBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7;
    private const int LCount = 19, VCount = 21, TCount = 28, SyllableCount = LCount * VCount * TCount;

    private static readonly Lazy<Tables> Data = new(Read);

    /// <summary>
    /// Whether the form of the text before such a character cannot depend on it or on what follows. Not every such
    /// character is known, only those that ordinary text has plenty of.
    /// </summary>
    public static bool StartsAnew(char c) => c is < '\u0300' or (>= '\u3400' and <= '\u9FFF') or (>= '\u3000' and <= '\u3029');

    /// <summary>The text in composed form; the same string when it is so already.</summary>
    public static string Compose(string text) => Composed(text) ? text : Order(text);

    private static bool Composed(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange('\0', '\u02FF')) return true;
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value >= 0x300 && Data.Value.Doubtful.Contains(rune.Value)) return false;
        }
        return true;
    }

    // Decompose fully, sort marks by class, then compose each mark with the last character of class 0 it can reach.
    private static string Order(string text)
    {
        var points = new List<int>(text.Length);
        foreach (var rune in text.EnumerateRunes()) Decompose(rune.Value, points);
        SortMarks(points);

        var output = new List<int>(points.Count);
        var (starter, lastClass) = (-1, -1);
        foreach (var point in points)
        {
            var mark = ClassOf(point);
            if (starter >= 0 && lastClass < mark && Pair(output[starter], point) is { } one)
            {
                output[starter] = one;
                continue;
            }
            if (mark == 0) starter = output.Count;
            // A mark of class 0 blocks nothing that directly follows it.
            lastClass = mark == 0 ? -1 : mark;
            output.Add(point);
        }

        var result = new StringBuilder(text.Length);
        foreach (var point in output) result.Append(new Rune(point).ToString());
        return result.ToString();
    }

    private static void SortMarks(List<int> points)
    {
        for (int start = 0, end; start < points.Count; start = end)
        {
            for (end = start + 1; end < points.Count && ClassOf(points[end - 1]) > 0 && ClassOf(points[end]) > 0;) end++;
            if (end - start < 2) continue;
            // The sort must be stable: marks of one class keep their order.
            int[] marks = [.. points[start..end].OrderBy(ClassOf)];
            marks.CopyTo(CollectionsMarshal.AsSpan(points)[start..]);
        }
    }

    private static void Decompose(int point, List<int> output)
    {
        if (point - SyllableBase is >= 0 and < SyllableCount and var index)
        {
            output.Add(LBase + (index / (VCount * TCount)));
            output.Add(VBase + (index % (VCount * TCount) / TCount));
            if (index % TCount != 0) output.Add(TBase + (index % TCount));
        }
        else if (point >= 0xC0 && Data.Value.Decompositions.TryGetValue(point, out var parts))
        {
            foreach (var part in parts) Decompose(part, output);
        }
        else
        {
            output.Add(point);
        }
    }

    private static int? Pair(int first, int second)
    {
        if (first - LBase is >= 0 and < LCount and var l && second - VBase is >= 0 and < VCount and var v)
            return SyllableBase + (((l * VCount) + v) * TCount);
        if (first - SyllableBase is >= 0 and < SyllableCount and var lv && lv % TCount == 0 && second - TBase is > 0 and < TCount and var t)
            return first + t;
        return Data.Value.Compositions.TryGetValue((first, second), out var one) ? one : null;
    }

    private static int ClassOf(int point) => point < 0x300 ? 0 : Data.Value.Classes.GetValueOrDefault(point);

    private static Tables Read()
    {
        var tables = new Tables([], [], [], []);
        using var stream = typeof(CanonicalForms).Assembly.GetManifestResourceStream(typeof(CanonicalForms), "CanonicalForms.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#')) continue;
            var fields = line.Split(' ');
            var point = Hex(fields[1]);
            if (fields[0] == "o")
            {
                var mark = int.Parse(fields[3], CultureInfo.InvariantCulture);
                for (; point <= Hex(fields[2]); point++)
                {
                    tables.Classes[point] = mark;
                    tables.Doubtful.Add(point);
                }
                continue;
            }

            foreach (var field in fields.AsSpan(2))
            {
                int[] parts = [.. field.Split('+').Select(Hex)];
                tables.Decompositions[point] = parts;
                if (fields[0] == "c")
                {
                    tables.Compositions[(parts[0], parts[1])] = point;
                    tables.Doubtful.Add(parts[1]);
                }
                else
                {
                    tables.Doubtful.Add(point);
                }
                point++;
            }
        }
        for (var v = 0; v < VCount; v++) tables.Doubtful.Add(VBase + v);
        for (var t = 1; t < TCount; t++) tables.Doubtful.Add(TBase + t);
        return tables;
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>What <c>CanonicalForms.txt</c> says.</summary>
    /// <param name="Compositions">Which pair makes which character.</param>
    /// <param name="Decompositions">One step of taking a character apart.</param>
    /// <param name="Classes">Combining classes other than 0.</param>
    /// <param name="Doubtful">Characters whose presence means that a text may not be composed.</param>
    private sealed record Tables(
        Dictionary<(int First, int Second), int> Compositions, Dictionary<int, int[]> Decompositions,
        Dictionary<int, int> Classes, HashSet<int> Doubtful);
}
