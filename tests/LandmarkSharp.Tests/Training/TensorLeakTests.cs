using LandmarkSharp.Attention;
using LandmarkSharp.Models;
using LandmarkSharp.Tests.Tensors;
using LandmarkSharp.Tests.Training.Distributed;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Training;

/// <summary>How many tensors there are, before and after.</summary>
[Collection(AloneCollection.Name)]
public sealed class TensorLeakTests : IDisposable
{
    private static readonly TrainingOptions Recipe = TinyRun.Recipe with
    {
        Stages =
        [
            new TrainingStage { Window = 512, Rows = 2, TaskShare = 0.5 },
            new TrainingStage { FromStep = 4, Window = 64, Rows = 1, Accumulate = 2, TaskShare = 0 },
        ],
    };

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(1, false)]
    [InlineData(2, false)]
    [InlineData(1, true)]
    [InlineData(2, true, false, 0.5)]
    [InlineData(1, false, true)]
    public void StepsLeaveNoTensorBehind(int devices, bool all, bool recurrent = false, double contextMiss = 0)
    {
        var recipe = recurrent ? Recipe with { BlockTokens = 0, Recurrence = new Recurrence { Window = 48, Cache = 30 } }
            : all ? Recipe with
            {
                RecomputeLayers = true,
                GroupDropout = 0.2,
                Dropout = 0.2,
                PositionJump = 9,
                Documents = DocumentPacking.Separate,
                ContextMiss = contextMiss,
            }
            : Recipe;
        void Train(string name, long steps)
        {
            // It ends with a validation: what a step's backward leaves, the next forward frees.
            using var trainer = new Trainer(
                recipe with { Steps = steps, Stages = [.. Recipe.Stages.Select(s => s with { Accumulate = 2 })] },
                tiny.Into(name) with
                {
                    ValidationShards = tiny.Validation,
                    ValidateEvery = 3,
                    SaveEvery = 5,
                    Devices = [.. Enumerable.Repeat(CPU, devices)],
                });
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        }
        LeavesNone(Train, 6, 16);
    }

    [Theory]
    [InlineData(8, false)]
    [InlineData(4, true)]
    public void StepsBesideAQuantizedBaseLeaveNoTensorBehind(int bits, bool recompute)
    {
        using var from = new BaseFolder(tiny, "llama");
        void Train(string name, long steps)
        {
            var recipe = FineTuneTests.Recipe(from, steps, $$""", "lora": {"base_bits": {{bits}}}""") with
            {
                RecomputeLayers = recompute,
                ContextMiss = recompute ? 0.5 : 0,
            };
            using var trainer = new Trainer(recipe, from.Into(tiny, name) with { ValidationShards = from.Shards, ValidateEvery = 3 });
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        }
        LeavesNone(Train, 6, 15);
    }

    [Fact]
    public void ProcessesLeaveNoTensorBehind()
    {
        void Train(string name, long steps) => ThreadGroup.Run(2, group =>
        {
            using var trainer = new Trainer(
                Recipe with { Steps = steps, Stages = [.. Recipe.Stages.Select(s => s with { Accumulate = 2 })] },
                tiny.Into(name) with { Group = group, ValidationShards = tiny.Validation, ValidateEvery = 3, SaveEvery = 5 });
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        });
        LeavesNone(Train, 6, 16);
    }

    [Fact]
    public void WhatCannotBeMadeIsFreed()
    {
        var config = TinyRun.Recipe.Model(300, 2, "any");
        var last = $"model.layers.{config.Layers - 1}.mlp.down_proj.weight";
        Assert.Equal(0, Left(() => Assert.Throws<LandmarkException>(() => new Decoder(
            config, (name, shape) => name == last ? throw new LandmarkException("It is missing.") : zeros(shape)))));
        Assert.Equal(0, Left(() => Assert.Throws<LandmarkException>(() => new Trainer(
            Recipe, tiny.Into("none") with { StartFrom = tiny["nowhere"] }))));
    }

    // Which of a device's threads is done last decides whether its last step's few tensors are counted; a leak is one a step at least.
    private static void LeavesNone(Action<string, long> train, long few, long many)
    {
        train("first", few);
        var left = Left(() => train("short", few));
        Assert.InRange(Left(() => train("long", many)) - left, few - many + 1, many - few - 1);
    }

    private static long Left(Action action)
    {
        // What others left behind must not end meanwhile; what is left behind here would, if it were collected after.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        var before = Tensor.TotalCount;
        action();
        return Tensor.TotalCount - before;
    }
}
