using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Evaluation.Experiments;

/// <summary>Blocks that the eighth window of five reads.</summary>
public sealed class UniqueBlocksTests
{
    /// <summary>Against the reference, which reads the window token by token where each token chooses for itself.</summary>
    [Theory]
    [InlineData(SelectionMode.PerTokenAndHead, 1)]
    [InlineData(SelectionMode.PerToken, 1)]
    [InlineData(SelectionMode.PerHead, 20)]
    public void CountsAreTheReferences(SelectionMode mode, int piece)
    {
        var config = TinyModel.Config(blockTokens: 3, windowBlocks: 5);
        var reading = LanguageModelling.Reading(5, 1, null, mode);
        using var engine = TinyEngine.Create(config, reading);
        var text = TinyModel.Tokens(8 * 5 * 3);
        var found = UniqueBlocks.Read(engine, text, TestContext.Current.CancellationToken);

        var input = TinyModel.WithLandmarks(config, text);
        const int last = 7 * 5 * 4;
        using var memory = TinyModel.Memory(engine.Decoder, reading with { Reference = true });
        TinyModel.Run(engine.Decoder, memory, input[..last], 20);
        var blocks = new HashSet<long>[] { [], [] };
        memory.Observer = (layer, read) =>
        {
            using var scope = NewDisposeScope();
            using var chosen = read.Chosen!.contiguous();
            foreach (var block in chosen.data<long>()) blocks[layer].Add(block);
        };
        TinyModel.Run(engine.Decoder, memory, input[last..], piece);
        Assert.Equal(blocks.Select(b => (double)b.Count), found);
        Assert.InRange(found[1], mode == SelectionMode.PerHead ? 1 : 5, 35);
        Assert.All(blocks.SelectMany(b => b), b => Assert.InRange(b, 0, 34));
    }
}
