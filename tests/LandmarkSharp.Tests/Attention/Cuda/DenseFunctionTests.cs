using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>What autograd does with kernels, on a CPU: these stand in for them and compute a plain product.</summary>
public sealed class DenseFunctionTests
{
    private static readonly DenseProblem Problem = new(new RegularBlocks(3, 3, 2, 2), 0.5);

    public DenseFunctionTests() => LibTorch.Load();

    [Fact]
    public void GradientsGoToWhatWasGiven()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs();
        var output = DenseFunction<Products>.Apply(q, k, v, Problem);
        output.backward([full_like(output, 2)]);
        Assert.True(output.detach().equal(q * k * v).all().item<bool>());
        Assert.True(q.grad!.equal(2 * k * v).all().item<bool>());
        Assert.True(k.grad!.equal(2 * q * v).all().item<bool>());
        Assert.True(v.grad!.equal(2 * q * k).all().item<bool>());
    }

    [Fact]
    public void TheSumHasAGradientToo()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs();
        var (output, logSum) = DenseSumFunction<Products>.Apply(q, k, v, Problem);
        Assert.True(logSum.isneginf().any().item<bool>() && logSum.isfinite().any().item<bool>());
        (output.sum() + (3 * logSum.masked_fill(logSum.isneginf(), 0).sum())).backward();
        Assert.True(k.grad!.equal(q * v).all().item<bool>());
        // Of the logarithm to the base e, as it was asked for; zeros where there is nothing.
        Assert.Equal([3, 3, 0], Products.SumGradient!.data<float>().ToArray(), (x, y) => Math.Abs(x - y) < 1e-5);
    }

    [Fact]
    public void WithoutGradientsNothingIsKept()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs();
        using var off = no_grad();
        Assert.False(DenseFunction<Products>.Apply(q, k, v, Problem).requires_grad);
    }

    private static (Tensor Q, Tensor K, Tensor V) Inputs()
    {
        Tensor Make() => randn([1, 1, 3, 4]).requires_grad_();
        return (Make(), Make(), Make());
    }

    private sealed class Products : IDenseKernels
    {
        public static Tensor? SumGradient { get; private set; }

        public static bool Serves(Tensor q, int block, bool backward) => true;

        public static (Tensor Output, Tensor LogSum) Forward(Tensor q, Tensor k, Tensor v, DenseProblem problem) =>
            (q.detach() * k.detach() * v.detach(), tensor([1f, 2f, float.PositiveInfinity]).view(1, 1, 3));

        public static void CompileBackward(Tensor q, DenseProblem problem) => Assert.Equal(Problem, problem);

        public static (Tensor Q, Tensor K, Tensor V) Backward(
            Tensor q, Tensor k, Tensor v, Tensor output, Tensor logSum, Tensor gradient, Tensor? logSumGradient, DenseProblem problem)
        {
            if (logSumGradient is not null) SumGradient = logSumGradient.clone().DetachFromDisposeScope();
            return (gradient * k * v, gradient * q * v, gradient * q * k);
        }
    }
}
