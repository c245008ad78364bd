using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Memory;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory;

/// <summary>Writing in one go against writing by torch's operators.</summary>
public sealed class LayerBlocksTests
{
    [Fact]
    public void KeysTurnedOnTheWayLieWhereTheReferencePutsThem() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[1, 20], Gen.Int[0, 40], Gen.Int[1, 50], Gen.Int[0, 1 << 20]).Sample(
            (groups, blockTokens, half, first, count, seed) =>
            {
                LibTorch.Load();
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var (width, length) = (2 * half, blockTokens + 1);
                var (k, v) = (randn([groups, count, width], generator: random), randn([groups, count, width], generator: random));
                var rotary = new RotaryScaling().Create(width);
                LayerBlocks Empty()
                {
                    var made = new LayerBlocks(groups, blockTokens, width, ScalarType.Float32, ScalarType.Float32, CPU);
                    made.Grow((first + count + length) / length, 0);
                    made.Clear(0, made.Capacity);
                    return made;
                }
                using LayerBlocks expected = Empty(), got = Empty();
                using var places = new BlockPlaces(first, count, length, CPU);
                expected.Write(rotary.Rotate(k, arange(first, first + count) % length), v, places);
                Assert.True(got.IsDirect);
                got.WriteRotated(k, v, first, rotary);
                Assert.True((expected.Blocks - got.Blocks).abs().max().item<float>() < 1e-5);
                Assert.True((expected.Landmarks - got.Landmarks).abs().max().item<float>() < 1e-5);
            },
            iter: 60, threads: 1);

    /// <summary>A row is kept by itself: how a text is cut does not change a bit of what is held of it.</summary>
    [Fact]
    public void WhateverTheTypeTheCutChangesNothing() =>
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[1, 20], Gen.Int[1, 50], Gen.Int[1, 50], Gen.Int[0, 1 << 20]).Sample(
            (groups, blockTokens, half, count, cut, seed) =>
            {
                LibTorch.Load();
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var (width, length) = (2 * half, blockTokens + 1);
                var (k, v) = (randn([groups, count, width], generator: random), randn([groups, count, width], generator: random));
                var rotary = new RotaryScaling().Create(width);
                foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8])
                {
                    LayerBlocks Written(int piece)
                    {
                        var made = new LayerBlocks(groups, blockTokens, width, ScalarType.Float32, type, CPU);
                        for (int from = 0, size; from < count; from += size)
                        {
                            size = Math.Min(piece, count - from);
                            var (used, needed) = ((from + length - 1) / length, (from + size + length - 1) / length);
                            made.Grow(needed, used);
                            made.Clear(used, needed - used);
                            made.WriteRotated(k.narrow(1, from, size), v.narrow(1, from, size), from, rotary);
                        }
                        return made;
                    }
                    using LayerBlocks whole = Written(count), pieces = Written(cut);
                    var held = (count + length - 1) / length;
                    foreach (var of in (Func<LayerBlocks, Tensor?>[])
                        [b => b.Blocks.narrow(0, 0, held), b => b.Scales?.narrow(0, 0, held), b => b.Landmarks.narrow(1, 0, count / length)])
                        Assert.True(of(whole) is not { } expected || expected.equal(of(pieces)!).all().item<bool>());

                    // What is allocated is what is told, and what it stands for is what was written.
                    var bytes = whole.Blocks.numel() * whole.Blocks.element_size() + whole.Landmarks.numel() * sizeof(float);
                    Assert.Equal(bytes + ((whole.Scales?.numel() ?? 0) * sizeof(float)), whole.Bytes);
                    var read = BlockType.Widen(whole.Blocks, whole.Scales, ScalarType.Float32).select(2, 1)[0, .., 0];
                    Assert.True((read - v[.., 0]).abs().max().item<float>() <= v.abs().max().item<float>() / 200);
                }
            },
            iter: 60, threads: 1);
}
