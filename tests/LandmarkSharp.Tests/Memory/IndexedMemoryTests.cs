using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Faiss;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Memories whose blocks are found by an index.</summary>
public sealed class IndexedMemoryTests
{
    private static readonly RetrievalOptions Options = new() { TopK = 2, WindowBlocks = 3, Index = LandmarkIndex.Hierarchical };

    /// <summary>One call, calls of any size, or token by token: the index covers more blocks from one place of the text on, whatever was asked before.</summary>
    [Theory]
    [InlineData(LandmarkIndex.Hierarchical, 4, 4)]
    [InlineData(LandmarkIndex.Hierarchical, 4, 2)]
    [InlineData(LandmarkIndex.Int8, 4, 4)]
    [InlineData(LandmarkIndex.Int8, 4, 2)]
    [InlineData(LandmarkIndex.FaissIvf, 4, 4)]
    [InlineData(LandmarkIndex.FaissHnsw, 4, 4)]
    public void TheResultDoesNotDependOnHowTheTextWasCut(LandmarkIndex kind, int heads, int groups)
    {
        Assert.SkipUnless(kind is LandmarkIndex.Hierarchical or LandmarkIndex.Int8 || FaissLibrary.IsThere, "No FAISS.");
        using var decoder = TinyModel.Create(TinyModel.Config(1, heads, groups));
        var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(2100));
        float[,] Run(RetrievalOptions options, params int[] pieces)
        {
            using var memory = TinyModel.Memory(decoder, options with { Index = options.Index is LandmarkIndex.Exact ? options.Index : kind });
            return TinyModel.Run(decoder, memory, input, pieces);
        }
        var expected = Run(Options, input.Length);
        TinyModel.Close(expected, Run(Options, 100, 7, 1, 29), 2e-4);
        TinyModel.Close(expected, Run(Options, 1), 2e-4);
        // It does not find everything, but for the one whose copies of keys rank nearly as they do; opened whole it does, and so does no index.
        var exact = Run(Options with { Index = LandmarkIndex.Exact }, 50);
        var found = Run(Options with { IndexEffort = 0.1 }, 50);
        if (kind != LandmarkIndex.Int8)
            Assert.Contains(exact.Cast<float>().Zip(found.Cast<float>()), logits => Math.Abs(logits.First - logits.Second) > 1e-2);
        TinyModel.Close(exact, Run(Options with { IndexEffort = 100 }, 50), 2e-4);
    }

    [Fact]
    public void WithAllBlocksReadItIsDenseLandmarkAttention()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(1));
        var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(1200));
        using var memory = TinyModel.Memory(decoder, Options with { TopK = 1200 });
        TinyModel.Close(TinyModel.Dense(decoder, input), TinyModel.Run(decoder, memory, input, 200), 2e-4);
    }

    /// <summary>A pass that fails leaves nothing in the index: the text goes on as if it had not been.</summary>
    [Fact]
    public void APassThatFailedLeavesNoTrace()
    {
        using var decoder = TinyModel.Create(TinyModel.Config(1));
        var input = TinyModel.WithLandmarks(decoder.Config, TinyModel.Tokens(1100));
        using var plain = TinyModel.Memory(decoder, Options);
        using var troubled = TinyModel.Memory(decoder, Options);
        TinyModel.Close(
            TinyModel.Run(decoder, plain, input, 300), TinyModel.RunWithFailures(decoder, troubled, input, piece: 40, failed: 200), 2e-4);
    }

    public static TheoryData<RetrievalOptions, string> Refused => new()
    {
        { Options with { Mass = 0.9 }, "choices that end by mass" },
        { Options with { Selection = SelectionMode.PerToken }, "shared by tokens or by all heads" },
        { Options with { Selection = SelectionMode.PerHead }, "shared by tokens or by all heads" },
        { Options with { Positions = PositionMode.True }, "true positions" },
        { Options with { KeepBlocks = 8 }, "blocks that are forgotten" },
        { Options with { Reference = true }, "the reference operators" },
        { Options with { IndexEffort = 0 }, "effort of an index is 0" },
        { Options with { IndexEffort = double.NaN }, "effort of an index is NaN" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void WhatItDoesNotServeIsRefused(RetrievalOptions options, string why) =>
        Assert.Contains(why, Assert.Throws<LandmarkException>(options.Checked).Message, StringComparison.Ordinal);

    [Fact]
    public void ModelsOfOtherTypesAreRefused()
    {
        var error = Assert.Throws<LandmarkException>(() => LandmarkIndexes.Check(Options, ScalarType.BFloat16, CPU));
        Assert.Contains("for float32 models on the CPU", error.Message, StringComparison.Ordinal);
    }
}
