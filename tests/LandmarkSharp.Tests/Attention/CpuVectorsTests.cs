using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The kernels' inner loops against plain arithmetic in float64, at widths that do and do not fill vectors.</summary>
public sealed unsafe class CpuVectorsTests
{
    private static readonly Gen<(int Width, int Count, int Seed)> Shapes = Gen.Select(Gen.Int[1, 70], Gen.Int[0, 11], Gen.Int[0, 1 << 30]);

    [Fact]
    public void DotsAreSumsOfProducts() => Shapes.Sample((d, count, seed) =>
    {
        float[] q = Numbers(seed, d), keys = Numbers(seed + 1, count * d), scores = new float[count];
        fixed (float* a = q, b = keys, to = scores) CpuVectors.Dots(a, b, count, d, to);
        for (var j = 0; j < count; j++)
            Assert.Equal(Enumerable.Range(0, d).Sum(i => (double)q[i] * keys[(j * d) + i]), scores[j], 2e-5);
    });

    /// <summary>Ties are decided by place, so what is equal must score equal, wherever it stands.</summary>
    [Fact]
    public void EqualKeysScoreEqualToTheLastBit() => Shapes.Sample((d, count, seed) =>
    {
        var (q, key) = (Numbers(seed, d), Numbers(seed + 1, d));
        float[] keys = [.. Enumerable.Repeat(key, count).SelectMany(x => x)], scores = new float[count];
        fixed (float* a = q, b = keys, one = key, to = scores)
        {
            CpuVectors.Dots(a, b, count, d, to);
            var alone = CpuVectors.Dot(a, one, d);
            Assert.All(scores, s => Assert.Equal(alone, s));
        }
    });

    [Fact]
    public void RowsAreAddedByWeight() => Shapes.Sample((d, count, seed) =>
    {
        float[] weights = Numbers(seed, count), rows = Numbers(seed + 1, count * d), start = Numbers(seed + 2, d);
        float[] result = [.. start];
        fixed (float* a = weights, b = rows, to = result) CpuVectors.AddRows(a, b, count, d, to);
        for (var i = 0; i < d; i++)
            Assert.Equal(start[i] + Enumerable.Range(0, count).Sum(j => (double)weights[j] * rows[(j * d) + i]), result[i], 2e-5);
    });

    [Fact]
    public void PairsAreTurnedAndScaled() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[0, 300], Gen.Int[0, 1 << 30]).Sample((half, position, seed) =>
        {
            LibTorch.Load();
            var rotary = new RotaryScaling(Theta: 100).Create(2 * half);
            float[] x = Numbers(seed, 2 * half), result = new float[2 * half];
            fixed (float* from = x, angles = &rotary.Distances(position + 1)[position * 2 * half], to = result)
                CpuVectors.Rotate(from, angles, 0.5f, 2 * half, to);
            for (var i = 0; i < half; i++)
            {
                var angle = position * Math.Pow(100, -(double)i / half);
                Assert.Equal(0.5 * ((x[i] * Math.Cos(angle)) - (x[half + i] * Math.Sin(angle))), result[i], 1e-6);
                Assert.Equal(0.5 * ((x[half + i] * Math.Cos(angle)) + (x[i] * Math.Sin(angle))), result[half + i], 1e-6);
            }
        });

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, 1)]
    [InlineData(1000, 1 << 20)]
    public void EveryRowRunsOnce(int count, long work)
    {
        LibTorch.Load();
        var runs = new int[count];
        CpuParallel.For(count, work, row => Interlocked.Increment(ref runs[row]));
        Assert.All(runs, r => Assert.Equal(1, r));
    }

    private static float[] Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1))];
    }
}
