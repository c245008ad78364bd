using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Attention;

/// <summary>What fails in a backward of ours ends in an exception, not the process.</summary>
public sealed class BackwardFailureTests
{
    public BackwardFailureTests() => LibTorch.Load();

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void TheFirstFailureIsWhatBackwardThrows(int layers)
    {
        using var scope = NewDisposeScope();
        var times = 0;
        var x = ones(2, 3, 4).requires_grad_();
        Func<Tensor, Tensor> part = y =>
        {
            // Once forward; the second time is in the backward pass, the last layer's first.
            if (++times > layers) throw new TimeZoneNotFoundException($"call {times}");
            return y * 2;
        };
        var all = x * 1;
        for (var layer = 0; layer < layers; layer++) all = Recomputed.Apply(part, all);
        var error = Assert.Throws<TimeZoneNotFoundException>(() => BackwardFailure.Told(all.sum().backward));
        Assert.Equal($"call {layers + 1}", error.Message);
        Assert.Null(x.grad);

        // It is told once, and what works still works.
        times = int.MinValue;
        BackwardFailure.Told(Recomputed.Apply(part, x * 1).sum().backward);
        Assert.Equal(2 * 24, x.grad!.sum().item<float>());
    }

    [Fact]
    public void OneInsideAnotherIsTheSame()
    {
        using var scope = NewDisposeScope();
        var times = 0;
        var x = ones(2, 3, 4).requires_grad_();
        Tensor Inner(Tensor y) => ++times == 3 ? throw new TimeZoneNotFoundException("inner") : y * 2;
        var loss = Recomputed.Apply(y => Recomputed.Apply(Inner, y * 1), x).sum();
        Assert.Equal("inner", Assert.Throws<TimeZoneNotFoundException>(() => BackwardFailure.Told(loss.backward)).Message);
    }

    [Fact]
    public void EachIsToldItsOwnWhileAnotherThreadIsAtWork()
    {
        using var scope = NewDisposeScope();
        using ManualResetEventSlim began = new(), end = new();
        var other = new Thread(() => BackwardFailure.Told(() =>
        {
            began.Set();
            end.Wait();
        }));
        other.Start();
        began.Wait(TestContext.Current.CancellationToken);
        foreach (var name in (string[])["one", "two"])
        {
            var times = 0;
            var loss = Recomputed.Apply(y => ++times > 1 ? throw new TimeZoneNotFoundException(name) : y * 2, ones(2).requires_grad_() * 1).sum();
            Assert.Equal(name, Assert.Throws<TimeZoneNotFoundException>(() => BackwardFailure.Told(loss.backward)).Message);
        }
        end.Set();
        other.Join();
    }

    [Fact]
    public void RotationIsNoException()
    {
        using var scope = NewDisposeScope();
        using var table = new RotaryScaling().Create(4).Table(arange(3), ScalarType.Float32).Keep();
        var x = ones(1, 2, 3, 4).requires_grad_();
        var loss = RotaryFunction.Apply(x * 1, table).sum();
        table.Cos.add_(1);      // libtorch gives back nothing that was written over
        var error = Assert.ThrowsAny<Exception>(() => BackwardFailure.Told(loss.backward));
        Assert.Contains("modified by an inplace operation", error.Message, StringComparison.Ordinal);
        Assert.Null(x.grad);
    }

    [Fact]
    public void ABackwardThatDoesNotAskIsToldAllTheSame()
    {
        using var scope = NewDisposeScope();
        var times = 0;
        var x = ones(2, 3, 4).requires_grad_();
        var loss = Recomputed.Apply(y => ++times > 1 ? throw new TimeZoneNotFoundException() : y * 2, x * 1).sum();
        Assert.ThrowsAny<Exception>(() => loss.backward());
        Assert.Null(x.grad);
    }
}
