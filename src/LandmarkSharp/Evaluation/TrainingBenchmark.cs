using System.Diagnostics;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation;

/// <summary>What a step of training costs.</summary>
/// <param name="Parameters">Of the model, those of an adapter counted.</param>
/// <param name="Trained">Of those, the ones that training changes.</param>
/// <param name="Positions">That a step trains on, landmarks counted.</param>
/// <param name="Seconds">Of a step, on average.</param>
/// <param name="Flops">Operations that a step asks for, <see cref="ModelWork.FlopsPerPosition"/>.</param>
/// <param name="Peak">Operations a second that the device can do in the activations' type; null where that is not known.</param>
/// <param name="Bytes">
/// Memory that training took: on a card what libtorch reserved, which it does not give back, on the CPU the most that the process had.
/// </param>
/// <param name="Parts">Where a step's time goes, each part waited for.</param>
public sealed record TrainingTiming(
    long Parameters, long Trained, long Positions, double Seconds, double Flops, double? Peak, long Bytes, TrainingParts Parts)
{
    /// <summary>Positions a second.</summary>
    public double PositionsPerSecond => Positions / Seconds;

    /// <summary>Operations a second.</summary>
    public double FlopsPerSecond => Flops / Seconds;
}

/// <summary>Seconds of a step's parts; waiting for each costs what the device could have begun of the next.</summary>
/// <param name="Forward">Layers of all batches, and output and loss with their gradients.</param>
/// <param name="Backward">Gradients of the layers.</param>
/// <param name="Optimizer">Their norm, and AdamW.</param>
public sealed record TrainingParts(double Forward, double Backward, double Optimizer);

/// <summary>
/// Times a recipe's training steps as the trainer makes them, with random weights and random tokens; of one with an adapter, beside a
/// made-up model of the recipe's shapes.
/// </summary>
public static class TrainingBenchmark
{
    private const int Tokens = 1 << 20, DocumentTokens = 1000;

    /// <summary>Trains some steps of the recipe's first stage, after as many that are not measured.</summary>
    /// <param name="recipe">What is trained; tasks are left out.</param>
    /// <param name="vocabulary">Tokens of the tokenizer.</param>
    /// <param name="steps">Steps that are measured.</param>
    /// <param name="device">Where.</param>
    /// <param name="cancel">Stops after the step at hand.</param>
    /// <exception cref="LandmarkException">The recipe cannot be trained.</exception>
    public static TrainingTiming Run(TrainingOptions recipe, int vocabulary, int steps, Device device, CancellationToken cancel = default)
    {
        recipe.Checked();
        var (stage, type) = (recipe.Stages[0], recipe.Compute(device));
        var config = recipe.Model(vocabulary, null, "random") with { Lora = recipe.Lora };
        var onCard = device.type == DeviceType.CUDA;
        if (onCard) zeros(1, device: device).Dispose();     // what a card takes before anything is on it does not count
        var before = ProcessMemory.CardBytes(device);

        using var model = Checkpoint.Create(config, device, type, recipe.Seed);
        foreach (var parameter in model.Trainable.Values) parameter.requires_grad_();
        using var optimizer = new AdamW(model.Trainable, recipe);
        using var gradients = new StepGradients(model, [], recipe);
        using var loss = new LanguageModelLoss(model, recipe.GroupDropout, recipe.RecomputeLayers, recipe.ContextMiss, recipe.Dropout);
        using var batches = new BatchPrefetcher(Maker(recipe, stage, config, vocabulary), pinned: onCard);

        Train(steps);
        var seconds = Seconds(() => Train(steps)) / steps;
        var parts = Parts(Math.Max(1, steps / 4));
        var bytes = ProcessMemory.CardBytes(device) - before ?? ProcessMemory.PeakResidentBytes;
        var positions = (long)stage.Rows * stage.Window * stage.Accumulate;
        return new TrainingTiming(
            model.ParameterCount, model.Trainable.Values.Sum(p => p.numel()), positions, seconds, ModelWork.FlopsPerPosition(config, stage.Window) * positions,
            ModelWork.Peak([device], type), bytes, parts);

        void Train(int count)
        {
            for (var i = 0; i < count; i++)
            {
                cancel.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                scope.Attach(gradients.Backward(batches.Next(stage.Accumulate)));
                optimizer.Step(recipe.PeakRate);
            }
        }

        TrainingParts Parts(int count)
        {
            var (forward, backward, update) = (0.0, 0.0, 0.0);
            for (var i = 0; i < count; i++)
            {
                cancel.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var step = batches.Next(stage.Accumulate);
                var weight = full([], step.Sum(b => b.Weight), ScalarType.Float32, device);
                foreach (var batch in step)
                {
                    using var part = NewDisposeScope();
                    BatchLoss of = default;
                    forward += Seconds(() => of = loss.Of(batch, weight));
                    backward += Seconds(() => of.Gradients!.Backward());
                }
                update += Seconds(() => optimizer.Step(recipe.PeakRate));
            }
            return new TrainingParts(forward / count, backward / count, update / count);
        }

        double Seconds(Action work)
        {
            if (onCard) cuda.synchronize(device);
            var clock = Stopwatch.StartNew();
            work();
            if (onCard) cuda.synchronize(device);
            return clock.Elapsed.TotalSeconds;
        }
    }

    private static BatchMaker Maker(TrainingOptions recipe, TrainingStage stage, ModelConfig config, int vocabulary)
    {
        var random = new Random((int)recipe.Seed);
        int[] tokens = [.. Enumerable.Range(0, Math.Max(Tokens, 2 * stage.Window)).Select(_ => random.Next(vocabulary))];
        long[] documents = [.. Enumerable.Range(0, tokens.Length / DocumentTokens).Select(i => (long)i * DocumentTokens)];
        return new BatchMaker(
            new BatchOptions
            {
                Rows = stage.Rows,
                Length = stage.Window,
                BlockLength = recipe.BlockTokens,
                LandmarkId = config.Landmark?.Id ?? -1,
                LandmarkLoss = recipe.LandmarkLoss,
                Documents = recipe.Documents,
                PositionJump = recipe.PositionJump,
                Seed = recipe.Seed,
            },
            [new WeightedSource(TokenSource.FromTokens(tokens), 1, documents)]);
    }
}
