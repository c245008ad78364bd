using CsCheck;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Tests.Generation;

public sealed class StopFilterTests
{
    private static readonly Gen<string> Text = Gen.String[Gen.Char["ab \n"], 0, 40];

    private static readonly Gen<string[]> Stops = Gen.String[Gen.Char["ab \n"], 1, 5].Array[1, 4];

    [Fact]
    public void TextEndsBeforeTheFirstStopHoweverItIsCut() =>
        Gen.Select(Text, Stops, Gen.Int[0, 6].Array[1, 6]).Sample((text, stops, cuts) =>
        {
            var filter = new StopFilter(stops);
            var end = FirstStop(text, stops);
            var (shown, at) = ("", 0);
            // A piece of no length comes too: a token may have no text.
            for (var i = 0; at < text.Length; i++)
            {
                var next = Math.Min(text.Length, at + (cuts[i % cuts.Length] + (i % cuts.Length == 0 ? 1 : 0)));
                shown += filter.Push(text[at..next]);
                at = next;
                // Nothing is shown that must be taken back, and nothing is held that no stop string can begin with.
                Assert.StartsWith(shown, end is { } e ? text[..e.Start] : text, StringComparison.Ordinal);
                Assert.Equal(end?.End <= at, filter.Stopped);
                if (!filter.Stopped) Assert.Equal(at - Held(text[..at], stops), shown.Length);
            }
            if (!filter.Stopped) shown += filter.Flush();
            Assert.Equal(end is { } stop ? text[..stop.Start] : text, shown);
            if (filter.Stopped) Assert.Equal("", filter.Push("more") + filter.Flush());
        }, iter: 3000);

    [Fact]
    public void WithoutStopStringsTextPassesAtOnce()
    {
        var filter = new StopFilter([]);
        Assert.Equal("any text", filter.Push("any text"));
        Assert.Equal("", filter.Flush());
        Assert.False(filter.Stopped);
    }

    [Fact]
    public void TheStopThatIsCompleteFirstCountsHoweverTheTextIsCut()
    {
        foreach (var stop in (string[])["abcd", "abc"])
        {
            foreach (var pieces in (string[][])[["xab", "c"], ["x", "a", "b", "c"], ["xabc"]])
            {
                var filter = new StopFilter([stop, "b"]);
                Assert.Equal("xa", string.Concat(pieces.Select(filter.Push)));
                Assert.True(filter.Stopped);
            }
        }
    }

    /// <summary>The stop string that is complete first as the text grows letter by letter; of several, the longest.</summary>
    private static (int Start, int End)? FirstStop(string text, string[] stops)
    {
        for (var end = 1; end <= text.Length; end++)
        {
            var found = stops.Where(s => text[..end].EndsWith(s, StringComparison.Ordinal)).MaxBy(s => s.Length);
            if (found is not null) return (end - found.Length, end);
        }
        return null;
    }

    private static int Held(string text, string[] stops) => Enumerable.Range(0, text.Length + 1).Reverse()
        .First(n => n == 0 || stops.Any(s => s.Length > n && s.StartsWith(text[^n..], StringComparison.Ordinal)));
}
