using LandmarkSharp.Models;

namespace LandmarkSharp.Tests.Models;

public sealed class LandmarkConfigTests
{
    private static readonly LandmarkConfig Config =
        new() { Id = 9, BlockTokens = 63, TrainContext = 1024, TopK = 4, WindowPositions = 192 };

    [Theory]
    [InlineData(null, 4, 3)]
    [InlineData(1, 1, 3)]
    [InlineData(5, 5, 3)]       // another k leaves the window as it is
    [InlineData(12, 12, 3)]     // 12 + 1 slots and 3 blocks are the 16 that were trained
    [InlineData(14, 14, 1)]     // what room is left
    [InlineData(40, 40, 1)]     // none is left
    public void TheWindowGivesWayToSlotsOnlyWhereTheTrainedLengthEnds(int? topK, int k, int window)
    {
        var options = Config.Retrieval(topK);
        Assert.Equal((k, window), (options.TopK, options.WindowBlocks));
        Assert.Equal(k > 14, Config.Span(options) > Config.TrainContext);
    }

    [Fact]
    public void AWindowThatIsAskedForIsTaken()
    {
        Assert.Equal(8, Config.Retrieval(windowBlocks: 8).WindowBlocks);
        Assert.Equal((30 + 1 + 8) * 64, Config.Span(Config.Retrieval(30, 8)));
        Assert.Contains("window", Assert.Throws<LandmarkException>(() => Config.Retrieval(windowBlocks: 0)).Message);
        Assert.Contains("k,", Assert.Throws<LandmarkException>(() => Config.Retrieval(0)).Message);
    }
}
