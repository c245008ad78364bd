using System.CommandLine;
using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Training;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark experiment</c>: the paper's tables and figures, on texts of one's own.</summary>
internal sealed class ExperimentCommand : LandmarkCommand
{
    private readonly Argument<string> name =
        new("NAME") { Description = $"Which: {string.Join(", ", Experiment.All.Select(e => e.Name))}." };
    private readonly Option<string> recipe =
        new("--recipe") { Description = "Recipe of the landmark model, of one stage; others are its variants.", Required = true, HelpName = "FILE" };
    private readonly Option<string> tokenizer =
        new("--tokenizer") { Description = "Tokenizer file or folder.", Required = true, HelpName = "PATH" };
    private readonly Option<string> shards =
        new("--shards") { Description = "Token shards of the training texts.", Required = true, HelpName = "DIR" };
    private readonly Option<string> validation =
        new("--validation") { Description = "Token shards of held-out texts.", Required = true, HelpName = "DIR" };
    private readonly Option<string> folder = new("--out")
    {
        Description = "Folder for models, measurements and results; what is there is not done again.",
        Required = true,
        HelpName = "DIR",
    };
    private readonly Option<long[]> seeds = new("--seeds")
    {
        Description = "Seeds to train with, the recipe's when not given; table1 and table2 train a model for each, the others take one.",
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly Option<long> heldOut = new("--held-out")
    {
        Description = "Held-out tokens of each source that a perplexity is of, at most.",
        DefaultValueFactory = _ => 1_000_000,
        HelpName = "N",
    };
    private readonly Option<int> trials = BenchOptions.Number("--trials", 50, "Prompts of a pass key test.");
    private readonly Option<double?> limit =
        new("--limit") { Description = "Stop after so many seconds; the same command goes on.", HelpName = "SECONDS" };
    private readonly DeviceOptions device = new();

    public ExperimentCommand()
        : base(
            "experiment", "Repeats an experiment of the paper, from training to table and picture, or goes on with one that stopped.",
            "experiment table1 --recipe books.json --tokenizer tokenizer.model --shards tokens/train "
            + "--validation tokens/validation --out lab --seeds 1 2 --device cuda",
            "experiment figure5 --recipe books.json --tokenizer tokenizer.model --shards tokens/train "
            + "--validation tokens/validation --out lab --device cuda")
    {
        name.AcceptOnlyFromAmong([.. Experiment.All.Select(e => e.Name)]);
        Arguments.Add(name);
        foreach (var option in (IEnumerable<Option>)[recipe, tokenizer, shards, validation, folder, seeds, heldOut, trials, limit])
            Options.Add(option);
        device.AddTo(this);
    }

    /// <summary>A step may take minutes, and what was trained before it is to be saved.</summary>
    public override TimeSpan StopsWithin => Timeout.InfiniteTimeSpan;

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var experiment = Experiment.All.First(e => e.Name == parsed.GetValue(name));
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var most = TrainCommand.Limit(parsed.GetValue(limit));
        var options = TrainingOptions.Load(parsed.GetValue(recipe)!);
        long[] given = parsed.GetValue(seeds) is { Length: > 0 } some ? some : [options.Seed];
        if (given.Length > 1 && !experiment.IsOfSeeds)
            throw new LandmarkException($"The experiment {experiment.Name} is of one seed, and {given.Length} are given; give one of --seeds.");
        var run = new TrainingRun
        {
            Output = parsed.GetValue(folder)!,
            Tokenizer = parsed.GetValue(tokenizer)!,
            Shards = parsed.GetValue(shards)!,
            ValidationShards = parsed.GetValue(validation),
            Devices = [device.Device(parsed)],
            ReportEvery = 100,
        };
        using var lab = new Laboratory(
            options, run, new ExperimentSize(given, parsed.GetValue(heldOut), parsed.GetValue(trials)),
            what =>
            {
                output.Text(what + "\n");       // as long as it is
                output.Event(new { @event = "doing", what });
            },
            progress => TrainCommand.Report(output, progress), limited.Token);
        if (most is { } time) limited.CancelAfter(time);
        try
        {
            var result = experiment.Run(lab);
            var conditions = ExperimentConditions.Of(lab, experiment);
            Tell(experiment, conditions, result, ExperimentPage.Write(lab, experiment, conditions, result), output);
            return Tool.Success;
        }
        catch (OperationCanceledException) when (limited.IsCancellationRequested)
        {
            output.Event(new { @event = "end", done = false, experiment = experiment.Name });
            output.Line("Stopped; the same command goes on from there.");
            return cancel.IsCancellationRequested ? Tool.Cancelled : Tool.Success;
        }
    }

    private static void Tell(
        Experiment experiment, IReadOnlyList<(string Name, string Value)> conditions, ExperimentResult result, string page, Output output)
    {
        output.Line($"[bold]{Markup.Escape(experiment.Title)}[/]");
        foreach (var (what, value) in conditions) output.Line(Markup.Escape($"{what}: {value}"));
        output.Table(result.Columns, result.Rows);
        foreach (var claim in result.Claims)
            output.Line($"{(claim.Holds ? "[green]yes[/]" : "[red]no[/] ")} {Markup.Escape(claim.Text)}: {Markup.Escape(claim.Figures)}");
        if (result.Chart is { } chart) output.Plot(ExperimentPage.Chart(chart));
        output.Text($"Written to {page}.\n");
        output.Event(new
        {
            @event = "end",
            done = true,
            experiment = experiment.Name,
            conditions = conditions.ToDictionary(c => c.Name, c => c.Value),
            result.Columns,
            result.Rows,
            result.Claims,
            page,
        });
    }
}
