using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>
/// Kernels of dense attention against the reference in float64 on the same rounded inputs: their error is at most twice (results) or three
/// times (gradients) that of libtorch's causal attention in the same type on the same inputs, and never over 0.005.
/// </summary>
internal static class DenseComparison
{
    public static readonly Device Card = new(DeviceType.CUDA, 0);

    /// <summary>A sequence of so many positions and heads.</summary>
    public static void Compare<TKernels>(int keys, int queries, int block, int first, int groups, int repeat, int head, int seed)
        where TKernels : IDenseKernels
    {
        using var layout = BlockLayout.Regular(keys, queries, block, first);
        Compare<TKernels>(layout, groups, repeat, head, seed);
    }

    /// <summary>Results and gradients, in both types.</summary>
    public static void Compare<TKernels>(BlockLayout layout, int groups, int repeat, int head, int seed)
        where TKernels : IDenseKernels
    {
        using var scope = NewDisposeScope();
        var (scale, keys, queries) = (1 / Math.Sqrt(head), (int)layout.Keys, (int)layout.Queries);
        var problem = new DenseProblem(layout.Regularity!.Value, scale) { Documents = layout.Documents?.to(Card) };
        foreach (var type in (ScalarType[])[ScalarType.BFloat16, ScalarType.Float16])
        {
            using var part = NewDisposeScope();
            var (q, k, v) = Inputs(keys, queries, groups, repeat, head, seed, type);
            using var random = new Generator((ulong)seed + 1, CPU);
            var gradient = randn(q.shape, generator: random).to(type);
            var expected = Results(q, k, v, gradient, ScalarType.Float64, CPU, (q, k, v) => LandmarkAttention.Attend(q, k, v, layout, scale));
            var causal = Results(q, k, v, gradient, ScalarType.Float64, CPU, Causal);
            var usual = Results(q, k, v, gradient, type, Card, Causal);
            var (qc, kc, vc) = (q.to(Card), k.to(Card), v.to(Card));
            var (output, logSum) = TKernels.Forward(qc, kc, vc, problem);
            var (dq, dk, dv) = TKernels.Backward(qc, kc, vc, output, logSum, gradient.to(Card), null, problem);
            foreach (var (name, i, found, times) in ((string, int, Tensor, double)[])[
                ("out", 0, output, 2), ("dq", 1, dq, 3), ("dk", 2, dk, 3), ("dv", 3, dv, 3)])
            {
                var error = Error(found.cpu(), expected[i]);
                // Where libtorch's is exact, as over a single key, rounding to the type is allowed.
                var rounding = type == ScalarType.BFloat16 ? 1.0 / 512 : 1.0 / 4096;
                var most = Math.Min(5e-3, Math.Max(times * Error(usual[i].cpu(), causal[i]), rounding));
                Assert.True(error <= most, $"{name} of {type}, {layout.Regularity} d {head}: {error} over {most}");
            }
        }
    }

    /// <summary>Packed documents of random lengths.</summary>
    public static void ComparePacked<TKernels>(int longestBlock, int widest)
        where TKernels : IDenseKernels =>
        Gen.Select(Gen.Int[1, 900], Gen.Double[0, 1], Gen.Int[8, longestBlock], Gen.Int[1, 2], Gen.Int[1, 3], Gen.Int[1, widest / 16], Gen.Int[0, 1 << 30], Gen.Bool)
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
                    Compare<TKernels>(layout, groups, repeat, 16 * head, seed);
                },
                iter: 20);

    /// <summary>The context-miss gate with dropped gates over packed documents, by the back end that serves, or one that is forced.</summary>
    public static void CompareGates(AttentionBackend? backend, int keys, int block, int head)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(keys, keys, 2, 2, head, 3, ScalarType.BFloat16);
        using var layout = BlockLayout.Packed(keys, keys, block, [[0, 2 * block], [0, block, 4 * block]]);
        using var onCard = BlockLayout.Packed(keys, keys, block, [[0, 2 * block], [0, block, 4 * block]], Card);
        var (miss, gradient) = (randn([2, 2, 1, head]).to(q.dtype), randn(q.shape).to(q.dtype));
        var controlled = rand([2, layout.Blocks]).gt(0.5);
        Tensor[] Attend(ScalarType type, Device device)
        {
            var inputs = new[] { q, k, v, miss }.Select(x => x.to(type).to(device).clone().requires_grad_()).ToArray();
            var output = AttentionBackends.With(device.type == DeviceType.CUDA ? backend : null, () => ContextMiss.Attend(
                inputs[0], inputs[1], inputs[2], inputs[3], controlled.to(device), device.type == DeviceType.CUDA ? onCard : layout,
                dropout: new SeededDropout(0.3, 11)).Output);
            // A sum over the batch: the gradient's rows lie in the same place.
            output.sum([0L]).backward([gradient.to(type).to(device)[0]]);
            return [output.detach().cpu(), .. inputs.Select(x => x.grad!.cpu())];
        }
        var (found, expected) = (Attend(ScalarType.BFloat16, Card), Attend(ScalarType.Float64, CPU));
        Assert.All(found.Zip(expected), x => Assert.InRange(Error(x.First, x.Second), 0, 1e-2));
    }

    /// <summary>Attention as models call it, forward and backward, twice: what one pass leaves behind must not hurt the next.</summary>
    public static void CompareAttention(AttentionBackend expectedBackend, AttentionBackend? forced, int head, int block)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(300, 300, 2, 2, head, 9, ScalarType.BFloat16);
        using var layout = BlockLayout.Regular(300, 300, block, 7);
        var gradient = randn(q.shape).to(q.dtype);
        Tensor[] Attend(AttentionBackend? backend, ScalarType type, Device device)
        {
            var inputs = new[] { q, k, v }.Select(x => x.to(type).to(device).clone().requires_grad_()).ToArray();
            return AttentionBackends.With(backend, () =>
            {
                if (device.type == DeviceType.CUDA)
                    Assert.Equal(expectedBackend, AttentionBackends.For(inputs[0], inputs[1], inputs[2], layout, 0.1));
                var output = LandmarkAttention.Attend(inputs[0], inputs[1], inputs[2], layout);
                output.backward([gradient.to(type).to(device)]);
                return (Tensor[])[output.detach().cpu(), .. inputs.Select(x => x.grad!.cpu())];
            });
        }
        var expected = Attend(AttentionBackend.Reference, ScalarType.Float64, CPU);
        for (var i = 0; i < 2; i++)
            Assert.All(Attend(forced, ScalarType.BFloat16, Card).Zip(expected), x => Assert.InRange(Error(x.First, x.Second), 0, 5e-3));
    }

    /// <summary>Both passes a few times over.</summary>
    public static void CompareBits<TKernels>(int positions, int head, int block)
        where TKernels : IDenseKernels
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Inputs(positions, positions, 2, 2, head, 1, ScalarType.BFloat16);
        var (qc, kc, vc) = (q.to(Card), k.to(Card), v.to(Card));
        var g = randn(q.shape, device: Card).to(ScalarType.BFloat16);
        var problem = new DenseProblem(new(positions, positions, block, block), 0.1);
        Tensor[] All()
        {
            var (o, s) = TKernels.Forward(qc, kc, vc, problem);
            var (dq, dk, dv) = TKernels.Backward(qc, kc, vc, o, s, g, null, problem);
            return [o, s, dq, dk, dv];
        }
        var first = All();
        for (var i = 0; i < 5; i++)
            Assert.All(first.Zip(All()), p => Assert.True(p.First.equal(p.Second).all().item<bool>()));
    }

    public static (Tensor Q, Tensor K, Tensor V) Inputs(int keys, int queries, int groups, int repeat, int head, int seed, ScalarType type)
    {
        using var random = new Generator((ulong)seed, CPU);
        Tensor Make(int heads, int positions) => randn([2, heads, positions, head], generator: random).to(type);
        return (Make(groups * repeat, queries), Make(groups, keys), Make(groups, keys));
    }

    /// <summary>Root mean square of the difference over that of what is expected.</summary>
    public static double Error(Tensor found, Tensor expected)
    {
        var wide = found.to(ScalarType.Float64);
        var size = expected.square().sum().item<double>();
        return Math.Sqrt((wide - expected).square().sum().item<double>() / (size > 0 ? size : 1));
    }

    private static Tensor[] Results(
        Tensor q, Tensor k, Tensor v, Tensor gradient, ScalarType type, Device device, Func<Tensor, Tensor, Tensor, Tensor> attention)
    {
        var inputs = new[] { q, k, v }.Select(x => x.to(type).to(device).clone().requires_grad_()).ToArray();
        var output = attention(inputs[0], inputs[1], inputs[2]);
        output.backward([gradient.to(type).to(device)]);
        return [output.detach(), .. inputs.Select(x => x.grad!)];
    }

    /// <summary>Libtorch's attention of the last queries of a sequence.</summary>
    private static Tensor Causal(Tensor q, Tensor k, Tensor v)
    {
        var (queries, keys, gqa) = (q.shape[2], k.shape[2], q.shape[1] != k.shape[1]);
        if (queries == keys) return Aten.ScaledDotProductAttention(q, k, v, causal: true, enableGqa: gqa);
        var mask = arange(keys, device: q.device).le(arange(keys - queries, keys, device: q.device).unsqueeze(1));
        return Aten.ScaledDotProductAttention(q, k, v, mask, enableGqa: gqa);
    }
}
