using System.CommandLine;
using LandmarkSharp.Models;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Distributed;
using Spectre.Console;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark train</c>: from a recipe and token shards to a model.</summary>
internal class TrainCommand : LandmarkCommand
{
    private readonly Argument<string> recipe = new("RECIPE") { Description = "The recipe, a JSON file." };
    private readonly Option<string> tokenizer =
        new("--tokenizer") { Description = "Tokenizer file or folder.", Required = true, HelpName = "PATH" };
    private readonly Option<string> shards = new("--shards")
    {
        Description = "Token shards of the training texts ('landmark tokenizer shards').",
        Required = true,
        HelpName = "DIR",
    };
    private readonly Option<string?> validation = new("--validation") { Description = "Token shards of held-out texts.", HelpName = "DIR" };
    private readonly Option<string> folder = new("--out")
    {
        Description = "Folder for all that the run leaves; a run found there goes on.",
        Required = true,
        HelpName = "DIR",
    };
    private readonly Option<string?> start = new("--from")
    {
        Description = "Folder of a model to begin with, of the recipe's shapes; random weights when not given.",
        HelpName = "MODEL",
    };
    private readonly Option<double?> limit =
        new("--limit") { Description = "Stop with a checkpoint after so many seconds.", HelpName = "SECONDS" };
    private readonly Option<int> report = Every("--report-every", 20, "Steps between reports.");
    private readonly Option<int> validate = Every("--validate-every", 500, "Steps between validations.");
    private readonly Option<int> sample = Every(
        "--sample-every", 500, "Steps between samples: how the model goes on with held-out texts (--validation); 0 for none.", least: 0);
    private readonly Option<int> save = Every("--save-every", 1000, "Steps between checkpoints.");
    private readonly Option<int> keep = Every("--max-keep", 2, "Checkpoints to keep.");
    private readonly DeviceOptions device = new(several: true);

    public TrainCommand()
        : this(
            "train", "Trains a landmark model from scratch or from another's weights, or goes on with a run that stopped.",
            "train recipe.json --tokenizer tokenizer.model --shards tokens/train --validation tokens/validation --out runs/first",
            "train recipe.json --tokenizer tokenizer.model --shards tokens/train --out runs/first --device cuda --limit 600 --json",
            "train recipe.json --tokenizer tokenizer.model --shards tokens/train --out runs/first --device cuda:0,cuda:1")
    {
        Options.Insert(0, tokenizer);       // what a run begins with is asked for first
        Options.Add(start);
    }

    /// <summary>What every command that trains has.</summary>
    protected TrainCommand(string name, string description, params string[] examples)
        : base(name, description, examples)
    {
        Arguments.Add(recipe);
        foreach (var option in (IEnumerable<Option>)[shards, validation, folder, limit, report, validate, sample, save, keep])
            Options.Add(option);
        device.AddTo(this);
    }

    /// <summary>A step may take minutes, and what was trained before it is to be saved.</summary>
    public override TimeSpan StopsWithin => Timeout.InfiniteTimeSpan;

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        if (parsed.GetResult(sample) is { Implicit: false } && parsed.GetValue(sample) > 0 && parsed.GetValue(validation) is null)
            throw new LandmarkException(
                "Samples go on with held-out texts, and there are none; give --validation, or leave out --sample-every.");
        var launch = Launch.FromEnvironment();
        torch.Device[] devices = launch is null ? device.Devices(parsed) : [device.Device(parsed, launch)];
        var (options, run) = Read(parsed, parsed.GetValue(recipe)!, new TrainingRun
        {
            Output = parsed.GetValue(folder)!,
            Tokenizer = parsed.GetValue(tokenizer) ?? "",
            Shards = parsed.GetValue(shards)!,
            ValidationShards = parsed.GetValue(validation),
            StartFrom = parsed.GetValue(start),
            Devices = devices,
            ReportEvery = parsed.GetValue(report),
            ValidateEvery = parsed.GetValue(validate),
            SampleEvery = parsed.GetValue(sample),
            SaveEvery = parsed.GetValue(save),
            Keep = parsed.GetValue(keep),
            Limit = Limit(parsed.GetValue(limit)),
        });
        using var group = launch?.Join(devices[0]);
        run = run with { Group = group };
        using var trainer = new Trainer(options, run);
        if (group is { Rank: > 0 })
        {
            trainer.Run(cancel: cancel);
        }
        else
        {
            if (trainer.Decoder.Config.Landmark is { } landmark) WarnOfSpan(landmark, parsed);
            Lead(trainer, options, run, output, cancel);
        }
        group?.Leave();
        return cancel.IsCancellationRequested ? Tool.Cancelled : Tool.Success;
    }

    /// <summary>Says so where the finished model would read at positions that it was not trained on.</summary>
    private static void WarnOfSpan(LandmarkConfig landmark, ParseResult parsed)
    {
        if (landmark.Span(landmark.Retrieval()) is var span && span > landmark.TrainContext)
            Tool.Warn(
                $"The recipe's top_k and window_blocks take {span:N0} positions, and its windows have {landmark.TrainContext:N0}; "
                + "lower them, or the finished model may read badly.", parsed);
    }

    /// <summary>Trains, and tells of it.</summary>
    private static void Lead(Trainer trainer, TrainingOptions options, TrainingRun run, Output output, CancellationToken cancel)
    {
        var together = run.Group is { } group ? $" in each of {group.Size} processes" : "";
        output.Line($"{trainer.Decoder.ParameterCount / 1e6:F1} M parameters on {string.Join(" and ", run.Devices)}{together}, "
            + $"step {trainer.Step} of {options.Steps}");
        // Between several processes and a terminal stands a launcher, which passes lines on.
        var done = output.IsLive && run.Group is null
            ? new TrainingDisplay(trainer, options, run).Show(report => trainer.Run(report, cancel))
            : trainer.Run(p => Report(output, p), cancel);
        output.Event(new
        {
            @event = "end",
            done,
            step = trainer.Step,
            positions = trainer.Positions,
            peak_rss_mb = ProcessMemory.PeakResidentBytes / 1_000_000,
        });
        output.Line(done
            ? $"Done: {(options.Lora is null ? "the model" : "the adapter")} is in {Markup.Escape(trainer.Finished)}."
            : $"Stopped at step {trainer.Step}; the same command goes on from there.");
    }

    /// <summary>The recipe and the run of a command line.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="recipe">The recipe's path.</param>
    /// <param name="run">What all commands that train have options for.</param>
    protected virtual (TrainingOptions Options, TrainingRun Run) Read(ParseResult parsed, string recipe, TrainingRun run) =>
        (TrainingOptions.Load(recipe), run);

    /// <summary>Tells how a training goes.</summary>
    internal static void Report(Output output, TrainingProgress progress)
    {
        var line = progress.Line;
        output.Event(new
        {
            @event = line.Loss is null ? "validation" : "step",
            line.Step,
            progress.Steps,
            line.Loss,
            line.TextLoss,
            line.AnswerLoss,
            line.Rate,
            line.GradientNorm,
            line.Positions,
            line.ValidationLoss,
            line.ValidationAnswerLoss,
            line.ValidationAnswersRight,
            positions_per_second = Math.Round(progress.PositionsPerSecond),
            seconds_left = Math.Round(progress.Left.TotalSeconds),
        });
        // A run without retrieval tasks has no answers, and one of nothing else no text.
        string?[] told = line.Loss is null
            ? [
                line.ValidationLoss is { } held ? $"held-out perplexity {Math.Exp(held):F2}" : null,
                line.ValidationAnswerLoss is { } asked ? $"answer loss {asked:F4}, answers right {line.ValidationAnswersRight:P1}" : null,
            ]
            : [
                $"loss {line.Loss:F4}",
                line.TextLoss is { } text ? $"text {text:F3}" : null,
                line.AnswerLoss is { } answers ? $"answers {answers:F4}" : null,
                $"{progress.PositionsPerSecond / 1e3:F1} k positions/s",
                $"{(long)progress.Left.TotalHours:00}:{progress.Left:mm\\:ss} left",
            ];
        output.Line($"step {line.Step} of {progress.Steps}: {string.Join(", ", told.OfType<string>())}");
    }

    /// <summary>A limit in seconds.</summary>
    /// <exception cref="LandmarkException">It is none.</exception>
    internal static TimeSpan? Limit(double? seconds) => seconds switch
    {
        null => null,
        > 0 and < 1e9 => TimeSpan.FromSeconds(seconds.Value),
        _ => throw new LandmarkException($"The limit is {seconds} seconds; it must be above 0 and below a billion."),
    };

    private static Option<int> Every(string name, int value, string description, int least = 1)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => value, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < least) result.AddError($"{name} must be at least {least}");
        });
        return option;
    }
}
