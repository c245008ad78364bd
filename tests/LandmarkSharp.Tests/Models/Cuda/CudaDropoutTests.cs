using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Models.Cuda;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Tensors.Cuda;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models.Cuda;

/// <summary>The kernel that drops against the CPU's arithmetic.</summary>
public sealed class CudaDropoutTests
{
    private static readonly Device Card = new(DeviceType.CUDA, 0);

    public CudaDropoutTests() => LibTorch.Load();

    [Fact]
    public void RandomShapesAreDroppedAsOnTheCpu()
    {
        Needs.Kernels();
        Gen.Select(Gen.Int[1, 5], Gen.Int[1, 300], Gen.Int[1, 130], Gen.Int[0, 3], Gen.Int, Gen.Double[0, 0.95]).Sample(
            (batch, positions, width, offset, seed, probability) =>
            {
                using var scope = NewDisposeScope();
                var all = randn(batch, positions, width + offset);
                var dropout = new SeededDropout(probability, seed);
                foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16, ScalarType.Float16])
                {
                    var x = all.to(type).narrow(2, offset, width);
                    var onCard = all.to(type).to(Card).narrow(2, offset, width);
                    Assert.True(CudaDropout.Serves(onCard));
                    var (expected, found) = (ResidualDropout.Of(x, dropout), ResidualDropout.Of(onCard, dropout).cpu());
                    Assert.Equal(0, expected.eq(0).logical_xor(found.eq(0)).to(ScalarType.Int64).sum().item<long>());
                    // The CPU rounds the factor to the type first.
                    var most = type == ScalarType.Float32 ? 1e-6 : type == ScalarType.BFloat16 ? 8e-3 : 1e-3;
                    Assert.InRange((expected.@double() - found.@double()).abs().max().item<double>(), 0, most * expected.@double().abs().max().item<double>());
                }
            },
            iter: 40, threads: 1);
    }

    [Fact]
    public void OtherTypesAreNotServed() => Assert.False(CudaDropout.Serves(zeros(2, 2)));
}
