using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

public sealed class RecurrentMemoryTests
{
    [Fact]
    public void PiecesGiveWhatTrainingGives() =>
        Gen.Select(Gen.Int[1, 80], Gen.Int[1, 20], Gen.Int[1, 12], Gen.Int[1, 25], Gen.Bool.Select(b => b ? (4, 4) : (6, 2))).Sample(
            (length, piece, window, cache, heads) =>
            {
                var (config, recurrence) = (TinyModel.Plain() with { Heads = heads.Item1, KeyValueHeads = heads.Item2 }, Windows(window, cache));
                using var decoder = TinyModel.Create(config);
                var input = TinyModel.Tokens(length);
                using var memory = new RecurrentMemory(2, decoder.Rotary, recurrence);
                TinyModel.Close(Trained(decoder, input, recurrence), TinyModel.Run(decoder, memory, input, piece), 1e-4);
                Assert.Equal(length, memory.Positions);
                // Two layers of keys and values in float32: as much for any length.
                Assert.Equal(2 * 2 * heads.Item2 * 16 * (window + cache) * sizeof(float), memory.Bytes);
            },
            iter: 60, threads: 1);

    [Theory]
    [InlineData(4, 4)]
    [InlineData(5, 12)]
    [InlineData(7, 2)]
    public void APassThatFailedCountsForNothing(int window, int cache)
    {
        using var decoder = TinyModel.Create(TinyModel.Plain());
        var input = TinyModel.Tokens(60);
        using var whole = new RecurrentMemory(2, decoder.Rotary, Windows(window, cache));
        using var failing = new RecurrentMemory(2, decoder.Rotary, Windows(window, cache));
        var expected = TinyModel.Run(decoder, whole, input, 3);
        TinyModel.Close(expected, TinyModel.RunWithFailures(decoder, failing, input, 3, failed: 7), 1e-6);
    }

    [Fact]
    public void WhatLiesBeforeTheCacheIsForgotten()
    {
        using var decoder = TinyModel.Create(TinyModel.Plain() with { Layers = 1 });
        var input = TinyModel.Tokens(30);
        var changed = (int[])input.Clone();
        changed[2] = (changed[2] + 1) % (TinyModel.Vocabulary - 1);
        using var a = new RecurrentMemory(1, decoder.Rotary, Windows(5, 3));
        using var b = new RecurrentMemory(1, decoder.Rotary, Windows(5, 3));
        var (x, y) = (TinyModel.Run(decoder, a, input, 30), TinyModel.Run(decoder, b, changed, 30));
        // The second window, of positions 5 to 9, sees 2 to 4; the third 7 to 9.
        for (var at = 2; at < 10; at++) Assert.NotEqual(x[at, 0], y[at, 0]);
        for (var at = 10; at < 30; at++) Assert.Equal(x[at, 0], y[at, 0], 1e-6);
    }

    [Fact]
    public void APassEndsWithItsWindow()
    {
        using var decoder = TinyModel.Create(TinyModel.Plain());
        using var memory = new RecurrentMemory(2, decoder.Rotary, Windows(8, 3));
        Assert.Equal(8, memory.Room);
        TinyModel.Run(decoder, memory, TinyModel.Tokens(13), 13);
        Assert.Equal(3, memory.Room);
        Assert.Contains("from 1 to 3", Assert.Throws<LandmarkException>(() => memory.Begin(4)).Message, StringComparison.Ordinal);
    }

    private static Recurrence Windows(int window, int cache) => new() { Window = window, Cache = cache };

    private static float[,] Trained(Decoder decoder, int[] input, Recurrence recurrence)
    {
        using var quiet = inference_mode();
        using var scope = NewDisposeScope();
        using var attention = new RecurrentAttention(decoder.Rotary, recurrence);
        var ids = tensor(input.Select(t => (long)t).ToArray()).unsqueeze(0);
        var flat = decoder.Logits(decoder.Forward(ids, attention)).contiguous().data<float>().ToArray();
        var logits = new float[input.Length, decoder.Config.VocabularySize];
        Buffer.BlockCopy(flat, 0, logits, 0, flat.Length * sizeof(float));
        return logits;
    }
}
