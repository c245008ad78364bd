using System.Text.Json;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>Devices that share a step's batches compute what one does. Copies on the CPU stand for them.</summary>
public sealed class TrainerDevicesTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(2, 2, 0)]       // two gradients are added either way: the same bits
    [InlineData(2, 6, 2e-5)]
    [InlineData(3, 6, 2e-5)]
    public void SeveralComputeWhatOneDoes(int devices, int accumulate, double tolerance)
    {
        var recipe = Recipe(accumulate);
        Run("one", recipe, 1);
        Run("several", recipe, devices);
        var (one, several) = (tiny.Metrics("one"), tiny.Metrics("several"));
        Assert.Equal(7, one.Length);
        foreach (var (a, b) in one.Zip(several))
            Assert.Equal(Loss(a), Loss(b), tolerance);
        if (tolerance == 0) Assert.Equal(one, several);
    }

    /// <summary>What is drawn for a batch, and what is frozen in few bits, is the same on each.</summary>
    [Fact]
    public void SoTheyDoBesideAQuantizedBase()
    {
        using var from = new BaseFolder(tiny, "llama");
        var recipe = FineTuneTests.Recipe(from, 5, """, "lora": {"base_bits": 4}""") with
        {
            ContextMiss = 0.5,
            GroupDropout = 0.2,
            Dropout = 0.2,
            PositionJump = 9,
            RecomputeLayers = true,
        };
        recipe = recipe with { Stages = [.. recipe.Stages.Select(s => s with { Accumulate = 2 })] };
        foreach (var devices in (ReadOnlySpan<int>)[1, 2])
        {
            using var trainer = new Trainer(recipe, from.Into(tiny, $"on {devices}") with { Devices = [.. Enumerable.Repeat(CPU, devices)] });
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        }
        Assert.Equal(tiny.Metrics("on 1"), tiny.Metrics("on 2"));
    }

    [Fact]
    public void ARunGoesOnOnAnotherNumberOfThem()
    {
        var recipe = Recipe(2);
        Run("whole", recipe, 1);
        using (var stop = new CancellationTokenSource())
        using (var trainer = new Trainer(recipe, Into("moved", 2) with { ReportEvery = 1 }))
        {
            Assert.False(trainer.Run(p => { if (p.Line.Step == 3) stop.Cancel(); }, stop.Token));
            Assert.Equal(3, trainer.Step);
        }
        Run("moved", recipe, 1);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("moved"));
    }

    [Fact]
    public void WhatTheyCannotShareAlikeIsSaid()
    {
        var e = Assert.Throws<LandmarkException>(() => new Trainer(Recipe(3), Into("odd", 2)));
        Assert.Contains("accumulates 3 batches, which 2 devices cannot share alike", e.Message, StringComparison.Ordinal);
        e = Assert.Throws<LandmarkException>(() => new Trainer(Recipe(1), Into("one", 2)));
        Assert.Contains("accumulates 1 batch, which", e.Message, StringComparison.Ordinal);
    }

    private static TrainingOptions Recipe(int accumulate) => TinyRun.Recipe with
    {
        Steps = 7,
        Stages = [new TrainingStage { Window = 96, Rows = 2, Accumulate = accumulate, TaskShare = 0 }],
    };

    private TrainingRun Into(string name, int devices) =>
        tiny.Into(name) with { Devices = [.. Enumerable.Repeat(CPU, devices)] };

    private void Run(string name, TrainingOptions recipe, int devices)
    {
        using var trainer = new Trainer(recipe, Into(name, devices));
        Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
    }

    private static double Loss(string line) => JsonDocument.Parse(line).RootElement.GetProperty("loss").GetDouble();
}
