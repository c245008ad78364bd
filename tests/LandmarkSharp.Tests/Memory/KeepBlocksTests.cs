using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Generation;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Memories that forget all but the last blocks before the window.</summary>
public sealed class KeepBlocksTests
{
    private static readonly Gen<SelectionMode> Modes = Gen.Enum<SelectionMode>();

    [Fact]
    public void KernelsAgreeWithTheReferenceHoweverTheTextIsCut() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[20, 90], Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[0, 5], Gen.Int[1, 20], Modes).Sample(
            (block, length, window, k, more, piece, mode) =>
            {
                using var decoder = TinyModel.Create(TinyModel.Config(block));
                // With tokens of some other seeds two landmarks score alike up to rounding, and either may be read.
                var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(length, seed: 1));
                var options = new RetrievalOptions { TopK = k, Selection = mode, WindowBlocks = window, KeepBlocks = k + more };
                using var fast = TinyModel.Memory(decoder, options);
                using var slow = TinyModel.Memory(decoder, options with { Reference = true });
                var cut = mode == SelectionMode.PerHead ? piece : 1;        // a choice for all queries of a piece depends on the piece
                TinyModel.Close(TinyModel.Run(decoder, slow, input, piece), TinyModel.Run(decoder, fast, input, cut), 2e-4);
            },
            iter: 40, threads: 1);

    /// <summary>In one layer a block that is forgotten has left nothing in others.</summary>
    [Theory]
    [InlineData(null, PositionMode.Stingy, false)]
    [InlineData(null, PositionMode.Stingy, true)]
    [InlineData(null, PositionMode.True, false)]
    [InlineData(ScalarType.Int8, PositionMode.Stingy, false)]
    [InlineData(ScalarType.Int8, PositionMode.True, false)]
    public void AForgottenBlockIsAsIfItHadNeverBeen(ScalarType? type, PositionMode positions, bool reference)
    {
        const int block = 3, window = 2, keep = 4;
        using var decoder = TinyModel.Create(TinyModel.Config(block) with { Layers = 1 });
        var tokens = TinyModel.Tokens(60);                                                  // 20 blocks
        var options = new RetrievalOptions
        {
            TopK = 3,
            WindowBlocks = window,
            KeepBlocks = keep,
            Positions = positions,
            Reference = reference,
            BlockType = type,
        };
        using var whole = TinyModel.Memory(decoder, options);
        using var late = TinyModel.Memory(decoder, options);
        List<long> chosen = [];
        whole.Observer = (_, read) =>
        {
            var before = whole.Positions / (block + 1) / window * window;
            if (read.Chosen is { } blocks)
                chosen.AddRange(blocks.contiguous().data<long>().ToArray().Select(b => b - before));
        };
        var all = TinyModel.Run(decoder, whole, TinyModel.WithLandmarks(decoder.Config, tokens), 4);
        // A text that begins with the first block that the last window keeps; it stands elsewhere, and is the same relative to it.
        var rest = TinyModel.WithLandmarks(decoder.Config, tokens[((20 - window - keep) * block)..]);
        var last = TinyModel.Run(decoder, late, rest, 4);
        var rows = window * (block + 1);
        for (var i = 1; i <= rows; i++)
            for (var j = 0; j < all.GetLength(1); j++)
                Assert.Equal(last[last.GetLength(0) - i, j], all[all.GetLength(0) - i, j], 2e-4);
        Assert.NotEmpty(chosen);
        Assert.All(chosen, b => Assert.InRange(b, -keep, -1));
        Assert.Contains(-keep, chosen);
    }

    [Fact]
    public void KeptBlocksAreAsManyAsTheTextHasOrChangeTheResult()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(3));
        var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(90));
        float[,] Run(int? keep)
        {
            using var memory = TinyModel.Memory(decoder, new RetrievalOptions { TopK = 3, WindowBlocks = 2, KeepBlocks = keep });
            return TinyModel.Run(decoder, memory, input, 50);
        }
        TinyModel.Close(Run(null), Run(30), 0);
        Assert.NotEqual(Run(null)[input.Length - 1, 0], Run(3)[input.Length - 1, 0], 1e-3);
    }

    [Fact]
    public void FewerThanAreReadCannotBeKept()
    {
        var error = Assert.Throws<LandmarkException>(() => new RetrievalOptions { TopK = 4, KeepBlocks = 3 }.Checked());
        Assert.Contains("k = 4 cannot be read", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, new RetrievalOptions { TopK = 4, KeepBlocks = 4 }.Checked().KeepBlocks);
    }

    [Fact]
    public void AnAnswersTraceTellsWhatWasKept()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4), new RetrievalOptions { TopK = 2, WindowBlocks = 1, KeepBlocks = 3 });
        using var session = engine.NewSession();
        session.Append(TinyModel.Tokens(81));
        Assert.Equal(3, session.Generate(new GenerationOptions { MaxTokens = 3, StopAtEndOfText = false }).Count());
        Assert.Equal(3, session.Trace.KeepBlocks);
        Assert.All(session.Trace.Blocks, b => Assert.InRange(b.Block, 17, 19));             // the window is block 20
    }
}
