using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>What rows of fewer bits stand for, by the kernels and by torch's operators.</summary>
public sealed unsafe class BlockTypeTests
{
    public BlockTypeTests() => LibTorch.Load();

    [Fact]
    public void AnInt8NumberIsOffByHalfAScaleAtMost() =>
        Gen.Select(Gen.Int[1, 130], Gen.Int[-35, 37], Gen.Int[0, 1 << 30]).Sample((d, power, seed) =>
        {
            var random = new Random(seed);
            float[] row = [.. Enumerable.Range(0, d).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, power)))];
            var (numbers, scale) = Int8(row);
            Assert.True(float.IsFinite(scale));
            for (var i = 0; i < d; i++) Assert.InRange(Math.Abs(((double)numbers[i] * scale) - row[i]), 0, scale * 0.50001);
        });

    [Fact]
    public void KernelsAndOperatorsKeepTheSameBits() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[0, 1 << 30]).Sample((d, seed) =>
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator((ulong)seed, CPU);
            var x = randn([1, d], generator: generator);
            float[] row = x.data<float>().ToArray();
            var (numbers, scale) = Int8(row);
            var (expected, scales) = BlockType.Quantize(x);
            Assert.Equal(expected.data<sbyte>().ToArray(), numbers);
            Assert.Equal(scales.item<float>(), scale);
            Assert.Equal(x.to(ScalarType.BFloat16).to(ScalarType.Float32).data<float>().ToArray(), BFloat16(row));
        }, threads: 1);

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(-0f, 1e-37f, 0)]                        // its scale would be subnormal
    [InlineData(float.MaxValue, 1, float.MaxValue / 127)]
    [InlineData(1, float.NaN, float.NaN)]
    [InlineData(float.NegativeInfinity, 1, float.NaN)]
    [InlineData(float.PositiveInfinity, float.NaN, float.NaN)]
    public void ZerosAndWhatIsNotFiniteHaveTheirScales(float a, float b, float expected)
    {
        using var scope = NewDisposeScope();
        var (numbers, scale) = Int8([a, b]);
        Assert.Equal(expected, scale);
        var (operators, scales) = BlockType.Quantize(tensor(new[] { a, b }).unsqueeze(0));
        Assert.Equal(expected, scales.item<float>());
        Assert.Equal(operators.data<sbyte>().ToArray(), numbers);
        var read = BlockType.Widen(operators, scales, ScalarType.Float32).data<float>().ToArray();
        Assert.All(read, x => Assert.Equal(float.IsNaN(expected), float.IsNaN(x)));         // not turned into numbers
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(-0f)]
    public void BFloat16KeepsWhatIsNotFinite(float x) => Assert.Equal([x, 1], BFloat16([x, 1]));

    /// <summary>A row gone wrong is seen in the output of whoever reads it, and of no other.</summary>
    [Fact]
    public void WhatIsNotFiniteIsSeenInTheOutput()
    {
        foreach (var (type, queries) in new[] { (ScalarType.Int8, 1), (ScalarType.BFloat16, 1), (ScalarType.Int8, 40), (ScalarType.BFloat16, 40) })
        {
            using var scope = NewDisposeScope();
            var options = new RetrievalOptions { TopK = 9, BlockType = type };
            using var attention = new RetrievedAttention(4, 70, queries, 8, new RotaryScaling().Create(16), options, ScalarType.Float32);
            Tensor q = randn(2, queries, 16), values = randn([13, 2, 2, 7, 16]);
            values[1, 0, 1, 3, 5] = float.PositiveInfinity;
            var (blocks, scales) = type == ScalarType.Int8 ? BlockType.Quantize(values) : (values.to(type), null);
            var output = attention.Attend(q, blocks, randn(2, 13, 16), tied: false, scales).Output;
            Assert.False(output[0].isfinite().all(-1).any().item<bool>());
            Assert.True(output[1].isfinite().all().item<bool>());
        }
    }

    [Fact]
    public void BlocksThatCannotBeKeptAreRefused()
    {
        var options = new RetrievalOptions { BlockType = ScalarType.Int8 };
        void Refused(RetrievalOptions asked, ScalarType model, Device device) => Assert.Contains(
            "beside the model's own type", Assert.Throws<LandmarkException>(() => BlockType.Of(asked, model, device)).Message,
            StringComparison.Ordinal);
        Refused(options, ScalarType.BFloat16, CPU);
        Refused(options, ScalarType.Float32, META);
        Refused(options with { BlockType = ScalarType.BFloat16 }, ScalarType.Float32, META);
        Refused(options with { BlockType = ScalarType.Float32 }, ScalarType.BFloat16, CPU);
        Refused(options with { BlockType = ScalarType.Float16 }, ScalarType.Float32, CPU);
        Assert.Equal(ScalarType.Float16, BlockType.Of(options with { BlockType = null }, ScalarType.Float16, META));

        using var scope = NewDisposeScope();
        using var attention = new RetrievedAttention(0, 3, 1, 4, new RotaryScaling().Create(8), options, ScalarType.Float32);
        var blocks = zeros([1, 1, 2, 3, 8], ScalarType.Int8);
        foreach (var scales in (Tensor?[])[null, zeros(1, 1, 2, 2), zeros([1, 1, 2, 3], ScalarType.Float64)])
            Assert.Contains("int8 needs float32 for each row", Assert.Throws<LandmarkException>(
                () => attention.Attend(zeros(1, 1, 8), blocks, zeros(1, 1, 8), tied: false, scales)).Message, StringComparison.Ordinal);
    }

    private static (sbyte[] Numbers, float Scale) Int8(float[] row)
    {
        var numbers = new sbyte[row.Length];
        float scale;
        fixed (float* from = row)
        fixed (sbyte* to = numbers) CpuRows.For(ScalarType.Int8).Store(from, row.Length, (byte*)to, &scale);
        return (numbers, scale);
    }

    private static float[] BFloat16(float[] row)
    {
        var (numbers, read, rows) = (new ushort[row.Length], new float[row.Length], CpuRows.For(ScalarType.BFloat16));
        fixed (float* from = row, back = read)
        fixed (ushort* to = numbers)
        {
            rows.Store(from, row.Length, (byte*)to, null);
            rows.Widen((byte*)to, null, 1, row.Length, back);
        }
        return read;
    }
}
