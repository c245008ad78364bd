using LandmarkSharp.Generation;
using LandmarkSharp.Server.Page;

namespace LandmarkSharp.Tests.Server.Page;

/// <summary>How the page reads memories of several lengths.</summary>
public sealed class PageReadingTests
{
    [Theory]
    [InlineData(MemoryFocus.LongFrom, null, ReadingWay.Retrieved)]
    [InlineData(MemoryFocus.LongFrom + 1, null, ReadingWay.Found)]
    [InlineData(10, ReadingWay.Found, ReadingWay.Found)]
    [InlineData(100_000, ReadingWay.Retrieved, ReadingWay.Retrieved)]
    [InlineData(PageAnswers.MostExact, ReadingWay.Exact, ReadingWay.Exact)]
    [InlineData(PageAnswers.MostExact + 1, ReadingWay.Exact, ReadingWay.Found)]
    [InlineData(0, ReadingWay.Exact, ReadingWay.Retrieved)]
    public void LongMemoriesAreSearchedFirstWhereNobodySays(long blocks, ReadingWay? chosen, ReadingWay way) =>
        Assert.Equal(way, new PageReading(Chosen: chosen).Way(blocks));
}
