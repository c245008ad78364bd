using System.CommandLine;
using System.Text;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Evaluation.Experiments;
using LandmarkSharp.Training;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark experiment</c>: the paper's tables and figures, on texts of one's own.</summary>
internal sealed class ExperimentCommand : LandmarkCommand
{
    private const int Columns = 80, PlotRows = 18;

    private readonly Argument<string> name =
        new("NAME") { Description = $"Which: {string.Join(", ", Experiment.All.Select(e => e.Name))}." };
    private readonly Option<string> recipe =
        new("--recipe") { Description = "The landmark model's recipe, of one stage; other models are variants of it.", Required = true, HelpName = "FILE" };
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
        Description = "Seeds to train with; language modelling trains a model for each.",
        DefaultValueFactory = _ => [1],
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly Option<long> heldOut = new("--held-out")
    {
        Description = "Held-out tokens that a perplexity is of, at most.",
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
            "experiment table1 --recipe books.json --tokenizer tokenizer.model --shards tokens/train --validation tokens/validation --out lab --seeds 1 2 --device cuda",
            "experiment figure5 --recipe books.json --tokenizer tokenizer.model --shards tokens/train --validation tokens/validation --out lab --device cuda")
    {
        name.AcceptOnlyFromAmong([.. Experiment.All.Select(e => e.Name)]);
        Arguments.Add(name);
        foreach (var option in (IEnumerable<Option>)[recipe, tokenizer, shards, validation, folder, seeds, heldOut, trials, limit]) Options.Add(option);
        device.AddTo(this);
    }

    /// <summary>A step may take minutes, and what was trained before it is to be saved.</summary>
    public override TimeSpan StopsWithin => Timeout.InfiniteTimeSpan;

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var experiment = Experiment.All.First(e => e.Name == parsed.GetValue(name));
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        if (TrainCommand.Limit(parsed.GetValue(limit)) is { } most) limited.CancelAfter(most);
        var run = new TrainingRun
        {
            Output = parsed.GetValue(folder)!,
            Tokenizer = parsed.GetValue(tokenizer)!,
            Shards = parsed.GetValue(shards)!,
            ValidationShards = parsed.GetValue(validation),
            Devices = [device.Device(parsed)],
        };
        using var lab = new Laboratory(
            TrainingOptions.Load(parsed.GetValue(recipe)!), run,
            new ExperimentSize(parsed.GetValue(seeds)!, parsed.GetValue(heldOut), parsed.GetValue(trials)),
            what =>
            {
                output.Line(Markup.Escape(what));
                output.Event(new { @event = "doing", what });
            },
            progress =>
            {
                if (progress.Line.Step % 100 == 0 || progress.Line.Loss is null) TrainCommand.Report(output, progress);
            },
            limited.Token);
        var result = experiment.Run(lab);
        Write(experiment, result, run.Output);
        Tell(experiment, result, output);
        return Tool.Success;
    }

    /// <summary>Leaves the table and the picture in the folder.</summary>
    private static void Write(Experiment experiment, ExperimentResult result, string folder)
    {
        var page = new StringBuilder();
        page.Append($"## {experiment.Title}\n\n");
        page.Append($"| {string.Join(" | ", result.Columns)} |\n|{string.Concat(result.Columns.Select(_ => "---|"))}\n");
        foreach (var row in result.Rows) page.Append($"| {string.Join(" | ", row)} |\n");
        page.Append("\n| what the paper found | here | figures |\n|---|---|---|\n");
        foreach (var claim in result.Claims) page.Append($"| {claim.Text} | {(claim.Holds ? "yes" : "**no**")} | {claim.Figures} |\n");
        if (result.Chart is { } chart)
        {
            page.Append($"\n![{experiment.Title}]({experiment.Name}.svg)\n");
            File.WriteAllText(Path.Combine(folder, $"{experiment.Name}.svg"), SvgPlot.Draw(Drawn(chart)));
        }
        File.WriteAllText(Path.Combine(folder, $"{experiment.Name}.md"), page.ToString());
    }

    private static void Tell(Experiment experiment, ExperimentResult result, Output output)
    {
        output.Line($"[bold]{Markup.Escape(experiment.Title)}[/]");
        output.Table(result.Columns, result.Rows);
        foreach (var claim in result.Claims)
            output.Line($"{(claim.Holds ? "[green]yes[/]" : "[red]no[/] ")} {Markup.Escape(claim.Text)}: {Markup.Escape(claim.Figures)}");
        if (result.Chart is { } given)
        {
            var chart = Drawn(given);
            output.Line($"{Markup.Escape(chart.Up)} by {chart.Across}");
            foreach (var line in TerminalPlot.Draw(chart, Columns, PlotRows)) output.Line(line);
            foreach (var (i, curve) in chart.Curves.Index())
                output.Line($"[{TerminalPlot.Colour(i)}]{Chart.Letter(i)}[/] {Markup.Escape(curve.Name)}");
        }
        output.Event(new { @event = "end", experiment = experiment.Name, result.Columns, result.Rows, result.Claims });
    }

    private static Chart Drawn(ExperimentChart chart) =>
        new(chart.Curves.Select(c => new Curve(c.Name, c.Points)), chart.Across, chart.Up);
}
