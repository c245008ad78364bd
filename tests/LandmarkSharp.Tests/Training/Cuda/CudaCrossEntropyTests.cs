using CsCheck;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training.Cuda;

/// <summary>The kernel of cross-entropy and its gradient against libtorch's operators in float64 on the same rounded logits.</summary>
public sealed class CudaCrossEntropyTests
{
    private static readonly Device Card = new(DeviceType.CUDA, 0);

    public CudaCrossEntropyTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheOperators()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 9000], Gen.Double[0, 80], Gen.Bool, Gen.Int[0, 1 << 30]).Sample(
            (rows, columns, spread, blank, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var logits = randn([rows, columns], generator: random) * spread;
                var targets = randint(columns, [rows], ScalarType.Int64, generator: random);
                if (blank)
                {
                    targets[0] = Batch.Ignored;
                    // What no logit is: the landmark's own, where it is no target.
                    if (columns > 1) logits.select(1, columns - 1).masked_fill_(targets.ne(columns - 1), float.NegativeInfinity);
                }
                foreach (var (type, most) in ((ScalarType, double)[])[(ScalarType.Float32, 2e-6), (ScalarType.BFloat16, 4e-3), (ScalarType.Float16, 5e-4)])
                {
                    var rounded = logits.to(type);
                    var exact = rounded.@double().requires_grad_();
                    var expected = nn.functional.cross_entropy(exact, targets, ignore_index: Batch.Ignored, reduction: nn.Reduction.None);
                    expected.sum().backward();
                    var onCard = rounded.to(Card);
                    Assert.True(CudaCrossEntropy.Serves(onCard));
                    var cross = CudaCrossEntropy.Differentiate(onCard, targets.to(Card));
                    Assert.InRange((cross.cpu().@double() - expected).abs().max().item<double>(), 0, 2e-6 * Math.Max(1, expected.abs().max().item<double>()));
                    var counts = targets.ge(0).unsqueeze(1);
                    Assert.InRange(((onCard.cpu().@double() - exact.grad!) * counts).abs().max().item<double>(), 0, most);
                }
            },
            iter: 60, threads: 1);
    }

    [Fact]
    public void WhatIsNoNumberStaysNone()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var logits = zeros(3, 1000, ScalarType.BFloat16, Card);
        logits[0, 77] = float.NaN;
        logits[1, 5] = float.PositiveInfinity;
        var cross = CudaCrossEntropy.Differentiate(logits, zeros(3, ScalarType.Int64, Card)).cpu();
        Assert.Equal([true, true, false], cross.isfinite().logical_not().data<bool>().ToArray());
        Assert.Equal(Math.Log(1000), cross[2].item<float>(), 1e-5);
    }

    [Fact]
    public void OtherLogitsAreNotServed() => Assert.False(CudaCrossEntropy.Serves(zeros(2, 3)));
}
