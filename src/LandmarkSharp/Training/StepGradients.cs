using System.Collections.Concurrent;
using LandmarkSharp.Models;
using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>
/// Runs a step's batches forward and backward, on one device or shared out among several: the n-th batch goes to the n-th
/// device, which has a copy of the model, and the gradients are summed in the model's own. The same step on any number.
/// </summary>
internal sealed class StepGradients : IDisposable
{
    private readonly Decoder model;
    private readonly ProcessGroup? group;
    private readonly List<Decoder> copies = [];
    private readonly LanguageModelLoss[] losses = [];   // of the model, then of each copy
    private readonly DeviceThread[] threads = [];          // one for each of several: a single one would serve them one after the other

    /// <summary>Copies the model to the devices that are to help.</summary>
    /// <param name="model">The model; its trainable parameters require gradients.</param>
    /// <param name="others">Further devices.</param>
    /// <param name="options">Of the recipe.</param>
    /// <param name="group">The processes that share the step; null where this one has all of it.</param>
    public StepGradients(Decoder model, IEnumerable<Device> others, TrainingOptions options, ProcessGroup? group = null)
    {
        (this.model, this.group) = (model, group);
        try
        {
            foreach (var device in others)
                copies.Add(new Decoder(model.Config, (name, _) => Copy(model.Parameters[name], device), model.ComputeType));
        }
        catch
        {
            Dispose();      // the copies before the one that did not fit
            throw;
        }
        losses = [.. copies.Prepend(model).Select(
            m => new LanguageModelLoss(m, options.GroupDropout, options.RecomputeLayers, options.ContextMiss, options.Dropout))];
        threads = copies.Count == 0 ? [] : [.. losses.Select(_ => new DeviceThread())];
    }

    /// <summary>Throws where a step's batches cannot be shared out alike.</summary>
    /// <exception cref="LandmarkException">A stage accumulates no multiple of the run's devices or processes.</exception>
    public static void RequireAlikeShares(TrainingOptions options, TrainingRun run)
    {
        if (run is { Group: not null, Devices.Count: > 1 })
            throw new LandmarkException($"Of several processes each trains on one device, and this one has {run.Devices.Count}; name one.");
        var (sharers, kind) = run.Group is { Size: var size } ? (size, "processes") : (Math.Max(1, run.Devices.Count), "devices");
        foreach (var stage in options.Stages.Where(s => s.Accumulate % sharers != 0))
            throw new LandmarkException(
                $"The stage from step {stage.FromStep} accumulates {stage.Accumulate} "
                + $"batch{(stage.Accumulate == 1 ? "" : "es")}, which {sharers} {kind} cannot share alike; "
                + $"set its accumulate to a multiple of them, or give fewer {kind}.");
    }

    /// <summary>Leaves the gradients of the step's loss in the model's parameters: of several processes, this one's summand of them.</summary>
    /// <param name="step">The batches; of several processes, this one's share. Devices get alike many.</param>
    /// <returns>
    /// The step's loss, the sums of cross-entropy over text and over answers, and how many tokens these are, over all devices and
    /// processes: [5] on the model's device, in no scope.
    /// </returns>
    public Tensor Backward(IReadOnlyList<PackedBatch> step)
    {
        using var scope = NewDisposeScope();
        // Weights are summed over the whole step first, so that accumulation equals one large batch. Filling waits for no device.
        var known = stack([Scalar(step.Sum(b => b.Weight)), Scalar(step.Sum(b => b.TextTokens)), Scalar(step.Sum(b => b.AnswerTokens))]);
        group?.Sum(known);
        var sums = copies.Count == 0 ? Backward(losses[0], step, known[0]) : BackwardOnAll(step, known[0]);
        scope.Attach(sums);
        group?.Sum(sums);
        return cat([sums, known[1..]]).DetachFromDisposeScope();

        Tensor Scalar(double value) => full([], value, ScalarType.Float32, model.Device);
    }

    /// <summary>Gives the copies the parameters that the optimizer left in the model.</summary>
    public void Update()
    {
        using var quiet = no_grad();
        foreach (var copy in copies)
            foreach (var (name, parameter) in copy.Trainable)
                parameter.copy_(model.Parameters[name]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var thread in threads) thread.Dispose();
        foreach (var loss in losses) loss.Dispose();
        foreach (var copy in copies) copy.Dispose();
    }

    private static Tensor Copy(Tensor parameter, Device device)
    {
        using var detached = parameter.detach();
        return detached.to(detached.dtype, device, copy: true).requires_grad_(parameter.requires_grad);
    }

    private Tensor BackwardOnAll(IReadOnlyList<PackedBatch> step, Tensor weight)
    {
        using var scope = NewDisposeScope();
        var parts = Task.WhenAll(threads.Select((thread, device) => thread.Run(
            () => Backward(losses[device], step.Where((_, i) => i % threads.Length == device), weight)))).GetAwaiter().GetResult();
        using var quiet = no_grad();
        foreach (var copy in copies)
            foreach (var (name, parameter) in copy.Trainable)
            {
                model.Parameters[name].grad!.add_(parameter.grad!.to(model.Device));
                parameter.grad = null;
            }
        foreach (var part in parts) scope.Attach(part);
        return parts.Select(p => p.to(model.Device)).Aggregate((a, b) => a + b).DetachFromDisposeScope();
    }

    private static Tensor Backward(LanguageModelLoss loss, IEnumerable<PackedBatch> batches, Tensor weight)
    {
        using var scope = NewDisposeScope();
        Tensor? sums = null;
        foreach (var batch in batches)
        {
            using var part = NewDisposeScope();
            var result = loss.Of(batch, weight);
            result.Gradients!.Backward();
            var now = stack([result.Loss, result.Text, result.Answers]);
            sums = (sums is null ? now : sums + now).MoveToOuterDisposeScope();
        }
        return sums!.DetachFromDisposeScope();
    }
}

/// <summary>A thread that runs what it is given, one after the other: what libtorch keeps for a thread is made once.</summary>
internal sealed class DeviceThread : IDisposable
{
    private readonly BlockingCollection<Task> given = [];
    private readonly Thread thread;

    /// <summary>Starts it.</summary>
    public DeviceThread()
    {
        thread = new Thread(() =>
        {
            foreach (var task in given.GetConsumingEnumerable()) task.RunSynchronously();
        })
        { IsBackground = true };
        thread.Start();
    }

    /// <summary>Runs a function after those before it.</summary>
    public Task<T> Run<T>(Func<T> function)
    {
        var task = new Task<T>(function);
        given.Add(task);
        return task;
    }

    /// <summary>Waits until it has done what it was given: what it keeps for itself is then no longer held.</summary>
    public void Dispose()
    {
        given.CompleteAdding();
        thread.Join();
        given.Dispose();
    }
}
