using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static LandmarkSharp.Tests.Attention.Cuda.DenseComparison;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>The kernels for any card's tensor cores against the reference. On a CPU tests/KernelEmulation checks the same kernels.</summary>
public sealed class MmaAttentionTests
{
    public MmaAttentionTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheReference()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[1, 700], Gen.Double[0, 1], Gen.Int[2, 256], Gen.Double[0, 1], Gen.Int[1, 2], Gen.Int[1, 3], Gen.Int[1, 16], Gen.Int[0, 1 << 30])
            .Sample(
                (keys, part, block, firstPart, groups, repeat, head, seed) => Compare<MmaAttention>(
                    keys, 1 + (int)(part * (keys - 1)), block, 1 + (int)(firstPart * (block - 1)), groups, repeat, 16 * head, seed),
                iter: 15, threads: 1);
    }

    [Theory]
    [InlineData(1, 1, 2, 1, 64)]            // a landmark alone sees nothing
    [InlineData(130, 130, 64, 1, 128)]      // starts on a landmark
    [InlineData(128, 128, 64, 64, 256)]     // ends on one
    [InlineData(129, 1, 64, 64, 128)]
    [InlineData(1000, 1000, 51, 51, 128)]
    [InlineData(513, 400, 128, 100, 256)]
    [InlineData(900, 900, 256, 256, 256)]
    [InlineData(900, 700, 129, 1, 144)]
    [InlineData(50, 50, 2, 2, 16)]
    [InlineData(300, 200, 7, 3, 240)]
    public void CornersEqualTheReference(int keys, int queries, int block, int first, int head)
    {
        Needs.Kernels();
        Compare<MmaAttention>(keys, queries, block, first, groups: 2, repeat: 2, head, seed: keys);
    }

    [Fact]
    public void PackedDocumentsSeeThemselvesAlone()
    {
        Needs.Kernels();
        ComparePacked<MmaAttention>(256, 256);
    }

    [Theory]
    [InlineData(500, 32, 64)]
    [InlineData(700, 100, 128)]
    [InlineData(1100, 200, 256)]
    public void GatesCountInPartAsInTheReference(int keys, int block, int head)
    {
        Needs.Kernels();
        CompareGates(AttentionBackend.CudaMma, keys, block, head);
    }

    [Theory]
    [InlineData(2000, 128, 64)]
    [InlineData(1000, 256, 256)]
    public void EqualInputsGiveEqualBits(int positions, int head, int block)
    {
        Needs.Kernels();
        CompareBits<MmaAttention>(positions, head, block);
    }

    [Theory]
    [InlineData(64, 32)]
    [InlineData(256, 51)]
    [InlineData(128, 250)]
    public void AttentionOnTheCardUsesThem(int head, int block)
    {
        Needs.Kernels();
        CompareAttention(AttentionBackend.CudaMma, AttentionBackend.CudaMma, head, block);
        // A Hopper card has kernels of its own for what is narrow and short.
        if (head > 128 || block > 128) CompareAttention(AttentionBackend.CudaMma, null, head, block);
    }

    [Fact]
    public void GradientsOfManyQueriesComeInParts()
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        const int Positions = 5000, Head = 16, Block = 2;      // 2,500 blocks: numbers of all queries of 4 heads would take 800 MB
        var (q, k, v) = Inputs(Positions, Positions, 1, 2, Head, 4, ScalarType.Float16);
        var (qc, kc, vc) = (q.to(Card), k.to(Card), v.to(Card));
        var problem = new DenseProblem(new(Positions, Positions, Block, Block), 0.25);
        var gradient = randn(q.shape, device: Card).half();
        var (output, logSum) = MmaAttention.Forward(qc, kc, vc, problem);
        var found = MmaAttention.Backward(qc, kc, vc, output, logSum, gradient, null, problem);
        // What the first head of the first row gives alone is in one part.
        var one = new DenseProblem(new(Positions, Positions, Block, Block), 0.25);
        Tensor First(Tensor x, int heads) => x[..1, ..heads].contiguous();
        var (o, s) = (First(output, 2), logSum[..1, ..2].contiguous());
        var expected = MmaAttention.Backward(First(qc, 2), First(kc, 1), First(vc, 1), o, s, First(gradient, 2), null, one);
        Assert.True(found.Q[..1].equal(expected.Q).all().item<bool>());
        Assert.InRange(Error(found.K[..1], expected.K.@double()), 0, 1e-3);
        Assert.InRange(Error(found.V[..1], expected.V.@double()), 0, 1e-3);
    }

    [Theory]
    [InlineData(128, 64)]
    [InlineData(64, 64)]
    [InlineData(256, 64)]
    [InlineData(128, 51)]
    [InlineData(128, 128)]
    [InlineData(128, 256)]
    [InlineData(256, 256)]
    public void RegistersAreEnough(int head, int block)
    {
        Needs.Kernels();
        using var scope = NewDisposeScope();
        var usages = MmaAttention.Usages(zeros([1, 1, 1, head], ScalarType.BFloat16, Card), new(new(1, 1, block, block), 1));
        Assert.All(usages, x => Assert.True(x.Usage.LocalBytes <= 128, $"{x.Name}: {x.Usage}"));
    }
}
