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
        var at = stops.Select(s => held.IndexOf(s, StringComparison.Ordinal)).Where(i => i >= 0).DefaultIfEmpty(-1).Min();
        if (at >= 0) Stopped = true;
        else at = held.Length - stops.Max(s => Overlap(held, s));
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
