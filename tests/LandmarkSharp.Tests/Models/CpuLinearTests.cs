using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>Our own product of activations and weights.</summary>
public sealed class CpuLinearTests
{
    public CpuLinearTests() => LibTorch.Load();

    [Theory]
    [InlineData(64, 32, 8)]
    [InlineData(65, 96, 257)]
    [InlineData(200, 704, 300)]
    [InlineData(131, 64, 1)]
    public void ProductsAreThoseInFloat64(int rows, int outputs, int inputs)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        Tensor x = randn(2, rows, inputs), weight = randn(outputs, inputs);
        if (!CpuLinear.Serves(x, weight)) Assert.Skip("No AVX-512.");
        var exact = nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64));
        var error = (CpuLinear.Forward(x, weight) - exact).abs().max().item<double>();
        Assert.InRange(error, 0, 1e-6 * inputs);
        // Rows and columns that do not lie one after another.
        var turned = x.transpose(1, 2).contiguous().transpose(1, 2);
        Assert.True(CpuLinear.Forward(turned, weight).equal(CpuLinear.Forward(x, weight)).all().item<bool>());
        // A row does not depend on those beside it.
        Assert.True(CpuLinear.Forward(x[.., 1..], weight).equal(CpuLinear.Forward(x, weight)[.., 1..]).all().item<bool>());
    }

    [Fact]
    public void GradientsOtherTypesAndFewRowsAreNotServed()
    {
        using var scope = NewDisposeScope();
        Tensor x = randn(64, 32), weight = randn(32, 32);
        Assert.False(CpuLinear.Serves(x, weight));                                          // gradients are on
        using var quiet = no_grad();
        Assert.False(CpuLinear.Serves(x.to(ScalarType.BFloat16), weight));
        Assert.False(CpuLinear.Serves(x[..63], weight));
        Assert.False(CpuLinear.Serves(x, weight[..31]));
    }
}
