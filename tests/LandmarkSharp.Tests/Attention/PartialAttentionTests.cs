using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Gates that do not all count: dropped at random, chosen, or the context-miss token's.</summary>
public sealed class PartialAttentionTests
{
    private static readonly Gen<(int Keys, int Block, int First, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 40], Gen.Int[2, 7], Gen.Int[1, 7], Gen.Int[0, 1 << 30]).Select(x => (x.Item1, x.Item2, Math.Min(x.Item3, x.Item2), x.Item4));

    public PartialAttentionTests() => LibTorch.Load();

    [Fact]
    public void WithEveryGateItIsAttention() => Cases.Sample(x =>
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(x.Keys, x.Keys, x.Block, x.First);
        var (q, k, v) = Inputs(x.Keys, x.Seed);
        var output = PartialAttention.Attend(q, k, v, layout, 0.5, ones([2, layout.Blocks + 1], ScalarType.Bool), null);
        Close(LandmarkAttention.Attend(q, k, v, layout, 0.5), output, 1e-12);
    });

    [Fact]
    public void PartsMakeTheWhole() => Cases.Sample(x =>
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(x.Keys, x.Keys, x.Block, x.First);
        var (q, k, v) = Inputs(x.Keys, x.Seed);
        manual_seed(x.Seed);
        var choices = rand([2, layout.Blocks + 1]).gt(0.5);
        var (some, someSum) = PartialAttention.AttendWithSum(q, k, v, layout, 0.5, choices, null);
        var (rest, restSum) = PartialAttention.AttendWithSum(q, k, v, layout, 0.5, choices.logical_not(), null);
        var all = logaddexp(someSum, restSum);
        var seen = all.isneginf().logical_not().unsqueeze(-1);
        var whole = (some * (someSum - all).exp().unsqueeze(-1)) + (rest * (restSum - all).exp().unsqueeze(-1));
        Close(LandmarkAttention.Attend(q, k, v, layout, 0.5), where(seen, whole, zeros_like(whole)), 1e-12);
    });

    [Fact]
    public void DroppedGatesAreGoneAndTheOthersWorthMore() => Cases.Sample(x =>
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(x.Keys, x.Keys, x.Block, x.First);
        var (q, k, v) = Inputs(x.Keys, x.Seed);
        var dropout = new SeededDropout(0.4, x.Seed);
        var weights = LandmarkAttention.Weights(q, k, layout, 0.5);                                     // [B, H, T, N, W]
        var mask = where(layout.IsOwn, 1, GateDropout.Mask(dropout, [2, 4, x.Keys, layout.Blocks], CPU)).to(ScalarType.Float64);
        var expected = LandmarkAttention.Values((weights * mask.unsqueeze(-1)).flatten(3, 4), layout.Arrange(v));
        Close(expected, LandmarkAttention.Attend(q, k, v, layout, 0.5, dropout), 1e-12);
    });

    [Fact]
    public void GatesAreDroppedAsOftenAsAsked()
    {
        var mask = GateDropout.Mask(new(0.3, 7), [2, 4, 500, 40], CPU);
        Assert.Equal(0.3, mask.eq(0).to(ScalarType.Float64).mean().item<double>(), 0.005);
        Assert.Equal(1, mask.mean().item<float>(), 0.01);
        // Neither rows nor blocks nor seeds are alike.
        Assert.InRange(mask.eq(0).to(ScalarType.Float64).mean([3]).var().item<double>() * 40 / 0.21, 0.9, 1.1);
        Assert.InRange(mask.eq(0).to(ScalarType.Float64).mean([2]).var().item<double>() * 500 / 0.21, 0.7, 1.3);
        Assert.InRange(mask.eq(GateDropout.Mask(new(0.3, 8), [2, 4, 500, 40], CPU)).to(ScalarType.Float64).mean().item<double>(), 0.57, 0.59);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-0.1)]
    [InlineData(double.NaN)]
    public void AProbabilityIsOne(double probability)
    {
        using var layout = BlockLayout.Regular(4, 4, 2, 2);
        var x = zeros(1, 1, 4, 8);
        var e = Assert.Throws<LandmarkException>(() => LandmarkAttention.Attend(x, x, x, layout, dropout: new(probability, 1)));
        Assert.Contains("give 0 or more and less than 1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatDoesNotFitIsSaid()
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(8, 8, 4, 4);
        var (x, miss, marks) = (zeros(1, 1, 8, 16), zeros(1, 1, 1, 16), zeros([1, 2], ScalarType.Bool));
        void Fails(string words, Tensor miss, Tensor marks, double cutoff = 0) => Assert.Contains(
            words, Assert.Throws<LandmarkException>(() => ContextMiss.Attend(x, x, x, miss, marks, layout, cutoff: cutoff)).Message, StringComparison.Ordinal);
        Fails("expected [1, 1, 1, 16] and Bool [1, 2]", zeros(1, 1, 2, 16), marks);
        Fails("expected [1, 1, 1, 16] and Bool [1, 2]", miss, zeros([1, 3], ScalarType.Bool));
        Fails("the key Float32; found Float64", miss.@double(), marks);
        Fails("so is its cut-off; -1", miss, marks, -1);
        Assert.Contains("Cpu", Assert.Throws<LandmarkException>(
            () => AttentionBackends.With(AttentionBackend.CpuScalar, () => LandmarkAttention.Attend(x, x, x, layout, dropout: new(0.5, 1)))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ContextMissIsItsFormula() => Cases.Sample(x =>
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(x.Keys, x.Keys, x.Block, x.First);
        var (q, k, v) = Inputs(x.Keys, x.Seed);
        var miss = randn([2, 2, 1, 4], ScalarType.Float64);
        var controlled = rand([2, layout.Blocks]).gt(0.5);
        var (output, mass) = ContextMiss.Attend(q, k, v, miss, controlled, layout, 0.5, cutoff: 0.2);
        var (n, w) = (layout.Blocks, layout.Columns);
        for (var b = 0; b < 2; b++)
        {
            for (var h = 0; h < 4; h++)
            {
                for (var t = 0; t < x.Keys; t++)
                {
                    var score = (layout.Arrange(k)[b, h / 2].matmul(q[b, h, t]) * 0.5).view(n, w);
                    var own = (int)layout.OwnBlock[0, 0, t, 0, 0].item<long>();
                    double free = Math.Exp((miss[b, h / 2, 0] * q[b, h, t]).sum().item<double>() * 0.5), bound = 0, all = free;
                    var (ofFree, ofBound) = (zeros(4, ScalarType.Float64), zeros(4, ScalarType.Float64));
                    for (var j = 0; j <= own; j++)
                    {
                        if (!layout.GateVisible[0, 0, t, j].item<bool>()) continue;
                        var e = score[j].exp() * layout.Visible[0, 0, t, j];
                        var read = (e.unsqueeze(1) * layout.Arrange(v)[b, h / 2].view(n, w, 4)[j]).sum([0L]) / e.sum();
                        var gate = j == own ? e.sum().item<double>() : Math.Exp(score[j, w - 1].item<double>());
                        if (j < own && controlled[b, j].item<bool>()) (ofBound, bound) = (ofBound + (gate * read), bound + gate);
                        else (ofFree, all) = (ofFree + (gate * read), all + gate);
                    }
                    Assert.Equal(free / all, mass[b, h, t].item<double>(), 1e-9);
                    var expected = (ofFree / all) + (bound > 0 && free / all >= 0.2 ? ofBound / bound * (free / all) : zeros(4, ScalarType.Float64));
                    Close(expected, output[b, h, t], 1e-9);
                }
            }
        }
    }, iter: 20);

    [Fact]
    public void GradientsFlowThroughAllOfIt()
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(13, 13, 4, 2);
        var (q, k, v) = Inputs(13, 3);
        var (miss, controlled) = (randn([2, 2, 1, 4], ScalarType.Float64), rand([2, layout.Blocks]).gt(0.5));
        var direction = randn([2, 4, 13, 4], ScalarType.Float64);
        double Loss(Tensor[] x) => (ContextMiss.Attend(x[0], x[1], x[2], x[3], controlled, layout, dropout: new(0.3, 5)).Output * direction).sum().item<double>();
        Tensor[] inputs = [q, k, v, miss];
        var wanted = inputs.Select(x => x.clone().requires_grad_()).ToArray();
        (ContextMiss.Attend(wanted[0], wanted[1], wanted[2], wanted[3], controlled, layout, dropout: new(0.3, 5)).Output * direction).sum().backward();
        for (var i = 0; i < 4; i++)
        {
            var step = randn_like(inputs[i]);
            Tensor[] Moved(double by) => [.. inputs.Select((x, j) => j == i ? x + (step * by) : x)];
            var slope = (Loss(Moved(1e-5)) - Loss(Moved(-1e-5))) / 2e-5;
            Assert.Equal(slope, (wanted[i].grad! * step).sum().item<double>(), 1e-6 * Math.Max(1, Math.Abs(slope)));
        }
    }

    private static (Tensor Q, Tensor K, Tensor V) Inputs(int keys, int seed)
    {
        using var generator = new Generator((ulong)seed, CPU);
        Tensor Make(int heads) => randn([2, heads, keys, 4], ScalarType.Float64, generator: generator);
        return (Make(4), Make(2), Make(2));
    }
}
