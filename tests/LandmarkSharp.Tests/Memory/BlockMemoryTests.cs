using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>The exactness properties that every back end, tier and precision must keep.</summary>
public sealed class BlockMemoryTests
{
    private static readonly Gen<(int Block, int Heads, int Groups, int Length, int Window, int Piece)> Shapes = Gen.Select(
        Gen.Int[1, 7], Gen.Int[0, 2].Select(i => new[] { (4, 4), (4, 2), (3, 1) }[i]), Gen.Int[1, 60], Gen.Int[1, 4], Gen.Int[1, 20],
        (block, heads, length, window, piece) => (block, heads.Item1, heads.Item2, length, window, piece));

    private static readonly Gen<SelectionMode> Modes = Gen.Enum<SelectionMode>();

    [Fact]
    public void WithAllBlocksReadItIsDenseLandmarkAttentionHoweverTheInputIsCut() =>
        Gen.Select(Shapes, Modes, Gen.Enum<PositionMode>(), Gen.Bool).Sample(
            (shape, mode, positions, reference) =>
            {
                var config = TinyModel.Config(shape.Block, shape.Heads, shape.Groups);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(shape.Length));
                var options = new RetrievalOptions
                {
                    TopK = input.Length,
                    Selection = mode,
                    Positions = positions,
                    WindowBlocks = shape.Window,
                    Reference = reference,
                };
                using var memory = TinyModel.Memory(decoder, options);
                TinyModel.Close(TinyModel.Dense(decoder, input), TinyModel.Run(decoder, memory, input, shape.Piece), 2e-4);
            },
            iter: 60, threads: 1);

    /// <summary>A window that takes more positions than 32 bits count is the whole text.</summary>
    [Theory]
    [InlineData((1 << 30) + 1)]
    [InlineData(600_000_000)]
    [InlineData(int.MaxValue)]
    public void AWindowOfAnySizeIsReadWhole(int windowBlocks)
    {
        var config = TinyModel.Config(3);
        using var decoder = TinyModel.Create(config);
        var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(50));
        using var memory = TinyModel.Memory(decoder, new RetrievalOptions { TopK = 1, WindowBlocks = windowBlocks });
        TinyModel.Close(TinyModel.Dense(decoder, input), TinyModel.Run(decoder, memory, input, 7), 2e-4);
    }

    [Fact]
    public void TheResultDoesNotDependOnHowTheTextWasCut() =>
        Gen.Select(Shapes, Modes.Where(m => m != SelectionMode.PerHead), Gen.Int[1, 3], Gen.Enum<PositionMode>()).Sample(
            (shape, mode, k, positions) =>
            {
                var config = TinyModel.Config(shape.Block, shape.Heads, shape.Groups);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(shape.Length));
                var options = new RetrievalOptions { TopK = k, Selection = mode, WindowBlocks = shape.Window, Positions = positions };
                using var whole = TinyModel.Memory(decoder, options);
                using var pieces = TinyModel.Memory(decoder, options);
                using var single = TinyModel.Memory(decoder, options);
                var expected = TinyModel.Run(decoder, whole, input, input.Length);
                TinyModel.Close(expected, TinyModel.Run(decoder, pieces, input, shape.Piece, 1, 3, shape.Piece), 2e-4);
                TinyModel.Close(expected, TinyModel.Run(decoder, single, input, 1), 2e-4);
            },
            iter: 40, threads: 1);

    /// <summary>Where choices end by mass too, and a share of 1 is k blocks to the last bit.</summary>
    [Fact]
    public void ChoicesThatEndByMassDoNotDependOnHowTheTextWasCut() =>
        Gen.Select(Shapes, Modes, Gen.Int[2, 9], Gen.Enum<PositionMode>(), Gen.Double[0.3, 0.95], Gen.Bool).Sample(
            (shape, mode, k, positions, mass, reference) =>
            {
                var config = TinyModel.Config(shape.Block, shape.Heads, shape.Groups);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(shape.Length));
                float[,] Run(double? share, int piece, bool byReference)
                {
                    using var memory = TinyModel.Memory(decoder, new RetrievalOptions
                    {
                        TopK = k,
                        Mass = share,
                        Selection = mode,
                        WindowBlocks = shape.Window,
                        Positions = positions,
                        Reference = byReference,
                    });
                    return TinyModel.Run(decoder, memory, input, piece);
                }
                var expected = Run(mass, input.Length, reference);
                TinyModel.Close(expected, Run(mass, input.Length, !reference), 1e-3);
                Assert.Equal(Run(null, shape.Piece, reference), Run(1, shape.Piece, reference));
                if (mode == SelectionMode.PerHead) return;
                TinyModel.Close(expected, Run(mass, shape.Piece, reference), 1e-3);
                TinyModel.Close(expected, Run(mass, 1, reference), 1e-3);
            },
            iter: 60, threads: 1);

    [Fact]
    public void KernelsAgreeWithTheReference() =>
        Gen.Select(Shapes, Modes, Gen.Int[1, 3]).Sample(
            (shape, mode, k) =>
            {
                var config = TinyModel.Config(shape.Block, shape.Heads, shape.Groups);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(shape.Length));
                var options = new RetrievalOptions { TopK = k, Selection = mode, WindowBlocks = shape.Window };
                using var fast = TinyModel.Memory(decoder, options);
                using var slow = TinyModel.Memory(decoder, options with { Reference = true });
                TinyModel.Close(TinyModel.Run(decoder, slow, input, shape.Piece), TinyModel.Run(decoder, fast, input, shape.Piece), 2e-4);
            },
            iter: 40, threads: 1);

    /// <summary>With all blocks read: dense attention but for the rounding of rows, by the kernels as by the reference.</summary>
    [Fact]
    public void BlocksOfFewerBitsChangeLittle() =>
        Gen.Select(Shapes, Gen.Bool.Select(x => x ? ScalarType.BFloat16 : ScalarType.Int8), Gen.Enum<PositionMode>(), Gen.Bool).Sample(
            (shape, type, positions, reference) =>
            {
                var config = TinyModel.Config(shape.Block, shape.Heads, shape.Groups);
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(shape.Length));
                var options = new RetrievalOptions
                {
                    TopK = input.Length,
                    Positions = positions,
                    WindowBlocks = shape.Window,
                    Reference = reference,
                    BlockType = type,
                };
                using var memory = TinyModel.Memory(decoder, options);
                TinyModel.Close(TinyModel.Dense(decoder, input), TinyModel.Run(decoder, memory, input, shape.Piece), 1);
                var full = TinyModel.Memory(decoder, options with { BlockType = null });
                TinyModel.Run(decoder, full, input, shape.Piece);
                Assert.True(memory.Bytes < full.Bytes);
                full.Dispose();
            },
            iter: 60, threads: 1);

    [Fact]
    public void RetrievalWithFewBlocksDiffersFromDense()
    {
        var config = TinyModel.Config(3);
        using var decoder = TinyModel.Create(config);
        var input = TinyModel.WithLandmarks(config, TinyModel.Tokens(60));
        using var memory = TinyModel.Memory(decoder, new RetrievalOptions { TopK = 1, WindowBlocks = 1 });
        var (dense, read) = (TinyModel.Dense(decoder, input), TinyModel.Run(decoder, memory, input, 100));
        Assert.True(Enumerable.Range(0, TinyModel.Vocabulary)
            .Max(j => Math.Abs(dense[input.Length - 1, j] - read[input.Length - 1, j])) > 0.01);
    }

    /// <summary>Cancelled, or out of memory: what a failed pass left must not serve the next one.</summary>
    [Fact]
    public void APassThatFailedCountsForNothing()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(3));
        var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(30));
        foreach (var reference in (bool[])[false, true])
        {
            var options = new RetrievalOptions { TopK = 1, WindowBlocks = 2, Reference = reference };
            using var whole = TinyModel.Memory(decoder, options);
            using var failing = TinyModel.Memory(decoder, options);
            var expected = TinyModel.Run(decoder, whole, input, 3);
            TinyModel.Close(expected, TinyModel.RunWithFailures(decoder, failing, input, 3, failed: 2), 1e-6);
        }
    }

    [Fact]
    public void KeysThatThePassWasNotBegunForAreRefused()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(3));
        using var memory = TinyModel.Memory(decoder, new RetrievalOptions { WindowBlocks = 2 });
        using var scope = NewDisposeScope();
        memory.Begin(2);
        foreach (var k in (Tensor[])[zeros(1, 2, 3, 16), zeros(1, 2, 2, 8), zeros(1, 2, 2, 16, dtype: ScalarType.Float16)])
        {
            var error = Assert.Throws<LandmarkException>(() => memory.Attend(0, zeros(1, 4, 2, 16), k, k));
            Assert.Contains("A pass over 2 positions was begun", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void AVeryLongPassAndNoPassAreRefused()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(3));
        using var memory = TinyModel.Memory(decoder, new RetrievalOptions { WindowBlocks = 2 });
        Assert.Equal(384, memory.Room);                                                     // whole windows of 8
        Assert.Contains("from 1 to 384", Assert.Throws<LandmarkException>(() => memory.Begin(385)).Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => memory.Begin(0));
        Assert.Contains("at least 1", Assert.Throws<LandmarkException>(
            () => TinyModel.Memory(decoder, new RetrievalOptions { TopK = 0 })).Message, StringComparison.Ordinal);
    }
}
