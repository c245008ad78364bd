using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Attention.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention.Cuda;

/// <summary>The kernel that rotates against the table's own arithmetic in float64.</summary>
public sealed class CudaRotationTests
{
    private static readonly Device Card = new(DeviceType.CUDA, 0);

    public CudaRotationTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesEqualTheTables()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[1, 3], Gen.Int[1, 5], Gen.Int[1, 70], Gen.Int[1, 130], Gen.Bool, Gen.Int[0, 3], Gen.Int[0, 1 << 30]).Sample(
            (batch, heads, positions, half, perRow, offset, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                // As products give them: the heads of a position side by side, some positions and elements left out.
                var all = randn([batch, positions + offset, heads, (2 * half) + offset], generator: random);
                var angles = randn(perRow ? [batch, 1, positions, half] : [positions, half], generator: random);
                foreach (var (type, most) in ((ScalarType, double)[])[(ScalarType.Float32, 1e-6), (ScalarType.BFloat16, 6e-3), (ScalarType.Float16, 8e-4)])
                {
                    Tensor Heads(Tensor x) => x.narrow(1, offset, positions).narrow(3, offset, 2 * half).transpose(1, 2);
                    var (x, cos, sin) = (Heads(all.to(type)), angles.cos().to(type), angles.sin().to(type));
                    var onCard = Heads(all.to(type).to(Card));
                    Assert.True(CudaRotation.Serves(onCard, cos.to(Card)));
                    foreach (var sign in (int[])[1, -1])
                    {
                        var expected = new RotaryTable(cos.@double(), sin.@double() * sign).Rotate(x.@double());
                        var found = CudaRotation.Turn(onCard, cos.to(Card), sin.to(Card), sign);
                        Assert.Equal(expected.shape, found.shape);
                        Assert.InRange((found.cpu().@double() - expected).abs().max().item<double>(), 0, most * expected.abs().max().item<double>());
                    }
                }
            },
            iter: 40, threads: 1);
    }

    [Fact]
    public void OtherTypesAreNotServed() => Assert.False(CudaRotation.Serves(zeros(1, 1, 1, 2), zeros(1, 1)));
}
