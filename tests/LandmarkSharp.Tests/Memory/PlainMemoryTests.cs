using CsCheck;
using LandmarkSharp.Memory;

namespace LandmarkSharp.Tests.Memory;

public sealed class PlainMemoryTests
{
    [Fact]
    public void PiecesGiveWhatOnePassGives() =>
        Gen.Select(Gen.Int[1, 80], Gen.Int[1, 20], Gen.OneOf(Gen.Const((int?)null), Gen.Int[1, 9].Select(w => (int?)w))).Sample(
            (length, piece, window) =>
            {
                using var decoder = TinyModel.Create(TinyModel.Plain());
                var input = TinyModel.Tokens(length);
                using var whole = new PlainMemory(2, decoder.Rotary, window);
                using var pieces = new PlainMemory(2, decoder.Rotary, window);
                TinyModel.Close(TinyModel.Run(decoder, whole, input, length), TinyModel.Run(decoder, pieces, input, piece), 1e-4);
            },
            iter: 30, threads: 1);

    [Theory]
    [InlineData(null)]
    [InlineData(4)]
    public void APassThatFailedCountsForNothing(int? window)
    {
        using var decoder = TinyModel.Create(TinyModel.Plain());
        var input = TinyModel.Tokens(20);
        using var whole = new PlainMemory(2, decoder.Rotary, window);
        using var failing = new PlainMemory(2, decoder.Rotary, window);
        var expected = TinyModel.Run(decoder, whole, input, 3);
        TinyModel.Close(expected, TinyModel.RunWithFailures(decoder, failing, input, 3, failed: 5), 1e-6);
    }

    [Fact]
    public void ASlidingWindowForgetsWhatIsOlder()
    {
        using var decoder = TinyModel.Create(TinyModel.Plain() with { Layers = 1 });
        var input = TinyModel.Tokens(30);
        var changed = (int[])input.Clone();
        changed[0] = (changed[0] + 1) % (TinyModel.Vocabulary - 1);
        using var a = new PlainMemory(1, decoder.Rotary, 5);
        using var b = new PlainMemory(1, decoder.Rotary, 5);
        var (x, y) = (TinyModel.Run(decoder, a, input, 30), TinyModel.Run(decoder, b, changed, 30));
        Assert.NotEqual(x[4, 0], y[4, 0]);
        Assert.Equal(x[5, 0], y[5, 0], 1e-5);
    }
}
