using System.Diagnostics;
using System.Reflection;
using System.Runtime.CompilerServices;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

/// <summary>What an operator reads is alive until it returns, scope or none: see eng/torchsharp-lifetimes.targets.</summary>
[Collection(AloneCollection.Name)]
public sealed class TorchSharpLifetimeTests
{
    public TorchSharpLifetimeTests() => LibTorch.Load();

    [Fact]
    public void TorchSharpKeepsItsArgumentsAlive() =>
        Assert.True(typeof(Tensor).Assembly.GetCustomAttribute<DebuggableAttribute>()!.IsJITOptimizerDisabled);

    /// <summary>Where the above is not so, this crashes or counts wrongly, if not at once then within seconds.</summary>
    [Fact]
    public void NothingIsFreedWhileAnOperatorReadsIt()
    {
        using var scores = randn(16, 16);
        using var hidden = scores > 0;
        using var many = ones(1 << 17);
        using var done = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        var collector = new Thread(() =>
        {
            while (!done.IsCancellationRequested)
            {
                GC.Collect(0, GCCollectionMode.Forced, blocking: true);
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            while (!done.IsCancellationRequested)
            {
                for (var i = 0; i < 100; i++) Numbers(scores, hidden);
                for (var i = 0; i < 5; i++) Assert.Equal(1, Least(many));
            }
        }
        finally
        {
            done.Cancel();
            collector.Join();
        }
    }

    // Optimized from the first call on, as code that has run for a while is: nothing else holds what is made on the way.
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Numbers(Tensor scores, Tensor hidden)
    {
        using var scaled = scores * 0.5;
        using var masked = scores.masked_fill(hidden, -30000);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static double Least(Tensor many)
    {
        using var product = ones(many.shape) * many.to(ScalarType.Float64).clone();
        using var least = product.min();
        return least.item<double>();
    }
}
