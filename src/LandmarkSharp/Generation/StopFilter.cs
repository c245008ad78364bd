namespace LandmarkSharp.Generation;

/// <summary>Lets text through up to the first stop string, holding back what may yet become one.</summary>
/// <param name="stops">The stop strings.</param>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>Whether a stop string came up.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes text, and gives what is certain to come before any stop string.</summary>
    public string Push(string text)
    {
        if (stops.Count == 0 || Stopped) return Stopped ? "" : text;
        held += text;
        var found = stops.Select(s => (Start: held.IndexOf(s, StringComparison.Ordinal), s.Length)).Where(f => f.Start >= 0).ToArray();
        Stopped = found.Length > 0;
        // The one that is complete first, so that it does not matter in what pieces the text comes; of several, the longest.
        var at = Stopped ? found.MinBy(f => (f.Start + f.Length, f.Start)).Start : held.Length - stops.Max(s => Overlap(held, s));
        var certain = held[..at];
        held = Stopped ? "" : held[at..];
        return certain;
    }

    /// <summary>What was held back, when nothing more comes.</summary>
    public string Flush()
    {
        var rest = held;
        held = "";
        return rest;
    }

    /// <summary>The longest end of the text that begins the stop string.</summary>
    private static int Overlap(string text, string stop)
    {
        for (var n = Math.Min(text.Length, stop.Length - 1); n > 0; n--)
        {
            if (text.AsSpan(text.Length - n).SequenceEqual(stop.AsSpan(0, n))) return n;
        }
        return 0;
    }
}
