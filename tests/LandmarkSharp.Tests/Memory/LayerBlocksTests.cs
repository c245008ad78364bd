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
                    var made = new LayerBlocks(groups, blockTokens, width, ScalarType.Float32, CPU);
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
}
