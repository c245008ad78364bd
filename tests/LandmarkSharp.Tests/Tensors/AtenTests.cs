using System.Runtime.InteropServices;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

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
        Close(expected, y, 1e-5);

        var pull = randn(3, 5, 16);
        (y * pull).sum().backward();
        var dx = x.grad!.clone();
        var dw = weight.grad!.clone();
        x.grad!.zero_();
        weight.grad!.zero_();
        (expected * pull).sum().backward();
        Close(x.grad, dx, 1e-4);
        Close(weight.grad, dw, 1e-4);
    }

    [Fact]
    public void RmsNormNamesTheShapesThatDoNotFit()
    {
        using var scope = NewDisposeScope();
        var e = Assert.Throws<LandmarkException>(() => Aten.RmsNorm(zeros(2, 8), ones(4), 1e-6));
        Assert.Equal("RMS normalisation of [2, 8] needs a weight of its last dimension, and found [4].", e.Message);
        Assert.Throws<LandmarkException>(() => Aten.RmsNorm(zeros(2, 8), ones(1, 8), 1e-6));
        Assert.Throws<LandmarkException>(() => Aten.RmsNorm(tensor(1f), ones(1), 1e-6));
    }

    [Theory]
    [InlineData(false, null, 4)]
    [InlineData(true, null, 4)]
    [InlineData(true, 0.3, 4)]
    [InlineData(true, 0.3, 2)]
    [InlineData(false, 0.05, 1)]
    public void AttentionEqualsItsFormula(bool causal, double? scale, int keyHeads)
    {
        using var scope = NewDisposeScope();
        var q = randn(2, 4, 7, 8).requires_grad_();   // [B, H, T, D]
        var k = randn(2, keyHeads, 7, 8);
        var v = randn(2, keyHeads, 7, 8);
        var y = Aten.ScaledDotProductAttention(q, k, v, causal: causal, scale: scale, enableGqa: keyHeads != 4);

        var all = k.repeat_interleave(4 / keyHeads, 1);
        var scores = q.matmul(all.transpose(-2, -1)) * (scale ?? 1 / Math.Sqrt(8));
        if (causal)
            scores = scores + ones(7, 7).tril().log();
        var expected = F.softmax(scores, -1).matmul(v.repeat_interleave(4 / keyHeads, 1));
        Close(expected, y, 1e-5);

        y.sum().backward();
        var dq = q.grad!.clone();
        q.grad!.zero_();
        expected.sum().backward();
        Close(q.grad, dq, 1e-5);
    }

    [Fact]
    public void AttentionTakesAMask()
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = (randn(1, 2, 3, 8), randn(1, 2, 5, 8), randn(1, 2, 5, 8));
        var mask = randn(3, 5) > 0;
        mask[.., 0] = true;
        var expected = F.softmax(q.matmul(k.transpose(-2, -1)) / Math.Sqrt(8) + mask.to(float32).log(), -1).matmul(v);
        Close(expected, Aten.ScaledDotProductAttention(q, k, v, mask), 1e-5);
        Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q, k, v, mask, causal: true));
    }

    [Fact]
    public void AttentionNamesTheShapesThatDoNotFit()
    {
        using var scope = NewDisposeScope();
        var (q, k) = (zeros(1, 4, 3, 8), zeros(1, 2, 5, 8));
        var e = Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q, k, k));
        Assert.Contains("found [1, 4, 3, 8], [1, 2, 5, 8] and [1, 2, 5, 8]", e.Message, StringComparison.Ordinal);
        var three = zeros(1, 3, 5, 8);
        Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q, three, three, enableGqa: true));
        Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q, zeros(1, 4, 5, 8), zeros(1, 4, 6, 8)));
        Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q[0], k, k));
    }

    [Fact]
    public void AnOperatorThatFailsIsNamed()
    {
        using var scope = NewDisposeScope();
        var q = zeros(1, 1, 3, 8);
        var e = Assert.Throws<LandmarkException>(() => Aten.ScaledDotProductAttention(q, q, q, zeros(17, 3)));
        Assert.StartsWith(
            "libtorch's operator aten::scaled_dot_product_attention failed", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AdamWEqualsTorchSharps()
    {
        using var scope = NewDisposeScope();
        long[][] shapes = [[3, 4], [5], [2, 2, 2]];
        Tensor[] reference = [.. shapes.Select(s => nn.Parameter(randn(s)))];
        Tensor[] mine = [.. reference.Select(p => p.clone().detach().requires_grad_())];
        Tensor[] first = [.. mine.Select(p => zeros_like(p, requires_grad: false))];
        Tensor[] second = [.. mine.Select(p => zeros_like(p, requires_grad: false))];
        var step = tensor(0f);
        using var optimizer = optim.AdamW(
            reference.Cast<TorchSharp.Modules.Parameter>(), 1e-2, 0.9, 0.95, 1e-8, 0.1);

        for (var i = 0; i < 4; i++)
        {
            Tensor[] gradients = [.. shapes.Select(s => randn(s))];
            for (var p = 0; p < reference.Length; p++)
                reference[p].grad = gradients[p].clone();
            optimizer.step();
            Aten.FusedAdamW(mine, gradients, first, second, [step, step, step], 1e-2, 0.9, 0.95, 0.1, 1e-8);
        }

        Assert.Equal(4f, step.item<float>());
        for (var p = 0; p < reference.Length; p++)
            Close(reference[p], mine[p], 1e-6);
    }

    [Fact]
    public void AdamWRaisesEachStepOfItsOwn()
    {
        using var scope = NewDisposeScope();
        Tensor[] Make() => [ones(2), ones(3)];
        Tensor[] steps = [tensor(0f), tensor(5f)];
        Aten.FusedAdamW(Make(), Make(), Make(), Make(), steps, 1e-3, 0.9, 0.95, 0, 1e-8);
        Assert.Equal([1f, 6f], steps.Select(s => s.item<float>()));
        Aten.FusedAdamW([], [], [], [], [], 1e-3, 0.9, 0.95, 0, 1e-8);
    }

    [Fact]
    public void AdamWNamesWhatDoesNotFit()
    {
        using var scope = NewDisposeScope();
        void Step(Tensor gradient, Tensor moment, Tensor step) =>
            Aten.FusedAdamW([ones(2)], [gradient], [moment], [zeros(2)], [step], 1e-3, 0.9, 0.95, 0, 1e-8);
        var step = tensor(0f);

        var e = Assert.Throws<LandmarkException>(() => Step(ones(3), zeros(2), step));
        Assert.Contains("gradient 0 is Float32 [3]", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => Step(ones(2), zeros(2, float64), step));
        Assert.Contains("first moment 0 is Float64 [2]", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => Step(ones(2), zeros(2), zeros(1)));
        Assert.Contains("step 0 is Float32 [1]", e.Message, StringComparison.Ordinal);
        Assert.Throws<LandmarkException>(() => Step(ones(2), zeros(2), tensor(0L)));
        Assert.Throws<LandmarkException>(
            () => Aten.FusedAdamW([ones(2)], [], [], [], [], 1e-3, 0.9, 0.95, 0, 1e-8));
        Assert.Throws<LandmarkException>(() => Aten.FusedAdamW(
            [ones(2), ones(2, float64)], [ones(2), ones(2, float64)], [zeros(2), zeros(2, float64)],
            [zeros(2), zeros(2, float64)], [step, step], 1e-3, 0.9, 0.95, 0, 1e-8));
        Assert.Equal(0f, step.item<float>());
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1000.0)]
    public void ClippingScalesToTheLargestNorm(double largest)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = [randn(4, 5), randn(7), randn(3).to(bfloat16)];
        Tensor[] before = [.. gradients.Select(g => g.clone())];
        var expected = Math.Sqrt(before.Sum(g => g.to(float64).pow(2).sum().item<double>()));

        var norm = Aten.ClipGradientNorm(gradients, largest);
        Assert.Equal(expected, norm.item<float>(), 1e-4);
        var factor = Math.Min(1, largest / expected);
        for (var i = 0; i < gradients.Length; i++)
            Close(before[i].to(float64) * factor, gradients[i], i == 2 ? 1e-2 : 1e-5);
        Assert.Equal(bfloat16, gradients[2].dtype);
        Assert.Throws<LandmarkException>(() => Aten.ClipGradientNorm([], 1));
    }

    [Fact]
    public unsafe void ATensorLiesOverMemoryAndTellsItsAddress()
    {
        var memory = (float*)NativeMemory.AlignedAlloc(24, 64);
        for (var i = 0; i < 6; i++)
            memory[i] = i;
        using (var t = Aten.FromBlob((nint)memory, [2, 3], ScalarType.Float32))
        using (var view = t[1])
        {
            Assert.Equal([2L, 3L], Aten.Sizes(t).ToArray());
            Assert.Equal((nint)memory, Aten.DataPointer(t));
            Assert.Equal((nint)(memory + 3), Aten.DataPointer(view));
            Assert.Equal(5f, view[2].item<float>());
            t.add_(1);
        }

        Assert.Equal(6f, memory[5]);
        NativeMemory.AlignedFree(memory);
        Assert.Throws<LandmarkException>(() => Aten.FromBlob(0, new long[65], ScalarType.Float32));
    }

    internal static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        using var scope = NewDisposeScope();
        var gap = (expected.to(float64) - actual.to(float64)).abs().max();
        Assert.InRange(gap.item<double>(), 0, tolerance);
    }
}
