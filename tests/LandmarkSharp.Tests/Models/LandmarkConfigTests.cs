using LandmarkSharp.Attention;
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

    [Theory]
    [InlineData(4, 1024, 192, 8, 3)]        // the model that ships
    [InlineData(1, 1024, 100, 2, 1)]
    [InlineData(4, 640, 192, 8, 1)]         // 8 + 1 slots and 1 block are the 10 that were trained
    [InlineData(4, 639, 192, 4, 3)]         // a position less
    [InlineData(7, 1024, 192, 14, 1)]
    [InlineData(7, 1023, 192, 7, 3)]
    [InlineData(8, 1024, 192, 8, 3)]
    [InlineData(int.MaxValue, 1024, 192, int.MaxValue, 3)]
    public void QuestionsOfMemoriesReadTwiceAsManyBlocksWhereTheyFit(int own, int trained, int positions, int k, int window)
    {
        var config = Config with { TopK = own, TrainContext = trained, WindowPositions = positions };
        var options = config.MemoryRetrieval(config.Retrieval());
        Assert.Equal((k, window), (options.TopK, options.WindowBlocks));
        Assert.Equal(own, config.MemoryRetrieval(config.Retrieval(own)).TopK);
    }

    [Fact]
    public void WhatIsSaidOfReadingHoldsForMemories()
    {
        (int K, int Window) Read(RetrievalOptions options) => Config.MemoryRetrieval(options) is var read ? (read.TopK, read.WindowBlocks) : default;
        var own = Config.Retrieval();
        Assert.Equal((4, 3), Read(own with { TopK = 4 }));
        Assert.Equal((4, 3), Read(new RetrievalOptions { TopK = 4 }));
        Assert.Equal((5, 3), Read(Config.Retrieval(5)));
        // A window that is asked for is taken, with as many blocks as it leaves room for.
        Assert.Equal((8, 7), Read(Config.Retrieval(windowBlocks: 7)));
        Assert.Equal((4, 8), Read(Config.Retrieval(windowBlocks: 8)));
        Assert.Equal((14, 7), Config.Retrieval(own with { WindowBlocks = 7 }, 14) is var more ? (more.TopK, more.WindowBlocks) : default);
        Assert.Equal(8, Read(own with { KeepBlocks = 8 }).K);
        Assert.Equal(4, Read(own with { KeepBlocks = 7 }).K);
        Assert.Equal(own with { TopK = 8, Mass = 0.9 }, Config.MemoryRetrieval(own with { Mass = 0.9 }));
        Assert.Equal(Config.MemoryRetrieval(own), Config.Retrieval(own, 8));
        Assert.Equal((14, 1), Config.Retrieval(own, 14) is var fewer ? (fewer.TopK, fewer.WindowBlocks) : default);
    }
}
