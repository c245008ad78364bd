using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

public sealed class AtenTests
{
    public AtenTests() => LibTorch.Load();

    [Fact]
    public void RmsNormEqualsItsFormulaAndPassesGradients()
    {
        using var scope = NewDisposeScope();
        var x = randn(3, 5, 16).requires_grad_();
        var weight = randn(16).requires_grad_();
        var y = Aten.RmsNorm(x, weight, 1e-5);
        var expected = x * (x.pow(2).mean([-1L], keepdim: true) + 1e-5).rsqrt() * weight;
        Close(expected, y, 1e-6);

        var pull = randn(3, 5, 16);
        (y * pull).sum().backward();
        var (dx, dw) = (x.grad!.clone(), weight.grad!.clone());
        x.grad!.zero_();
        weight.grad!.zero_();
        (expected * pull).sum().backward();
        Close(x.grad, dx, 1e-5);
        Close(weight.grad, dw, 1e-5);
    }

    internal static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        using var gap = (expected.to(float64) - actual.to(float64)).abs().max();
        Assert.InRange(gap.item<double>(), 0, tolerance);
    }
}
