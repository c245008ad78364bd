using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Gradients through autograd against central differences in float64, for every kind of layout.</summary>
public sealed class LandmarkAttentionGradientTests
{
    private const double Step = 1e-6;

    public LandmarkAttentionGradientTests() => LibTorch.Load();

    [Theory]
    [InlineData("aaLaaLaaL", null, 9)]
    [InlineData("aaLaaLa", null, 7)]
    [InlineData("LaaLaaLa", null, 8)]
    [InlineData("aLLaaaLLaa", null, 6)]
    [InlineData("aaaLaaaLaa", "0001111111", 10)]
    [InlineData("aaaLaaaLaa", "1010101101", 4)]
    public void EqualFiniteDifferences(string sequence, string? mask, int queries)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(7, CPU);
        bool[] landmark = [.. sequence.Select(c => c == 'L')];
        bool[]? visible = mask?.Select(c => c == '1').ToArray();
        using var layout = BlockLayout.Irregular(RowByRow.Bools(landmark), queries, visible is null ? null : RowByRow.Bools(visible));
        Tensor Make(int heads, int t) => randn([1, heads, t, 4], dtype: ScalarType.Float64, generator: random);
        var (q, k, v, pull) = (Make(4, queries), Make(2, landmark.Length), Make(2, landmark.Length), Make(4, queries));
        Tensor[] leaves = [q.requires_grad_(), k.requires_grad_(), v.requires_grad_()];
        Loss().backward();
        foreach (var leaf in leaves)
        {
            var exact = leaf.grad!.flatten().data<double>().ToArray();
            using var noGrad = no_grad();
            var flat = leaf.view(-1);
            for (var i = 0; i < exact.Length; i++)
            {
                var at = flat[i].item<double>();
                double With(double x)
                {
                    flat[i] = x;
                    return Loss().item<double>();
                }
                var difference = (With(at + Step) - With(at - Step)) / (2 * Step);
                flat[i] = at;
                Assert.Equal(difference, exact[i], 2e-8);
            }
        }

        Tensor Loss() => (LandmarkAttention.Attend(q, k, v, layout) * pull).sum();
    }

    [Fact]
    public void DenseAttentionPassesGradientsThroughTheRotation()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(8, CPU);
        using var layout = BlockLayout.Regular(7, 7, 3, 2);
        var rotary = new RotaryScaling().Create(4);
        Tensor[] x = [.. Enumerable.Range(0, 4).Select(_ => randn([1, 2, 7, 4], dtype: ScalarType.Float64, generator: random))];
        var q = x[0].requires_grad_();
        Tensor Loss() => (new DenseAttention(rotary, layout).Attend(0, q, x[1], x[2]) * x[3]).sum();
        Loss().backward();
        var exact = q.grad!.flatten().data<double>().ToArray();
        using var noGrad = no_grad();
        var flat = q.view(-1);
        for (var i = 0; i < exact.Length; i++)
        {
            var at = flat[i].item<double>();
            flat[i] = at + Step;
            var up = Loss().item<double>();
            flat[i] = at - Step;
            var difference = (up - Loss().item<double>()) / (2 * Step);
            flat[i] = at;
            Assert.Equal(difference, exact[i], 2e-8);
        }
    }
}
