using System.Runtime.Intrinsics;
using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Tests.Attention;

/// <summary>What the fused kernels are made of, against plain arithmetic in float64.</summary>
public sealed unsafe class CpuLanesTests
{
    [Fact]
    public void ExponentialsAreExactToTheLastBits()
    {
        for (var x = -85.9f; x <= 1; x += 0.0137f)
        {
            var (exact, one) = (Math.Exp(x), CpuExponential<Lanes1, float>.Exp(x));
            Assert.InRange(Math.Abs(one - exact) / exact, 0, 1.3e-7);
            if (Lanes256.IsSupported) Assert.Equal(one, CpuExponential<Lanes256, Vector256<float>>.Exp(Vector256.Create(x))[3]);
            if (Lanes512.IsSupported) Assert.Equal(one, CpuExponential<Lanes512, Vector512<float>>.Exp(Vector512.Create(x))[7]);
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(-86.5f, 0)]
    [InlineData(-1e30f, 0)]
    [InlineData(float.NegativeInfinity, 0)]
    [InlineData(float.NaN, float.NaN)]
    public void ExponentialsHaveTheirLimits(float x, float expected)
    {
        Assert.Equal(expected, CpuExponential<Lanes1, float>.Exp(x));
        if (Lanes256.IsSupported) Assert.Equal(expected, CpuExponential<Lanes256, Vector256<float>>.Exp(Vector256.Create(x))[0]);
        if (Lanes512.IsSupported) Assert.Equal(expected, CpuExponential<Lanes512, Vector512<float>>.Exp(Vector512.Create(x))[0]);
    }

    [Fact]
    public void ProductsAreSumsOfProducts() =>
        Gen.Select(Gen.Int[1, 11], Gen.Int[0, 20], Gen.Int[1, 4], Gen.Bool, Gen.Int[0, 1 << 30])
            .Sample((rows, inner, lanes, turned, seed) =>
            {
                if (Lanes512.IsSupported) Product<Lanes512, Vector512<float>>(rows, inner, lanes * CpuTile.LaneStep, turned, seed);
                if (Lanes256.IsSupported) Product<Lanes256, Vector256<float>>(rows, inner, lanes * CpuTile.LaneStep, turned, seed);
                Product<Lanes1, float>(rows, inner, lanes * CpuTile.LaneStep, turned, seed);
            }, seed: "0N0XIzNsQ0O2");

    [Fact]
    public void MatricesAreTurned() => Gen.Select(Gen.Int[1, 13], Gen.Int[1, 13]).Sample((rows, columns) =>
    {
        float[] from = [.. Enumerable.Range(0, rows * columns).Select(i => (float)i)], to = new float[from.Length];
        fixed (float* x = from, y = to) CpuTile.Transpose(x, columns, rows, columns, 2, y, rows);
        Assert.Equal(Enumerable.Range(0, from.Length).Select(i => 2 * from[((i % rows) * columns) + (i / rows)]), to);
    });

    [Theory]
    [InlineData(0, 1)]
    [InlineData(5, 1)]
    [InlineData(1000, 1 << 20)]
    public void EveryRowRunsOnceWithMemoryOfItsOwn(int count, long work)
    {
        LibTorch.Load();
        foreach (var each in (Action<int, long, int, CpuParallel.Row>[])[CpuParallel.Each, CpuParallel.Briefly])
        {
            var runs = new int[count];
            each(count, work, 100, (row, scratch) =>
            {
                new Span<float>(scratch, 100).Fill(row);
                Thread.SpinWait(100);
                foreach (var x in new Span<float>(scratch, 100)) Interlocked.Add(ref runs[row], x == row ? 1 : 0);
            });
            Assert.All(runs, r => Assert.Equal(100, r));
        }
    }

    /// <summary>Callers beside each other, one after another and with pauses: nothing is lost, run twice, or still run afterwards.</summary>
    [Fact]
    public void BriefWorkIsDoneWhenItReturns()
    {
        LibTorch.Load();
        Parallel.For(0, 4, caller =>
        {
            for (var step = 0; step < 500; step++)
            {
                var runs = new int[7];
                CpuParallel.Briefly(7, 1 << 20, 0, (row, _) => Interlocked.Increment(ref runs[row]));
                Assert.All(runs, r => Assert.Equal(1, r));
                if (step % 100 == caller) Thread.Sleep(1);
            }
        });
    }

    private static void Product<TLanes, T>(int rows, int inner, int lanes, bool turned, int seed)
        where TLanes : struct, ICpuLanes<T>
        where T : struct
    {
        var random = new Random(seed);
        float[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
        var (left, right, start) = (Numbers(rows * inner), Numbers(inner * lanes), Numbers(rows * lanes));
        float[] result = [.. start];
        fixed (float* x = left, y = right, z = result)
        {
            var (a, b, c) = (turned ? new Matrix(x, rows).Transposed : new Matrix(x, inner), new Matrix(y, lanes), new Matrix(z, lanes));
            double Exact(int row, int lane) => Enumerable.Range(0, inner)
                .Sum(i => (double)left[turned ? (i * rows) + row : (row * inner) + i] * right[(i * lanes) + lane]);

            CpuProduct<TLanes, T>.Add(a, rows, inner, b, lanes, c);
            for (var i = 0; i < result.Length; i++) Assert.Equal(start[i] + Exact(i / lanes, i % lanes), result[i], 1e-5);
            CpuProduct<TLanes, T>.Set(a, rows, inner, b, lanes, c);
            for (var i = 0; i < result.Length; i++) Assert.Equal(Exact(i / lanes, i % lanes), result[i], 1e-5);
            if (lanes > CpuTile.Lanes) return;

            var factors = Numbers(2 * CpuTile.Lanes);
            start.CopyTo(result, 0);
            fixed (float* f = factors) CpuProduct<TLanes, T>.Blend(a, rows, inner, b, lanes, c, f);
            for (var i = 0; i < result.Length; i++)
            {
                var lane = i % lanes;
                Assert.Equal((start[i] * factors[lane]) + (Exact(i / lanes, lane) * factors[CpuTile.Lanes + lane]), result[i], 1e-5);
            }
        }
    }
}
