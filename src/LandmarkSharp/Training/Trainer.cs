using System.Diagnostics;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Text;
using LandmarkSharp.Training.Distributed;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Training;

/// <summary>How far a run is.</summary>
/// <param name="Line">The newest metrics.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="PositionsPerSecond">Since the report before.</param>
/// <param name="Left">Time left at this speed.</param>
public sealed record TrainingProgress(MetricsLine Line, long Steps, double PositionsPerSecond, TimeSpan Left);

/// <summary>
/// Trains a landmark model (the paper's section 4.1), from scratch or from a model's weights. Batches depend on the
/// seed and the step alone, so a run that was stopped or killed goes on from its newest checkpoint to the same losses.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly TrainingOptions options;
    private readonly TrainingRun run;
    private readonly TrainingData data;
    private readonly Decoder decoder;
    private readonly IOptimizer optimizer;
    private readonly StepGradients gradients;
    private readonly TrainingCheckpoints checkpoints;
    private readonly List<(MetricsLine Line, Tensor Sums)> unread = [];

    /// <summary>Opens the data, makes the model, and takes up the newest checkpoint if there is one.</summary>
    /// <exception cref="LandmarkException">Recipe, data or checkpoint do not fit; the message says which.</exception>
    public Trainer(TrainingOptions options, TrainingRun run)
    {
        (this.options, this.run) = (options.Checked(), run);
        checkpoints = new TrainingCheckpoints(run.Output, areBeginnings: run.Base is null || options.Lora is not null);
        try
        {
            var newest = checkpoints.LatestWhole();
            data = new TrainingData(options, run);
            var model = AfterWindowsOf(newest?.Path ?? run.StartFrom, data.Model);
            StepGradients.RequireAlikeShares(options, run);
            var device = run.Devices.FirstOrDefault(CPU);
            var type = options.Compute(device);
            decoder = data.Base?.Load(model, device, type, options.Seed) ?? Checkpoint.Create(model, device, type, options.Seed);
            foreach (var parameter in decoder.Trainable.Values) parameter.requires_grad_();
            optimizer = run.Group is { } group
                ? new ShardedAdamW(decoder.Trainable, options, group)
                : new AdamW(decoder.Trainable, options);
            if (newest is var (step, path))
            {
                RunRecord.Find(run.Output)?.RequireSame(run, data);
                TrainingCheckpoints.Restore(path, decoder, optimizer, options);
                Step = step;
            }
            else
            {
                // It would be replaced at the end, and nobody would know by what.
                if (Directory.Exists(Finished))
                    throw new LandmarkException(
                        $"The folder {run.Output} has a finished model and no checkpoint to go on from; "
                        + "give another output folder.");
                if (run.StartFrom is { } start) TrainingCheckpoints.RestoreWeights(start, decoder);
            }
            run.Group?.Begin(Step, options, data.Fingerprints, [.. decoder.Trainable.Values]);
            gradients = new StepGradients(decoder, run.Devices.Skip(1), options, run.Group);
        }
        catch
        {
            Dispose();
            throw;
        }
        Positions = Enumerable.Range(0, (int)Step).Sum(s => PositionsOf(options.Stage(s)));
    }

    /// <summary>Steps done.</summary>
    public long Step { get; private set; }

    /// <summary>Positions trained on, landmarks counted.</summary>
    public long Positions { get; private set; }

    /// <summary>The folder of the finished model, or of the finished adapter.</summary>
    public string Finished => Path.Combine(run.Output, options.Lora is null ? "model" : "adapter");

    /// <summary>The model as it stands.</summary>
    public Decoder Decoder => decoder;

    /// <summary>Trains to the end of the recipe, the limit or a cancellation, and leaves a checkpoint.</summary>
    /// <param name="report">Told of progress and validations.</param>
    /// <param name="cancel">Stops after the step at hand.</param>
    /// <returns>Whether the recipe is done; the finished model is then in <see cref="Finished"/>.</returns>
    /// <exception cref="LandmarkException">
    /// Another process trains into the folder, a loss is no number, a batch cannot be made, a source is shorter than a window, memory does
    /// not suffice, or the disk refuses; the newest checkpoint is whole.
    /// </exception>
    public bool Run(Action<TrainingProgress>? report = null, CancellationToken cancel = default)
    {
        using var alone = Leads ? RunLog.Hold(run.Output) : null;
        using var log = Leads ? new RunLog(options, run, data, decoder, Step, Positions) : null;
        var rate = options.Rate;
        var clock = Stopwatch.StartNew();
        var (lastSeconds, lastPositions) = (0.0, Positions);
        BatchPrefetcher? batches = null;
        TrainingStage? stage = null;
        Validation? validation = null;
        var (begun, saved) = (Step, Step);
        try
        {
            while (Step < options.Steps && !Stops())
            {
                if (options.Stage(Step) != stage)
                {
                    stage = options.Stage(Step);
                    validation = data.Validation(stage);
                    batches?.Dispose();
                    batches = new BatchPrefetcher(
                        data.Maker(stage),
                        ((Step - stage.FromStep) * stage.Accumulate) + (run.Group?.Rank ?? 0),
                        ahead: Math.Clamp(Environment.ProcessorCount - 1, 1, 8),
                        pinned: decoder.Device.type == DeviceType.CUDA,
                        every: run.Group?.Size ?? 1);
                }
                TrainStep(batches!, stage, rate.At(Step));
                var ends = Step == options.Steps;
                var validates = validation is not null && (Step % run.ValidateEvery == 0 || ends);
                if (Step % run.ReportEvery == 0 || validates || ends)
                {
                    var lines = Note();
                    var speed = (Positions - lastPositions) / (clock.Elapsed.TotalSeconds - lastSeconds);
                    (lastSeconds, lastPositions) = (clock.Elapsed.TotalSeconds, Positions);
                    log?.Report(Step, Positions, speed);
                    var left = TimeSpan.FromSeconds((options.Steps - Step) * PositionsOf(stage) / speed);
                    report?.Invoke(new TrainingProgress(lines[^1], options.Steps, speed, left));
                    if (validates)
                    {
                        MetricsLine line = null!;
                        Untimed(() =>
                        {
                            line = Line(validation!.Run(decoder, run.Group));
                            log?.Judge(line, stage.FromStep, Export);
                        });
                        report?.Invoke(new TrainingProgress(line, options.Steps, speed, left));
                    }
                }
                if (run.SampleEvery > 0 && Step % run.SampleEvery == 0)
                {
                    Note();
                    Untimed(() => log?.Sample(Step));
                }
                if (Step % run.SaveEvery == 0 || ends) Untimed(Save);
            }
        }
        catch (Exception e) when (OutOfMemory.Is(e))
        {
            throw TrainingFailure.NoMemory(stage!, $"{decoder.Device}", checkpoints.Onward, e);
        }
        finally
        {
            batches?.Dispose();
        }
        if (saved != Step) Save();
        var done = Step == options.Steps;
        if (done && Leads && (begun < Step || !Directory.Exists(Finished))) Finish();
        log?.End(Step, done);
        return done;

        // Of several processes each may be asked to stop; all must, after the same step.
        bool Stops()
        {
            var asked = cancel.IsCancellationRequested || clock.Elapsed > run.Limit;
            return run.Group?.Any(asked) ?? asked;
        }

        // What is no training does not count in how fast it is.
        void Untimed(Action work)
        {
            var from = clock.Elapsed.TotalSeconds;
            work();
            lastSeconds += clock.Elapsed.TotalSeconds - from;
        }

        List<MetricsLine> Note()
        {
            var lines = Read();
            log?.Add(lines);
            return lines;
        }

        void Save()
        {
            Note();
            log?.Sync();
            if (Leads) checkpoints.Save(Step, decoder, optimizer, options, run.Keep);
            else checkpoints.Attend(Step, decoder, optimizer);
            saved = Step;
        }
    }

    /// <summary>Writes the model as it stands, bfloat16, with its tokenizer.</summary>
    public void Export(string folder)
    {
        if (data.Base is { } from)
        {
            from.Save(decoder, folder);
            return;
        }
        Checkpoint.Save(decoder, folder, ScalarType.BFloat16);
        TokenizerFiles.Copy(run.Tokenizer, folder);
    }

    /// <summary>Leaves the finished model, written beside and renamed: after a kill the same command writes it from its checkpoint.</summary>
    private void Finish() => WholeFiles.WriteFolder(Finished, Export);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, sums) in unread) sums.Dispose();
        // What a constructor that threw did not get to is not there.
        gradients?.Dispose();
        optimizer?.Dispose();
        decoder?.Dispose();
        data?.Dispose();
    }

    /// <summary>A model goes on with shorter windows, and still knows the longest it was trained on.</summary>
    private static ModelConfig AfterWindowsOf(string? path, ModelConfig model) =>
        path is not null && ConfigFile.Load(path).Landmark is { TrainContext: var longest } && model.Landmark is { } own && longest > own.TrainContext
            ? model with { MaxPositions = Math.Max(model.MaxPositions, longest), Landmark = own with { TrainContext = longest } }
            : model;

    /// <summary>Whether this process writes and reports.</summary>
    private bool Leads => run.Group is not { Rank: > 0 };

    private static long PositionsOf(TrainingStage stage) => (long)stage.Rows * stage.Window * stage.Accumulate;

    private void TrainStep(BatchPrefetcher batches, TrainingStage stage, double rate)
    {
        using var scope = NewDisposeScope();
        var step = batches.Next(stage.Accumulate / (run.Group?.Size ?? 1));
        var sums = gradients.Backward(step);
        scope.Attach(sums);
        var norm = optimizer.Step(rate);
        gradients.Update();
        Step++;
        Positions += PositionsOf(stage);
        // Nothing is read from the device here: reading waits for it.
        unread.Add((
            new MetricsLine { Step = Step, Rate = rate, Positions = Positions },
            cat([sums, norm.reshape(1)]).DetachFromDisposeScope()));
    }

    /// <summary>The metrics of the steps since the last reading.</summary>
    private List<MetricsLine> Read()
    {
        List<MetricsLine> lines = [];
        foreach (var (line, sums) in unread)
        {
            using var read = sums.cpu();
            var values = read.data<float>().ToArray();
            var (loss, text, answers, texts, asked, norm) = (values[0], values[1], values[2], values[3], values[4], values[5]);
            sums.Dispose();
            if (!float.IsFinite(loss) || !float.IsFinite(norm))
                throw TrainingFailure.NoNumber($"The loss is {loss} and its gradient's norm {norm} at step {line.Step}", checkpoints.Onward);
            lines.Add(line with
            {
                Loss = loss,
                TextLoss = texts > 0 ? text / texts : null,
                AnswerLoss = asked > 0 ? answers / asked : null,
                GradientNorm = norm,
            });
        }
        unread.Clear();
        return lines;
    }

    private MetricsLine Line(ValidationResult result)
    {
        foreach (var loss in (double?[])[result.Loss, result.AnswerLoss])
            if (loss is { } l && !double.IsFinite(l))
                throw TrainingFailure.NoNumber($"The held-out loss is {l} at step {Step}", checkpoints.Onward);
        return new MetricsLine
        {
            Step = Step,
            ValidationLoss = result.Loss,
            ValidationAnswerLoss = result.AnswerLoss,
            ValidationAnswersRight = result.AnswersRight,
        };
    }
}
