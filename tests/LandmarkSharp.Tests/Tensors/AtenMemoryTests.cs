using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

[Collection(AloneCollection.Name)]
public sealed class AtenMemoryTests
{
    private const int Rounds = 300;
    private const int Floats = 1 << 20;   // 4 MiB a tensor: a leak of one a round is 1.2 GiB
    private const long Slack = 200L << 20;

    public AtenMemoryTests() => LibTorch.Load();

    [Fact]
    public void CallsLeaveNothingBehind() => StaysFlat(() =>
    {
        using var x = ones(1024, Floats / 1024);
        using var weight = ones(Floats / 1024);
        Aten.RmsNorm(x, weight, 1e-6).Dispose();
        Aten.MultiplyEach([x, x], weight[0]);
    });

    [Fact]
    public void ArgumentsThatCannotBeTakenLeaveNothingBehind()
    {
        using var step = tensor(0f);
        StaysFlat(() =>
        {
            using var good = ones(Floats);
            var gone = ones(1);
            gone.Dispose();
            Assert.ThrowsAny<Exception>(() => Aten.MultiplyEach([good, good, gone], step));
            Assert.ThrowsAny<Exception>(() => Aten.MultiplyEach([good, good], gone));
        });
    }

    private static void StaysFlat(Action round)
    {
        for (var i = 0; i < 10; i++)
            Once(round);
        var before = Environment.WorkingSet;
        for (var i = 0; i < Rounds; i++)
            Once(round);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, Slack);
    }

    private static void Once(Action round)
    {
        using var scope = NewDisposeScope();
        round();
    }
}
