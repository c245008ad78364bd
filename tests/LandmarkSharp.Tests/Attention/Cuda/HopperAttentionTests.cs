using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>
/// The Hopper kernels against the reference in float64 on the same rounded inputs: their error is no more than a few times that
/// of the reference in their own type. On a CPU tests/KernelEmulation checks the same kernels.
/// </summary>
public sealed class HopperAttentionTests
{
    private static readonly Device Cuda = new(DeviceType.CUDA, 0);

    public HopperAttentionTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        SkipWithoutHopper();
        Gen.Select(Gen.Int[1, 700], Gen.Double[0, 1], Gen.Int[2, 128], Gen.Double[0, 1], Gen.Int[1, 2], Gen.Int[1, 3], Gen.Int[1, 8], Gen.Int[0, 1 << 30])
            .Sample(
                (keys, part, block, firstPart, groups, repeat, head, seed) => Compare(
                    keys, 1 + (int)(part * (keys - 1)), block, 1 + (int)(firstPart * (block - 1)), groups, repeat, 16 * head, seed),
                iter: 40);
    }

    [Theory]
    [InlineData(1, 1, 2, 1, 64)]            // a landmark alone sees nothing
    [InlineData(130, 130, 64, 1, 128)]      // starts on a landmark
    [InlineData(128, 128, 64, 64, 128)]     // ends on one
    [InlineData(129, 1, 64, 64, 128)]
    [InlineData(1000, 1000, 51, 51, 128)]
    [InlineData(513, 400, 128, 100, 128)]
    [InlineData(50, 50, 2, 2, 16)]
    public void CornersEqualTheReference(int keys, int queries, int block, int first, int head) =>
        Compare(keys, queries, block, first, groups: 2, repeat: 2, head, seed: keys);

    [Theory]
    [InlineData(256, 64, 700)]
    [InlineData(128, 200, 700)]
    [InlineData(64, 256, 700)]
    public void ForwardTakesMoreThanBackward(int head, int block, int keys)
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(keys, keys, 1, 2, head, 5, ScalarType.BFloat16);
        using var layout = BlockLayout.Regular(keys, keys, block, block);
        var (output, _) = HopperAttention.Forward(q.to(Cuda), k.to(Cuda), v.to(Cuda), new(new(keys, keys, block, block), 0.1));
        var expected = LandmarkAttention.Attend(q.@double(), k.@double(), v.@double(), layout, 0.1);
        Assert.InRange(Error(output.cpu(), expected), 0, 5e-3);
    }

    [Fact]
    public void EqualInputsGiveEqualBits()
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(2000, 2000, 2, 2, 128, 1, ScalarType.BFloat16);
        var (qc, kc, vc) = (q.to(Cuda), k.to(Cuda), v.to(Cuda));
        var g = randn(q.shape, device: Cuda).to(ScalarType.BFloat16);
        var problem = new HopperProblem(new(2000, 2000, 64, 64), 0.1);
        Tensor[] All()
        {
            var (o, s) = HopperAttention.Forward(qc, kc, vc, problem);
            var (dq, dk, dv) = HopperAttention.Backward(qc, kc, vc, o, s, g, null, problem);
            return [o, s, dq, dk, dv];
        }
        var first = All();
        for (var i = 0; i < 5; i++)
            Assert.All(first.Zip(All()), p => Assert.True(p.First.equal(p.Second).all().item<bool>()));
    }

    [Theory]
    [InlineData(64, 32)]
    [InlineData(96, 51)]
    public void AttentionOnTheCardUsesThem(int head, int block)
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(300, 300, 2, 2, head, 9, ScalarType.BFloat16);
        using var layout = BlockLayout.Regular(300, 300, block, 7);
        var gradient = randn(q.shape).to(q.dtype);
        Tensor[] Attend(AttentionBackend? backend, ScalarType type, Device device)
        {
            var inputs = new[] { q, k, v }.Select(x => x.to(type).to(device).clone().requires_grad_()).ToArray();
            var output = AttentionBackends.With(backend, () => LandmarkAttention.Attend(inputs[0], inputs[1], inputs[2], layout));
            output.backward([gradient.to(type).to(device)]);
            return [output.detach().cpu(), .. inputs.Select(x => x.grad!.cpu())];
        }
        Assert.Equal(AttentionBackend.Hopper, AttentionBackends.For(q.to(Cuda), k.to(Cuda), v.to(Cuda), layout, 0.1));
        var expected = Attend(AttentionBackend.Reference, ScalarType.Float64, CPU);
        // Twice: what one pass leaves behind must not hurt the next.
        for (var i = 0; i < 2; i++)
            Assert.All(Attend(null, ScalarType.BFloat16, Cuda).Zip(expected), x => Assert.InRange(Error(x.First, x.Second), 0, 5e-3));
    }

    [Theory]
    [InlineData(500, 32, 64)]
    [InlineData(700, 100, 128)]
    public void GatesCountInPartAsInTheReference(int keys, int block, int head)
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(keys, keys, 2, 2, head, 3, ScalarType.BFloat16);
        using var layout = BlockLayout.Packed(keys, keys, block, [[0, 2 * block], [0, block, 4 * block]]);
        using var onCard = BlockLayout.Packed(keys, keys, block, [[0, 2 * block], [0, block, 4 * block]], Cuda);
        var (miss, gradient) = (randn([2, 2, 1, head]).to(q.dtype), randn(q.shape).to(q.dtype));
        var controlled = rand([2, layout.Blocks]).gt(0.5);
        Tensor[] Attend(ScalarType type, Device device)
        {
            var inputs = new[] { q, k, v, miss }.Select(x => x.to(type).to(device).clone().requires_grad_()).ToArray();
            var (output, _) = ContextMiss.Attend(
                inputs[0], inputs[1], inputs[2], inputs[3], controlled.to(device), device.type == DeviceType.CUDA ? onCard : layout,
                dropout: new GateDropout(0.3, 11));
            // A sum over the batch: the gradient's rows lie in the same place.
            output.sum([0L]).backward([gradient.to(type).to(device)[0]]);
            return [output.detach().cpu(), .. inputs.Select(x => x.grad!.cpu())];
        }
        var (found, expected) = (Attend(ScalarType.BFloat16, Cuda), Attend(ScalarType.Float64, CPU));
        Assert.All(found.Zip(expected), x => Assert.InRange(Error(x.First, x.Second), 0, 1e-2));
    }

    [Fact]
    public void WhatTheyDoNotTakeGoesElsewhere()
    {
        SkipWithoutHopper();
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(200, 200, 64, 64, Cuda);
        var x = randn([1, 2, 200, 64], device: Cuda);
        AttentionBackend For(Tensor x, double scale = 1) => AttentionBackends.For(x, x, x, layout, scale);
        Assert.Equal(AttentionBackend.Reference, For(x));
        using var longer = BlockLayout.Regular(20000, 20000, 64, 64);
        var y = randn([1, 2, 20000, 8], device: Cuda);
        Assert.Equal(AttentionBackend.CudaPlain, AttentionBackends.For(y, y, y, longer, 1));
        Assert.Equal(AttentionBackend.Reference, For(x.clone().requires_grad_()));
        Assert.Equal(AttentionBackend.Reference, For(x.half(), scale: -1));
        Assert.Equal(AttentionBackend.Hopper, For(x.half().requires_grad_()));
        var wide = randn([1, 2, 200, 256], ScalarType.BFloat16, Cuda);
        Assert.Equal(AttentionBackend.Hopper, For(wide));
        Assert.Equal(AttentionBackend.Reference, For(wide.requires_grad_()));
    }

    [Fact]
    public void PackedDocumentsSeeThemselvesAlone()
    {
        SkipWithoutHopper();
        Gen.Select(Gen.Int[1, 900], Gen.Double[0, 1], Gen.Int[8, 128], Gen.Int[1, 2], Gen.Int[1, 3], Gen.Int[1, 8], Gen.Int[0, 1 << 30], Gen.Bool)
            .Sample(
                (keys, part, block, groups, repeat, head, seed, oneRow) =>
                {
                    var random = new Random(seed);
                    var blocks = (keys + block - 1) / block;
                    int[][] documents =
                    [
                        .. Enumerable.Range(0, oneRow ? 1 : 2).Select(_ => Enumerable.Range(0, random.Next(0, 6))
                            .Select(_ => random.Next(blocks) * block).Append(0).Distinct().Order().ToArray()),
                    ];
                    using var layout = BlockLayout.Packed(keys, 1 + (int)(part * (keys - 1)), block, documents);
                    Compare(layout, groups, repeat, 16 * head, seed);
                },
                iter: 20);
    }

    private static void Compare(int keys, int queries, int block, int first, int groups, int repeat, int head, int seed)
    {
        SkipWithoutHopper();
        using var layout = BlockLayout.Regular(keys, queries, block, first);
        Compare(layout, groups, repeat, head, seed);
    }

    private static void Compare(BlockLayout layout, int groups, int repeat, int head, int seed)
    {
        using var scope = NewDisposeScope();
        var (scale, keys, queries) = (1 / Math.Sqrt(head), (int)layout.Keys, (int)layout.Queries);
        var problem = new HopperProblem(layout.Regularity!.Value, scale) { Documents = layout.Documents?.to(Cuda) };
        foreach (var type in (ScalarType[])[ScalarType.BFloat16, ScalarType.Float16])
        {
            using var part = NewDisposeScope();
            var (q, k, v) = Inputs(keys, queries, groups, repeat, head, seed, type);
            using var random = new Generator((ulong)seed + 1, CPU);
            var gradient = randn(q.shape, generator: random).to(type);
            var expected = Reference(q, k, v, gradient, layout, scale, ScalarType.Float64);
            var usual = Reference(q, k, v, gradient, layout, scale, type);
            var (qc, kc, vc) = (q.to(Cuda), k.to(Cuda), v.to(Cuda));
            var (output, logSum) = HopperAttention.Forward(qc, kc, vc, problem);
            var (dq, dk, dv) = HopperAttention.Backward(
                qc, kc, vc, output, logSum, gradient.to(Cuda), null, problem);
            foreach (var (name, i, found, times) in ((string, int, Tensor, double)[])[
                ("out", 0, output, 2), ("dq", 1, dq, 3), ("dk", 2, dk, 3), ("dv", 3, dv, 3)])
            {
                var error = Error(found.cpu(), expected[i]);
                var most = Math.Max(times * Error(usual[i], expected[i]), type == ScalarType.BFloat16 ? 5e-3 : 1e-3);
                Assert.True(error <= most, $"{name} of {type}, {layout.Regularity} d {head}: {error} over {most}");
            }
        }
    }

    private static Tensor[] Reference(Tensor q, Tensor k, Tensor v, Tensor gradient, BlockLayout layout, double scale, ScalarType type)
    {
        var inputs = new[] { q, k, v }.Select(x => x.to(type).clone().requires_grad_()).ToArray();
        var output = LandmarkAttention.Attend(inputs[0], inputs[1], inputs[2], layout, scale);
        output.backward([gradient.to(type)]);
        return [output.detach(), .. inputs.Select(x => x.grad!)];
    }

    private static (Tensor Q, Tensor K, Tensor V) Inputs(int keys, int queries, int groups, int repeat, int head, int seed, ScalarType type)
    {
        using var random = new Generator((ulong)seed, CPU);
        Tensor Make(int heads, int positions) => randn([2, heads, positions, head], generator: random).to(type);
        return (Make(groups * repeat, queries), Make(groups, keys), Make(groups, keys));
    }

    /// <summary>Root mean square of the difference over that of what is expected.</summary>
    private static double Error(Tensor found, Tensor expected)
    {
        var wide = found.to(ScalarType.Float64);
        var size = expected.square().sum().item<double>();
        return Math.Sqrt((wide - expected).square().sum().item<double>() / (size > 0 ? size : 1));
    }

    private static void SkipWithoutHopper() => Assert.SkipUnless(
        LibTorch.CudaAvailable && HopperAttention.Serves(zeros([1, 1, 1, 64], ScalarType.BFloat16, Cuda), 64, backward: true),
        "No Hopper GPU with our kernels.");
}
