using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>The inner loops for few queries against plain arithmetic in float64, and their bits at every width of vectors.</summary>
public sealed unsafe class CpuRowsTests
{
    private static readonly Gen<(int Width, int Count, int Queries, int Seed)> Shapes =
        Gen.Select(Gen.Int[1, 150], Gen.Int[0, 11], Gen.Int[1, 9], Gen.Int[0, 1 << 30]);

    private static IEnumerable<ScalarType> Types => [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8];

    [Fact]
    public void DotsAreSumsOfProductsWithTheSameBitsAtAnyWidth() => Shapes.Sample((d, count, queries, seed) =>
    {
        foreach (var type in Types)
        {
            var q = Numbers(seed, queries * d);
            var keys = new Kept(type, Numbers(seed + 1, count * d), d);
            var results = All(type).Select(rows => Dots(rows, q, queries, keys.Bytes, count, d)).ToArray();
            Assert.All(results, r => Assert.Equal(results[0], r));
            for (var i = 0; i < queries * count; i++)
            {
                var exact = Enumerable.Range(0, d).Sum(x => (double)q[(i / count * d) + x] * keys.Unscaled[(i % count * d) + x]);
                Assert.Equal(exact, results[0][i], type == ScalarType.Int8 ? 1e-2 : 5e-5);  // up to 127 each
            }
        }
    });

    /// <summary>Ties are decided by place, so what is equal must score equal, wherever it stands and whoever asks beside.</summary>
    [Fact]
    public void EqualKeysScoreEqualToTheLastBit() => Shapes.Sample((d, count, queries, seed) =>
    {
        var (one, key) = (Numbers(seed, d), Numbers(seed + 1, d));
        float[] q = [.. Enumerable.Repeat(one, queries).SelectMany(x => x)];
        foreach (var type in Types)
        {
            var keys = new Kept(type, [.. Enumerable.Repeat(key, count).SelectMany(x => x)], d).Bytes;
            var single = new Kept(type, key, d).Bytes;
            foreach (var rows in All(type))
            {
                var alone = Dots(rows, one, 1, single, 1, d)[0];
                Assert.All(Dots(rows, q, queries, keys, count, d), s => Assert.Equal(alone, s));
            }
        }
    });

    [Fact]
    public void RowsAreAddedByWeightWithTheSameBitsAtAnyWidth() => Shapes.Sample((d, count, queries, seed) =>
    {
        float[] weights = Numbers(seed, queries * count), start = Numbers(seed + 2, queries * d);
        foreach (var type in Types)
        {
            var values = new Kept(type, Numbers(seed + 1, count * d), d);
            float[] Add(CpuRows rows)
            {
                float[] result = [.. start];
                fixed (float* a = weights, to = result)
                fixed (byte* b = values.Bytes) rows.AddRows(a, count, queries, b, count, d, to, b);
                return result;
            }
            var results = All(type).Select(Add).ToArray();
            Assert.All(results, r => Assert.Equal(results[0], r));
            for (var i = 0; i < queries * d; i++)
            {
                var exact = start[i]
                    + Enumerable.Range(0, count).Sum(j => (double)weights[(i / d * count) + j] * values.Unscaled[(j * d) + (i % d)]);
                Assert.Equal(exact, results[0][i], type == ScalarType.Int8 ? 1e-3 : 2e-5);
            }
        }
    });

    [Fact]
    public void RowsAreWidenedWithTheSameBitsAtAnyWidth() => Shapes.Sample((d, count, _, seed) =>
    {
        foreach (var type in Types)
        {
            var kept = new Kept(type, Numbers(seed, count * d), d);
            var results = All(type).Select(rows => kept.Read(rows)).ToArray();
            Assert.All(results, r => Assert.Equal(results[0], r));
            for (var i = 0; i < count * d; i++) Assert.Equal(kept.Unscaled[i] * kept.Scales[i / d], results[0][i]);
        }
    });

    [Fact]
    public void SoftmaxesSumToTheirMassWithTheSameBitsAtAnyWidth() =>
        Gen.Select(Gen.Int[1, 100], Gen.Int[0, 1 << 30]).Sample((count, seed) =>
        {
            float[] first = Numbers(seed, count), second = [.. Numbers(seed + 1, count).Select(x => 20 * x)];
            double[] Exact(float[] scores) => [.. scores.Select(s => Math.Exp(s) / scores.Sum(x => Math.Exp(x)))];
            float[] Greater(CpuRows rows)
            {
                float[] a = Room(first), b = Room(second);
                fixed (float* x = a, y = b)
                {
                    rows.Greater(x, count, x);
                    rows.Greater(y, count, x);
                }
                return a[..count];
            }
            float[] Softmax(CpuRows rows)
            {
                var a = Room(second);
                fixed (float* x = a) rows.Softmax(x, count, 0.25f);
                return a[..count];
            }
            foreach (var rows in All(ScalarType.Float32))
            {
                Assert.Equal(Greater(CpuRows.Float32), Greater(rows));
                Assert.Equal(Softmax(CpuRows.Float32), Softmax(rows));
            }
            Assert.Equal(Exact(first).Zip(Exact(second), Math.Max), Greater(CpuRows.Float32).Select(x => (double)x), (x, y) => Math.Abs(x - y) < 1e-6);
            Assert.Equal(Exact(second).Select(x => x / 4), Softmax(CpuRows.Float32).Select(x => (double)x), (x, y) => Math.Abs(x - y) < 1e-6);
        });

    /// <summary>What is no number stays none, so that it is chosen last and seen in the output.</summary>
    [Fact]
    public void WhatIsNoNumberStaysNone()
    {
        foreach (var rows in All(ScalarType.Float32))
        {
            foreach (var bad in (float[])[float.NaN, float.PositiveInfinity])
            {
                foreach (var wrongFirst in (bool[])[false, true])
                {
                    float[] wrong = Room([1, bad, 2]), right = Room([1, 2, 3]);
                    fixed (float* x = wrongFirst ? wrong : right, y = wrongFirst ? right : wrong)
                    {
                        rows.Greater(x, 3, x);
                        rows.Greater(y, 3, x);
                    }
                    Assert.All((wrongFirst ? wrong : right)[..3], p => Assert.Equal(float.NaN, p));
                }
            }
        }
    }

    [Fact]
    public void PairsAreTurnedAndScaled() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[0, 300], Gen.Int[0, 1 << 30]).Sample((half, position, seed) =>
        {
            LibTorch.Load();
            var rotary = new RotaryScaling(Theta: 100).Create(2 * half);
            float[] x = Numbers(seed, 2 * half), result = new float[2 * half];
            fixed (float* from = x, angles = &rotary.Distances(position + 1)[position * 2 * half], to = result)
                CpuRotation.Turn(from, angles, 0.5f, 2 * half, to);
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

    private static IEnumerable<CpuRows> All(ScalarType type) =>
        Enumerable.Range((int)AttentionBackend.CpuScalar, CpuDense.Widest - AttentionBackend.CpuScalar + 1)
            .Select(v => CpuRows.For(type, (AttentionBackend)v));

    private static float[] Dots(CpuRows rows, float[] q, int queries, byte[] keys, int count, int d)
    {
        var scores = new float[queries * count];
        fixed (float* a = q, to = scores)
        fixed (byte* b = keys) rows.Dots(a, queries, b, count, d, to, count, b);
        return scores;
    }

    /// <summary>Rows as they are kept, and what their numbers stand for without and with their scales.</summary>
    private sealed class Kept
    {
        private readonly int d;

        public Kept(ScalarType type, float[] numbers, int d)
        {
            this.d = d;
            var rows = CpuRows.For(type);
            Bytes = new byte[numbers.Length * rows.Size];
            Scales = [.. Enumerable.Repeat(1f, numbers.Length / d)];
            fixed (float* from = numbers, scales = Scales)
            fixed (byte* to = Bytes)
            {
                for (var j = 0; j < Scales.Length; j++) rows.Store(from + (j * d), d, to + (j * d * rows.Size), scales + j);
            }
            Unscaled = [.. Enumerable.Range(0, numbers.Length).Select(i => type switch
            {
                ScalarType.Int8 => (sbyte)Bytes[i],
                ScalarType.BFloat16 => BitConverter.Int32BitsToSingle(BitConverter.ToInt16(Bytes, 2 * i) << 16),
                _ => BitConverter.ToSingle(Bytes, 4 * i),
            })];
        }

        public byte[] Bytes { get; }

        public float[] Scales { get; }

        public float[] Unscaled { get; }

        public float[] Read(CpuRows rows)
        {
            var room = new float[Unscaled.Length];
            fixed (byte* from = Bytes)
            fixed (float* scales = Scales, to = room)
                return new Span<float>(rows.Widen(from, scales, Scales.Length, d, to), room.Length).ToArray();
        }
    }

    private static float[] Room(float[] scores)
    {
        var room = new float[CpuRows.Padded(scores.Length)];
        scores.CopyTo(room, 0);
        return room;
    }

    private static float[] Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)((random.NextDouble() * 2) - 1))];
    }
}
