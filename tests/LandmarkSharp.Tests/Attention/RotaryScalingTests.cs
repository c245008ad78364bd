using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>Frequencies of each scaling against its published formula, written out independently.</summary>
public sealed class RotaryScalingTests
{
    public RotaryScalingTests() => LibTorch.Load();

    [Fact]
    public void DefaultAndLinear()
    {
        var plain = Frequencies(new RotaryScaling(Theta: 1e6), 12);
        var linear = Frequencies(new RotaryScaling(RotaryScalingKind.Linear, 1e6, 2.5), 12);
        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(1 / Math.Pow(1e6, i / 6.0), plain[i], 1e-15);
            Assert.Equal(plain[i] / 2.5, linear[i], 1e-15);
        }
    }

    /// <summary>Llama 3.1's rule in wavelengths, as published: three ranges.</summary>
    [Theory]
    [InlineData(500000, 8, 8192, 1, 4, 128)]
    [InlineData(500000, 32, 8192, 1, 4, 64)]
    [InlineData(10000, 4, 512, 2, 16, 32)]
    public void Llama3(double theta, double factor, int original, double low, double high, int dim)
    {
        var got = Frequencies(new RotaryScaling(RotaryScalingKind.Llama3, theta, factor, original, low, high), dim);
        var kinds = new HashSet<int>();
        for (var i = 0; i < dim / 2; i++)
        {
            var frequency = Math.Pow(theta, -2.0 * i / dim);
            var wavelength = 2 * Math.PI / frequency;
            double expected;
            if (wavelength < original / high) (expected, _) = (frequency, kinds.Add(0));
            else if (wavelength > original / low) (expected, _) = (frequency / factor, kinds.Add(1));
            else
            {
                var smooth = ((original / wavelength) - low) / (high - low);
                (expected, _) = (((1 - smooth) * frequency / factor) + (smooth * frequency), kinds.Add(2));
            }
            Assert.Equal(expected, got[i], 1e-14);
        }
        Assert.Equal(3, kinds.Count); // every range was met
    }

    /// <summary>
    /// YaRN (Peng et al. 2023, equations 17 to 23): a dimension of which r = original·f/2π turns fit into the original context is
    /// interpolated by a ramp; the ramp is linear in dimensions between those of β_fast and β_slow turns, taken to whole ones.
    /// </summary>
    [Theory]
    [InlineData(10000, 4, 2048, 128)]
    [InlineData(1000000, 4, 32768, 64)]
    [InlineData(10000, 16, 4096, 32)]
    public void Yarn(double theta, double factor, int original, int dim)
    {
        var rotary = new RotaryScaling(RotaryScalingKind.Yarn, theta, factor, original).Create(dim);
        var got = Frequencies(new RotaryScaling(RotaryScalingKind.Yarn, theta, factor, original), dim);
        // The (real) index i at which θ^(−2i/d)·original = 2π·turns.
        double Index(double turns) => dim / 2.0 * (Math.Log(original) - Math.Log(2 * Math.PI * turns)) / Math.Log(theta);
        var (from, to) = (Math.Max(0, Math.Floor(Index(32))), Math.Min(dim - 1, Math.Ceiling(Index(1))));
        for (var i = 0; i < dim / 2; i++)
        {
            var f = Math.Pow(theta, -2.0 * i / dim);
            var stretched = i <= from ? 0 : i >= to ? 1 : (i - from) / (to - from);
            Assert.Equal(f * (1 - stretched + (stretched / factor)), got[i], 1e-14);
        }
        var temperature = (0.1 * Math.Log(factor)) + 1; // on queries and on keys
        Assert.Equal(temperature * temperature, rotary.ScoreScale, 1e-14);
        Assert.Equal(
            1.44, new RotaryScaling(RotaryScalingKind.Yarn, theta, factor, original, AttentionFactor: 1.2).Create(dim).ScoreScale, 1e-14);
        Assert.Equal(1, new RotaryScaling(RotaryScalingKind.Llama3, theta, factor, original).Create(dim).ScoreScale);
    }

    [Theory]
    [InlineData(7)]
    [InlineData(0)]
    public void OddHeadsAreNamed(int dim) =>
        Assert.Contains($"head_dim is {dim}", Assert.Throws<LandmarkException>(() => new RotaryScaling().Create(dim)).Message);

    /// <summary>The angles that position 1 turns by.</summary>
    private static double[] Frequencies(RotaryScaling scaling, int dim)
    {
        using var scope = NewDisposeScope();
        var (cos, sin) = scaling.Create(dim).Table(tensor(1L), ScalarType.Float64);
        return atan2(sin, cos).data<double>().ToArray();
    }
}
