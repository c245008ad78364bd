using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Tests.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Models;

/// <summary>Matrices in 8 and 4 bits, and products with them.</summary>
public sealed class QuantizedMatrixTests : IDisposable
{
    private readonly DisposeScope scope;

    public QuantizedMatrixTests()
    {
        LibTorch.Load();
        scope = NewDisposeScope();
    }

    public void Dispose() => scope.Dispose();

    public static TheoryData<int, long, long, ScalarType> Matrices
    {
        get
        {
            var all = new TheoryData<int, long, long, ScalarType>();
            foreach (var bits in (int[])[8, 4])
                foreach (var (rows, columns) in ((long, long)[])[(5, 64), (7, 192), (3, 100), (4, 63), (2, 65), (6, 1), (1, 130), (3, 3)])
                    foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
                        all.Add(bits, rows, columns, type);
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Matrices))]
    public void EachNumberIsTheNearestThatThereIs(int bits, long rows, long columns, ScalarType type)
    {
        var w = (randn(rows, columns) * (1 + arange(rows).unsqueeze(1))).to(type);
        w[0].zero_();
        var exact = w.to(ScalarType.Float64);
        var ours = Quantized(w, bits).Dequantize(ScalarType.Float32).to(ScalarType.Float64);
        Assert.Equal(w.shape, ours.shape);
        Assert.Equal(0, ours[0].abs().max().item<double>());
        var levels = bits == 8 ? arange(-127, 128).to(ScalarType.Float64) : tensor(NormalFloat.Levels).to(ScalarType.Float64);
        var block = bits == 8 ? columns : 64;
        for (var first = 0L; first < columns; first += block)
        {
            var part = exact.narrow(1, first, Math.Min(block, columns - first));
            var largest = part.abs().amax([1], keepdim: true);
            var scale = (largest.to(ScalarType.Float32) / (bits == 8 ? 127 : 1)).to(ScalarType.BFloat16).to(ScalarType.Float64);
            var nearest = (part.unsqueeze(-1) - (scale.unsqueeze(-1) * levels)).abs().amin(-1);
            var error = (part - ours.narrow(1, first, part.shape[1])).abs();
            Assert.True((error <= nearest + (largest * 1e-6)).all().item<bool>());
            // Half of the widest gap between levels, and what rounding a scale takes from the largest.
            Assert.True((error <= largest * (bits == 8 ? 0.5 / 127 * 1.004 : 0.1520)).all().item<bool>());
        }
    }

    [Theory]
    [InlineData(8, 1.01, 0.0085)]
    [InlineData(4, 0.54, 0.094)]
    public void BytesAndErrorsOfNormalNumbersAreAsDocumented(int bits, double bytes, double error)
    {
        using var random = new Generator(1, CPU);
        var w = randn(600, 1024, generator: random) * 0.02;
        var matrix = Quantized(w, bits);
        Assert.Equal(ScalarType.Byte, matrix.Rows.dtype);
        Assert.InRange((double)matrix.Rows.numel() / w.numel(), bits / 8.0, bytes);
        Assert.InRange(((matrix.Dequantize(ScalarType.Float32) - w).norm() / w.norm()).item<float>(), 0.9 * error, error);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void RowsThatArePackedAtOnceDoNotMatter(int bits)
    {
        var w = randn(9, 1 << 20);      // more than two parts of four rows
        var whole = Quantized(w, bits).Rows;
        for (var row = 0; row < 9; row++) Same(whole[row], Quantized(w[row..(row + 1)], bits).Rows[0]);
    }

    [Theory]
    [InlineData(8, ScalarType.BFloat16, 0.01)]
    [InlineData(4, ScalarType.BFloat16, 0.01)]
    [InlineData(8, ScalarType.Float16, 0.001)]
    [InlineData(4, ScalarType.Float16, 0.001)]
    [InlineData(8, ScalarType.Float64, 1e-7)]
    [InlineData(4, ScalarType.Float64, 1e-7)]
    public void OtherTypesDifferByTheirRounding(int bits, ScalarType type, double rounding)
    {
        var matrix = Quantized(randn(20, 150), bits);
        Tensor single = matrix.Dequantize(ScalarType.Float32), other = matrix.Dequantize(type);
        Assert.Equal(type, other.dtype);
        Assert.True(((other.to(ScalarType.Float64) - single).abs() <= single.abs() * rounding).all().item<bool>());
    }

    [Fact]
    public void LevelsAreQuantilesOfTheNormalDistribution()
    {
        // QLoRA's section 3: means of neighbouring quantiles, of one half to 7 and of the other to 8 levels, and 0 between them.
        double[] positive = [.. Quantiles(9).Take(8)], negative = [.. Quantiles(8).Take(7).Select(x => -x)];
        double[] levels = [.. negative, 0, .. positive.Reverse()];
        Assert.Equal(levels, NormalFloat.Levels.Select(l => (double)l), (a, b) => Math.Abs(a - b) < 2e-5);

        // From the offset that appendix E's code has, 0.9677083, down to 1/2, over the first.
        static double[] Quantiles(int count)
        {
            var p = linspace(0.9677083, 0.5, count, ScalarType.Float64);
            var x = ((2 * p) - 1).erfinv();
            return (x / x[0]).data<double>().ToArray();
        }
    }

    [Theory]
    [InlineData(8, float.NaN)]
    [InlineData(4, float.NaN)]
    [InlineData(8, float.PositiveInfinity)]
    [InlineData(4, float.NegativeInfinity)]
    [InlineData(4, 3.4e38f)]
    public void NumbersThatBitsCannotHoldAreRefused(int bits, float number)
    {
        var w = randn(3, 70);
        w[2, 66] = number;
        var e = Assert.Throws<LandmarkException>(() => QuantizedMatrix.Pack(w, bits, CPU, "some.weight"));
        Assert.Equal(
            $"'some.weight' has a number that is infinite, too large or none at all, which {bits} bits cannot hold; "
            + "repair the model, or leave base_bits out of the recipe.", e.Message);
    }

    [Theory]
    [InlineData(8, ScalarType.Float32, false)]
    [InlineData(8, ScalarType.BFloat16, true)]
    [InlineData(4, ScalarType.Float32, true)]
    [InlineData(4, ScalarType.BFloat16, false)]
    public void ProductsAndGradientsAreThoseOfTheMatrixItStandsFor(int bits, ScalarType type, bool biased)
    {
        var w = randn(48, 100);
        var bias = biased ? randn(48) : null;
        var packed = QuantizedMatrix.Pack(w, bits, CPU, "w");
        var whole = new QuantizedMatrix(packed, 100, bits).Dequantize(type);
        Tensor data = randn(2, 70, 100).to(type), pull = randn(2, 70, 48).to(type);
        var (y, dx) = Run(new Linear(packed, bias, null, bits));
        var (expected, gradient) = Run(new Linear(whole, bias));
        Same(expected, y);
        Same(gradient, dx);
        using (no_grad())
            Same(new Linear(whole, bias).Forward(data), new Linear(packed, bias, null, bits).Forward(data));

        (Tensor, Tensor) Run(Linear linear)
        {
            var x = data.clone().requires_grad_();
            // What comes in and goes out is changed by others on the way.
            var result = linear.Forward(x * 2);
            (result * pull).sum().backward();
            return (result.detach(), x.grad!);
        }
    }

    private static QuantizedMatrix Quantized(Tensor w, int bits) => new(QuantizedMatrix.Pack(w, bits, CPU, "w"), w.shape[1], bits);

    private static void Same(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.dtype, actual.dtype);
        RowByRow.Close(expected, actual, 0);
    }
}
