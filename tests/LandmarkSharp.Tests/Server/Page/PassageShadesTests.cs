using LandmarkSharp.Server.Page;

namespace LandmarkSharp.Tests.Server.Page;

/// <summary>How a passage's words are shaded.</summary>
public sealed class PassageShadesTests
{
    [Fact]
    public void TheMostReadWordHasTheStrongestShadeAndWhiteSpaceHasNone()
    {
        var passage = Passage([new("The", 0.001), new(" code", 0.02), new(" is", 0), new(" 4711.", 0.04), new("\n", 0.9)]);
        Assert.Equal([("The", 0), (" code", 5), (" is", 0), (" 4711.", 10), ("\n", 0)], PassageShades.Of(passage));
        Assert.Contains("“4711.” most, with 4.0 %", PassageShades.Note(passage), StringComparison.Ordinal);
        Assert.Equal(("The code is", " 4711.", "\n"), PassageShades.Excerpt(passage));
    }

    [Fact]
    public void AnExcerptBeginsAFewWordsBeforeTheMostReadOne()
    {
        WordShare[] words = [.. Enumerable.Range(0, 20).Select(i => new WordShare($" w{i}", i == 12 ? 0.5 : 0.1))];
        var (before, word, after) = PassageShades.Excerpt(Passage(words));
        Assert.Equal(("… w6 w7 w8 w9 w10 w11", " w12"), (before, word));
        Assert.StartsWith(" w13 w14", after, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void WhatWasNotReadIsPlain(bool known)
    {
        var passage = Passage(known ? [new("The", 0), new(" code", 0)] : null);
        Assert.Equal([("The code", 0)], PassageShades.Of(passage));
        Assert.Equal("", PassageShades.Note(passage));
        Assert.Equal(("The code", "", ""), PassageShades.Excerpt(passage));
    }

    private static PagePassage Passage(IReadOnlyList<WordShare>? words) => new(0, 0.1, "d", 0, 5, 0, 8, "The code", words);
}
