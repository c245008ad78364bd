using CsCheck;
using LandmarkSharp.Attention;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

public sealed class RotaryTests
{
    private static readonly RotaryScaling[] Kinds =
    [
        new(),
        new(Theta: 500000),
        new(RotaryScalingKind.Linear, 10000, 4),
        new(RotaryScalingKind.Llama3, 500000, 8, 8192),
        new(RotaryScalingKind.Yarn, 10000, 4, 2048),
    ];

    public RotaryTests() => LibTorch.Load();

    [Fact]
    public void PlacingAKeyByTurningTheQueryEqualsTurningBoth() =>
        Gen.Select(Gen.Int[0, 4], Gen.Int[1, 16], Gen.Int[0, 100_000], Gen.Int[0, 100_000], Gen.Int[0, 63], Gen.Int[0, 1 << 30]).Sample(
            (kind, half, p, s, o, seed) =>
            {
                using var scope = NewDisposeScope();
                using var random = new Generator((ulong)seed, CPU);
                var rotary = Kinds[kind].Create(2 * half);
                var q = randn([3, 2 * half], dtype: ScalarType.Float64, generator: random);
                var k = randn([3, 2 * half], dtype: ScalarType.Float64, generator: random);
                // q·R(p)ᵀ·R(s+o)·k = (R(p−s)·q)·(R(o)·k)
                var both = (rotary.Rotate(q, tensor((long)p)) * rotary.Rotate(k, tensor((long)(s + o)))).sum(-1);
                var turned = (rotary.Rotate(q, tensor((long)(p - s))) * rotary.Rotate(k, tensor((long)o))).sum(-1);
                RowByRow.Close(both, turned, 1e-8);
            }, iter: 200, threads: 1);

    [Fact]
    public void RotationsComposeAndKeepLength()
    {
        using var scope = NewDisposeScope();
        var rotary = Kinds[3].Create(16);
        var x = randn(5, 16, dtype: ScalarType.Float64);
        var once = rotary.Rotate(x, tensor(-40L));
        RowByRow.Close(once, rotary.Rotate(rotary.Rotate(x, tensor(60L)), tensor(-100L)), 1e-12);
        RowByRow.Close(x, rotary.Rotate(once, tensor(40L)), 1e-12);
        RowByRow.Close(x.norm(-1), once.norm(-1), 1e-12);
        RowByRow.Close(x, rotary.Rotate(x, tensor(0L)), 0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void TrainingTurnsAsReadingDoesAndGradientsBack(bool ownPositions)
    {
        using var scope = NewDisposeScope();
        var rotary = Kinds[3].Create(16);
        var positions = ownPositions ? randint(0, 500, [2, 1, 7], ScalarType.Int64) : arange(7);
        var table = rotary.Table(positions, ScalarType.Float64);
        var x = randn(2, 7, 3, 16, dtype: ScalarType.Float64).requires_grad_();
        var weight = randn(2, 3, 7, 16, dtype: ScalarType.Float64);
        var (turned, expected) = (RotaryFunction.Apply(x.transpose(1, 2), table), table.Rotate(x.transpose(1, 2)));
        RowByRow.Close(expected, turned, 1e-12);
        RowByRow.Close(autograd.grad([(expected * weight).sum()], [x])[0], autograd.grad([(turned * weight).sum()], [x])[0], 1e-12);
        RowByRow.Close(expected, RotaryFunction.Apply(x.detach().transpose(1, 2), table), 1e-12);
    }

    [Fact]
    public void PositionsBroadcastAndEachTurnsItsOwn()
    {
        using var scope = NewDisposeScope();
        var rotary = Kinds[0].Create(6);
        var x = randn(2, 3, 1, 6, dtype: ScalarType.Float64);
        var positions = tensor(new long[,] { { 0, 5 }, { 7, 9 }, { 100, 2 } });             // [3, 2]
        var got = rotary.Rotate(x, positions);
        Assert.Equal([2, 3, 2, 6], got.shape);
        for (var i = 0; i < 3; i++)
            for (var j = 0; j < 2; j++)
                for (var c = 0; c < 3; c++)
                {
                    var angle = positions[i, j].item<long>() * Math.Pow(10000, -2.0 * c / 6);
                    var (a, b) = (x[1, i, 0, c].item<double>(), x[1, i, 0, c + 3].item<double>());
                    Assert.Equal((a * Math.Cos(angle)) - (b * Math.Sin(angle)), got[1, i, j, c].item<double>(), 1e-12);
                    Assert.Equal((a * Math.Sin(angle)) + (b * Math.Cos(angle)), got[1, i, j, c + 3].item<double>(), 1e-12);
                }
    }

    [Fact]
    public void AnglesAreExactFarOut()
    {
        // In float32, 1,000,003 · frequency has no correct digit of its phase left beyond the fourth.
        using var scope = NewDisposeScope();
        var rotary = Kinds[0].Create(8);
        var (cos, sin) = rotary.Table(tensor(1_000_003L), ScalarType.Float32);
        for (var i = 0; i < 4; i++)
        {
            var angle = 1_000_003 * Math.Pow(10000, -2.0 * i / 8);
            Assert.Equal(Math.Cos(angle), cos[i].item<float>(), 1e-7);
            Assert.Equal(Math.Sin(angle), sin[i].item<float>(), 1e-7);
        }
    }

    [Fact]
    public void TypeStaysTheInputs()
    {
        using var scope = NewDisposeScope();
        foreach (var type in (ScalarType[])[ScalarType.BFloat16, ScalarType.Float16, ScalarType.Float32, ScalarType.Float64])
            Assert.Equal(type, Kinds[4].Create(8).Rotate(zeros(2, 8, dtype: type), arange(2)).dtype);
    }
}
