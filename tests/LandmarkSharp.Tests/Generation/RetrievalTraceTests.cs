using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

public sealed class RetrievalTraceTests
{
    public RetrievalTraceTests() => LibTorch.Load();

    /// <summary>Queries of several windows at once: those of the first have fewer blocks before them.</summary>
    [Fact]
    public void PlacesWithoutABlockCountForNothing()
    {
        using var scope = NewDisposeScope();
        var trace = new RetrievalTrace(10);
        trace.Add(0, new Retrieved(
            zeros(1, 2, 4), tensor(new long[] { 0, -1, 0, 3 }).view(1, 2, 2), tensor(new float[] { 0.5f, 0, 0.25f, 0.5f }).view(1, 2, 2)));
        Assert.Equal([(0, 0.375), (3, 0.25)], trace.Blocks.Select(b => (b.Block, b.Mass)));
        Assert.Equal(1 - 0.625, trace.WindowMass, 6);
    }
}
