using LandmarkSharp.Server.Memories;
using LandmarkSharp.Server.Page;

namespace LandmarkSharp.Tests.Server.Page;

/// <summary>Documents as the page tells of them.</summary>
public sealed class PageDocumentsTests
{
    [Fact]
    public void EachStateIsToldInWords()
    {
        DocumentRow Row(string state, double? sent = null, ReadingProgress? reading = null, string? error = null) =>
            PageDocuments.Row(new DocumentInfo("d", state, 1234, 5000, reading, error), sent);
        Assert.Equal(new DocumentRow("d", "1,234 tokens"), Row("ready"));
        Assert.Equal(new DocumentRow("d", "50 % sent", 0.5, IsBusy: true), Row("receiving", 0.5));
        Assert.Equal(new DocumentRow("d", "Interrupted; add it again."), Row("receiving"));
        Assert.Equal(new DocumentRow("d", "Waits to be read", IsBusy: true), Row("waiting"));
        Assert.Equal(new DocumentRow("d", "It is damaged.", IsFailed: true), Row("failed", error: "It is damaged."));
        Assert.Equal(
            new DocumentRow("d", "1,000 of about 4,000 tokens · 500 tokens/s · 6 s left", 0.25, IsBusy: true),
            Row("reading", reading: new ReadingProgress(1000, 4000, 500, 5.2)));
        Assert.Equal("1,000 of about 400,000 tokens · 500 tokens/s · 14 min left", Row("reading", reading: new ReadingProgress(1000, 400_000, 500, 798)).Told);
        Assert.Equal("1,000 of about 4,000 tokens", Row("reading", reading: new ReadingProgress(1000, 4000, null, null)).Told);
    }

    [Theory]
    [InlineData("a.txt", "text/plain")]
    [InlineData("a.b.MD", "text/markdown")]
    [InlineData("a.htm", "text/html")]
    [InlineData("a.epub", "application/epub+zip")]
    [InlineData("a.pdf", "application/pdf")]
    [InlineData("a.png", null)]
    [InlineData("txt", null)]
    public void WhatAFileIsIsToldByItsEnding(string file, string? type)
    {
        Assert.Equal(type, PageDocuments.TypeOf(file));
        if (type is not null) Assert.Equal(type, DocumentConversion.Known(type));
    }
}
