using CsCheck;
using LandmarkSharp.Text;

namespace LandmarkSharp.Tests.Text;

public sealed class LandmarkStreamTests
{
    private const int Landmark = 99;

    [Fact]
    public void ALandmarkFollowsEachBlockAtOnce()
    {
        var (stream, output) = (new LandmarkStream(3, Landmark), new List<int>());
        stream.Push([1, 2], output);
        Assert.Equal([1, 2], output);
        Assert.Equal((2, 2), (stream.Position, stream.Phase));
        stream.Push([3], output);
        Assert.Equal([1, 2, 3, Landmark], output);
        Assert.Equal((3, 0), (stream.Position, stream.Phase));
        stream.Push([], output);
        stream.Push([4, 5, 6, 7], output);
        Assert.Equal([1, 2, 3, Landmark, 4, 5, 6, Landmark, 7], output);
    }

    [Fact]
    public void HowATextIsCutChangesNothing() =>
        Gen.Select(Gen.Int[0, 50].Array[0, 60], Gen.Int[1, 8], Gen.Int[1, 20].Array[1, 5], Gen.Int[0, 100]).Sample(
            (tokens, block, cuts, before) =>
            {
                // By the definition: token number n is followed by a landmark when n + 1 tokens fill whole blocks.
                var expected = tokens.SelectMany((t, i) => (before + i + 1) % block == 0 ? new[] { t, Landmark } : [t]).ToArray();
                var (stream, output) = (new LandmarkStream(block, Landmark, before), new List<int>());
                foreach (var piece in Texts.Cut(tokens, cuts)) stream.Push(piece, output);
                Assert.Equal(expected, output);
                Assert.Equal(before + tokens.Length, stream.Position);
                Assert.Equal((before + tokens.Length) % block, stream.Phase);
                Assert.Equal(tokens, output.Where(t => t != Landmark));
                if (before > 0) return;
                Assert.Equal(expected, LandmarkStream.Insert(tokens, block, Landmark));
                Assert.Equal(expected.Length, LandmarkStream.CountWithLandmarks(tokens.Length, block));
            });

    [Fact]
    public void WhatCannotBeIsRefused()
    {
        Fails("block of 0", () => new LandmarkStream(0, Landmark));
        Fails("-1", () => new LandmarkStream(4, -1));
        Fails("-5", () => new LandmarkStream(4, Landmark, -5));
        Fails("block of -2", () => LandmarkStream.CountWithLandmarks(10, -2));
        var (stream, output) = (new LandmarkStream(2, Landmark), new List<int>());
        Fails("token 99", () => stream.Push([1, 2, Landmark], output));
        Assert.Empty(output);
        Assert.Equal(0, stream.Position);
    }

    private static void Fails(string part, Action action) =>
        Assert.Contains(part, Assert.Throws<LandmarkException>(action).Message, StringComparison.Ordinal);
}
