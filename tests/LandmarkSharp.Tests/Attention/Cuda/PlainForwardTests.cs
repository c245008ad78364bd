using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tensors.Cuda;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.RowByRow;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>The plain kernel against the reference in float64, on inputs that both see rounded alike.</summary>
public sealed class PlainForwardTests
{
    public PlainForwardTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[1, 300], Gen.Double[0, 1], Gen.Int[2, 256], Gen.Double[0, 1], Gen.Int[1, 3], Gen.Int[1, 4], Gen.Int[1, 256], Gen.Int[0, 1 << 30])
            .Sample(
                (keys, part, block, firstPart, groups, repeat, head, seed) => Compare(
                    keys, 1 + (int)(part * (keys - 1)), block, 1 + (int)(firstPart * (block - 1)), groups, repeat, head, seed),
                iter: 60, threads: 1);
    }

    [Theory]
    [InlineData(1, 1, 2, 1)]      // a landmark alone sees nothing
    [InlineData(130, 130, 64, 1)] // starts on a landmark
    [InlineData(128, 128, 64, 64)] // ends on one
    [InlineData(129, 1, 64, 64)]
    [InlineData(513, 400, 256, 100)]
    [InlineData(50, 50, 2, 2)]
    public void CornersEqualTheReference(int keys, int queries, int block, int first) =>
        Compare(keys, queries, block, first, groups: 2, repeat: 2, head: 64, seed: keys);

    [Fact]
    public void ViewsAreReadWhereTheyLie()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var device = new Device(DeviceType.CUDA, 0);
        var q = randn([2, 40, 4, 32], device: device).transpose(1, 2);
        var k = randn([2, 40, 2, 64], device: device).transpose(1, 2)[.., .., .., 32..];
        var v = randn([2, 2, 32, 40], device: device).transpose(2, 3);
        var (expected, _) = PlainForward.Run(q.contiguous(), k.contiguous(), v.contiguous(), 8, 5, 0.2);
        Close(expected.cpu(), PlainForward.Run(q, k, v, 8, 5, 0.2).Output.cpu(), 0);
    }

    [Fact]
    public void WhatDoesNotFitIsNamed()
    {
        using var scope = NewDisposeScope();
        var (q, k) = (zeros(1, 4, 3, 8), zeros(1, 2, 5, 8));
        void Fails(string words, Tensor q, Tensor k, Tensor v, int block = 4, int first = 4) => Assert.Contains(
            words, Assert.Throws<LandmarkException>(() => PlainForward.Run(q, k, v, block, first, 1)).Message, StringComparison.Ordinal);
        Fails("with G dividing H", q[.., ..3], k, k);
        Fails("T at most S", q, k[.., .., ..2], k[.., .., ..2]);
        Fails("values [1, 2, 4, 8]", q, k, k[.., .., ..4]);
        Fails("Heads of 257 elements", zeros(1, 1, 1, 257), zeros(1, 1, 1, 257), zeros(1, 1, 1, 257));
        Fails("found Float32, Float32 and Float16", q, k, k.half());
        Fails("found Float64", q.@double(), k.@double(), k.@double());
        Fails("on one CUDA device, and found cpu, cpu and cpu", q, k, k);
    }

    private static void Compare(int keys, int queries, int block, int first, int groups, int repeat, int head, int seed)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        using var random = new Generator((ulong)seed, CPU);
        Tensor Make(int heads, int positions) => randn([2, heads, positions, head], generator: random);
        var (q, k, v) = (Make(groups * repeat, queries), Make(groups, keys), Make(groups, keys));
        using var layout = BlockLayout.Regular(keys, queries, block, first);
        var scale = 2 / Math.Sqrt(head);
        foreach (var (type, tolerance) in ((ScalarType, double)[])[
            (ScalarType.Float32, 2e-5), (ScalarType.Float16, 2.2e-3), (ScalarType.BFloat16, 1.7e-2)])
        {
            var (rounded, device) = ((Tensor[])[q.to(type), k.to(type), v.to(type)], new Device(DeviceType.CUDA, 0));
            var wide = rounded.Select(x => x.to(ScalarType.Float64)).ToArray();
            var (output, logSumExp) = PlainForward.Run(
                rounded[0].to(device), rounded[1].to(device), rounded[2].to(device), block, first, scale);
            Assert.Equal((type, ScalarType.Float32), (output.dtype, logSumExp.dtype));
            Close(LandmarkAttention.Attend(wide[0], wide[1], wide[2], layout, scale), output.cpu(), tolerance);
            var expected = GateLogSumExp(wide[0], wide[1], block, first, scale);
            var seen = expected.isfinite();
            Assert.True(seen.equal(logSumExp.cpu().isfinite()).all().item<bool>());
            Close(expected.where(seen, 0), logSumExp.cpu().where(seen, 0), 2e-5);
        }
    }

    /// <summary>[B, H, T] float64: over a row's own tokens and the landmarks of earlier blocks that are not empty.</summary>
    private static Tensor GateLogSumExp(Tensor q, Tensor k, int block, int first, double scale)
    {
        var (queries, keys) = (q.shape[2], k.shape[2]);
        var landmark = Regular((int)keys, block, first);
        var gate = zeros(queries, keys, dtype: ScalarType.Bool);
        for (var t = 0; t < queries; t++)
        {
            var i = (int)(keys - queries) + t;
            var start = Array.LastIndexOf(landmark, true, Math.Max(i - 1, 0), Math.Max(i, 0)) + 1;
            for (var j = 0; j <= i; j++)
                gate[t, j] = landmark[j] ? j < i && j > 0 : j >= start;
        }

        return (q.matmul(k.repeat_interleave(q.shape[1] / k.shape[1], 1).transpose(2, 3)) * scale)
            .masked_fill(gate.logical_not(), double.NegativeInfinity).logsumexp(-1);
    }
}
