using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The fused kernels on the CPU against the reference in float64, at shapes of every kind.</summary>
public sealed class CpuDenseTests
{
    private const string Seed = "0N0XIzNsQ0O2";

    private static readonly Gen<Shape> Shapes =
        from batch in Gen.Int[1, 2]
        from groups in Gen.Int[1, 2]
        from share in Gen.Int[1, 3]
        from queries in Gen.OneOf(Gen.Int[1, 40], Gen.Int[60, 140])
        from history in Gen.OneOf(Gen.Const(0), Gen.Int[1, 90])
        from width in Gen.Int[0, 99].Select(i => Pick(i, 8, 16, 24, 40, 64, 80, 128))
        from block in Gen.OneOf(Gen.Int[2, 20], Gen.Int[0, 99].Select(i => Pick(i, 51, 64, 100, 300)))
        from first in Gen.OneOf(Gen.Const(1), Gen.Const(block), Gen.Int[1, block])
        from seed in Gen.Int[0, 1 << 30]
        select new Shape(batch, groups * share, groups, queries, queries + history, width, block, first, seed);

    public CpuDenseTests() => LibTorch.Load();

    [Fact]
    public void OutputAndGradientsAreTheReferences() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        var exact = shape.Run(AttentionBackend.Reference, ScalarType.Float64);
        var fused = shape.Run(CpuDense.Widest, ScalarType.Float32);
        foreach (var (expected, actual) in exact.Zip(fused)) Close(expected, actual, 2e-5 * (1 + expected.abs().max().item<double>()));
    }, seed: Seed, iter: 150);

    /// <summary>Spans of queries and keys, several of each.</summary>
    [Theory]
    [InlineData(1300, 1300, 51, 7, 2, 1)]
    [InlineData(300, 1700, 64, 64, 4, 2)]
    [InlineData(1100, 1100, 900, 400, 2, 2)]
    public void LongSequencesAreTheReferences(int queries, int keys, int block, int first, int heads, int groups)
    {
        using var scope = NewDisposeScope();
        var shape = new Shape(1, heads, groups, queries, keys, 32, block, first, 5);
        var exact = shape.Run(AttentionBackend.Reference, ScalarType.Float64);
        var fused = shape.Run(CpuDense.Widest, ScalarType.Float32);
        foreach (var (expected, actual) in exact.Zip(fused)) Close(expected, actual, 2e-5 * (1 + expected.abs().max().item<double>()));
    }

    [Fact]
    public void SixteenBitsAreNoWorseThanTheReferences() => Shapes.Where(s => s.Keys >= 8).Sample(shape =>
    {
        using var scope = NewDisposeScope();
        var exact = shape.Run(AttentionBackend.Reference, ScalarType.Float64, ScalarType.BFloat16);
        var reference = shape.Run(AttentionBackend.Reference, ScalarType.BFloat16);
        var fused = shape.Run(CpuDense.Widest, ScalarType.BFloat16);
        for (var i = 0; i < exact.Length; i++)
        {
            Assert.Equal(ScalarType.BFloat16, fused[i].dtype);
            var rounding = exact[i].abs().max().item<double>() / 256;
            Assert.InRange(MaxError(exact[i], fused[i]), 0, ((i == 0 ? 2 : 3) * MaxError(exact[i], reference[i])) + rounding);
        }
    }, seed: Seed, iter: 60);

    [Fact]
    public void AllWidthsGiveTheSameBits() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        var widest = shape.Run(CpuDense.Widest, ScalarType.Float32);
        for (var backend = AttentionBackend.CpuScalar; backend < CpuDense.Widest; backend++)
        {
            foreach (var (expected, actual) in widest.Zip(shape.Run(backend, ScalarType.Float32))) Close(expected, actual, 0);
        }
    }, seed: Seed, iter: 60);

    [Fact]
    public void WhatABackEndCannotComputeIsSaid()
    {
        using var scope = NewDisposeScope();
        using var regular = BlockLayout.Regular(10, 10, 4, 4);
        using var packed = BlockLayout.Packed(10, 10, 4, [[0, 4]]);
        using var irregular = BlockLayout.Irregular(zeros(1, 10, dtype: ScalarType.Bool), 10);
        Tensor Attend(AttentionBackend? backend, Tensor x, Tensor v, BlockLayout layout) =>
            AttentionBackends.With(backend, () => LandmarkAttention.Attend(x, x, v, layout));
        var (x, wide) = (randn(1, 2, 10, 8), randn(1, 2, 10, 8, dtype: ScalarType.Float64));
        (Tensor Queries, Tensor Values, BlockLayout Layout, string Words)[] cases =
        [
            (wide, wide, regular, "got Float64, Float64 and Float64 tensors of widths 8 and 8 on cpu over blocks of 4 positions at regular places"),
            (x, randn(1, 2, 10, 6), regular, "of widths 8 and 6"),
            (x, x, irregular, "at irregular places"),
            (x, x, packed, "at regular places, packed documents"),
        ];
        foreach (var (queries, values, layout, words) in cases)
        {
            var e = Assert.Throws<LandmarkException>(() => Attend(AttentionBackend.CpuScalar, queries, values, layout));
            Assert.StartsWith("CpuScalar computes attention of float32 or bfloat16 tensors", e.Message, StringComparison.Ordinal);
            Assert.Contains(words, e.Message, StringComparison.Ordinal);
            Close(Attend(AttentionBackend.Reference, queries, values, layout), Attend(null, queries, values, layout), 0);
        }
    }

    /// <summary>Large scores, of which one outweighs all: exponentials must neither overflow nor lose the sum.</summary>
    [Fact]
    public void LargeScoresAreTheReferences() => Shapes.Sample(shape =>
    {
        using var scope = NewDisposeScope();
        var exact = shape.Run(AttentionBackend.Reference, ScalarType.Float64, scale: 10);
        var fused = shape.Run(CpuDense.Widest, ScalarType.Float32, scale: 10);
        foreach (var (expected, actual) in exact.Zip(fused)) Close(expected, actual, 1e-3 * (1 + expected.abs().max().item<double>()));
    }, seed: Seed, iter: 60);

    [Fact]
    public void HeadsMayLieInAnyOrder()
    {
        using var scope = NewDisposeScope();
        var shape = new Shape(2, 4, 2, 90, 130, 40, 16, 3, 7);
        foreach (var (expected, actual) in shape.Run(CpuDense.Widest, ScalarType.Float32)
            .Zip(shape.Run(CpuDense.Widest, ScalarType.Float32, turned: true)))
            Close(expected, actual, 1e-6);
    }

    [Fact]
    public void NotANumberIsNotHidden()
    {
        using var scope = NewDisposeScope();
        using var layout = BlockLayout.Regular(70, 70, 8, 8);
        var (q, k, v) = (randn(1, 1, 70, 16), randn(1, 1, 70, 16), randn(1, 1, 70, 16));
        k[0, 0, 20, 3] = float.NaN;
        var rows = Widest(q, k, v, layout).isnan().any(-1).flatten().data<bool>().ToArray();
        Assert.Equal(Enumerable.Range(0, 70).Select(t => t >= 20), rows);
    }

    [Fact]
    public void MasksAreMadeOnlyForTheReference()
    {
        using var scope = NewDisposeScope();
        // Masks of 200,000 positions would take terabytes.
        using var layout = BlockLayout.Regular(200_000, 1, 64, 64);
        var k = zeros(1, 1, 200_000, 8);
        Close(zeros(1, 1, 1, 8), Widest(zeros(1, 1, 1, 8), k, k, layout), 0);
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        var shape = new Shape(1, 2, 1, 70, 70, 16, 16, 16, 8);
        void Step()
        {
            using var scope = NewDisposeScope();
            shape.Run(CpuDense.Widest, ScalarType.Float32);
        }
        Step();
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (var i = 0; i < 5; i++) Step();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private static Tensor Widest(Tensor q, Tensor k, Tensor v, BlockLayout layout) =>
        AttentionBackends.With(CpuDense.Widest, () => LandmarkAttention.Attend(q, k, v, layout));

    private static int Pick(int i, params int[] values) => values[i % values.Length];

    /// <summary>A case of attention: the same seed gives the same numbers.</summary>
    internal sealed record Shape(int Batch, int Heads, int Groups, int Queries, int Keys, int Width, int Block, int First, int Seed)
    {
        /// <summary>Output, and the gradients of q, k and v.</summary>
        /// <param name="backend">What computes it.</param>
        /// <param name="type">In which type.</param>
        /// <param name="rounded">Inputs are rounded to this type first.</param>
        /// <param name="scale">What queries are multiplied by.</param>
        /// <param name="turned">Inputs lie as [B, T, H, d].</param>
        public Tensor[] Run(
            AttentionBackend backend, ScalarType type, ScalarType? rounded = null, double scale = 1, bool turned = false)
        {
            using var scope = NewDisposeScope();
            using var random = new Generator((ulong)Seed, CPU);
            Tensor Make(int heads, int count, double factor)
            {
                var x = (randn([Batch, heads, count, Width], generator: random) * factor).to(rounded ?? type).to(type);
                return turned ? x.transpose(1, 2).contiguous().transpose(1, 2) : x;
            }
            var (q, k, v, pull) =
                (Make(Heads, Queries, scale), Make(Groups, Keys, 1), Make(Groups, Keys, 1), Make(Heads, Queries, 1));
            using var layout = BlockLayout.Regular(Keys, Queries, Block, First);
            Tensor[] leaves = [q.requires_grad_(), k.requires_grad_(), v.requires_grad_()];
            var output = AttentionBackends.With(backend, () => LandmarkAttention.Attend(q, k, v, layout));
            output.backward([pull]);
            return [output.detach().MoveToOuterDisposeScope(), .. leaves.Select(x => x.grad!.clone().MoveToOuterDisposeScope())];
        }
    }
}
