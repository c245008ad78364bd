using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

public sealed class ResidualDropoutTests
{
    private static readonly SeededDropout Fifth = new(0.2, 7);

    public ResidualDropoutTests() => LibTorch.Load();

    [Theory]
    [InlineData(0.05)]
    [InlineData(0.2)]
    [InlineData(0.7)]
    public void ElementsAreDroppedAtTheirRateAndTheMeanStays(double probability)
    {
        using var scope = NewDisposeScope();
        const int Count = 300_000;
        var y = ResidualDropout.Of(ones(300, 1000), new(probability, 3));
        var deviation = Math.Sqrt(probability * (1 - probability) / Count);
        Assert.InRange(y.eq(0).to(ScalarType.Float32).mean().item<float>() - probability, -4 * deviation, 4 * deviation);
        Assert.InRange(y.mean().item<float>() - 1, -4 * deviation / (1 - probability), 4 * deviation / (1 - probability));
        Assert.Equal((float)(1 / (1 - probability)), y.max().item<float>());
        // Neighbours along either dimension are dropped together as often as chance has it.
        foreach (var dimension in (long[])[0, 1])
        {
            var (a, b) = (y.narrow(dimension, 0, y.shape[dimension] - 1).eq(0), y.narrow(dimension, 1, y.shape[dimension] - 1).eq(0));
            var both = a.logical_and(b).to(ScalarType.Float32).mean().item<float>();
            Assert.InRange(both - (probability * probability), -5 * deviation, 5 * deviation);
        }
    }

    [Fact]
    public void TheGradientHasTheSameElementsDropped()
    {
        using var scope = NewDisposeScope();
        var x = randn(5, 6, 70, requires_grad: true);
        var y = ResidualDropout.Of(x, Fifth);
        var weight = randn(5, 6, 70);
        (y * weight).sum().backward();
        using var quiet = no_grad();
        var mask = ResidualDropout.Of(ones(5, 6, 70), Fifth);
        Assert.Equal(0, (y - (x * mask)).abs().max().item<float>());
        Assert.Equal(0, (x.grad! - (weight * mask)).abs().max().item<float>());
    }

    [Fact]
    public void ASeedAndAPlaceDropTheirOwn()
    {
        using var scope = NewDisposeScope();
        Tensor Mask(SeededDropout dropout) => ResidualDropout.Of(ones(4000), dropout);
        Assert.Equal(0, (Mask(Fifth) - Mask(Fifth)).abs().max().item<float>());
        SeededDropout[] others = [Fifth.At(1), Fifth.At(2), Fifth with { Seed = 8 }, (Fifth with { Seed = 8 }).At(1)];
        foreach (var other in others)
        {
            // Two independent ones differ in 2·0.2·0.8 of the places.
            var differs = (Mask(Fifth) - Mask(other)).ne(0).to(ScalarType.Float32).mean().item<float>();
            Assert.InRange(differs, 0.28, 0.36);
        }
    }
}
