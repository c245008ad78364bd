using System.CommandLine;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Training;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark runs</c>: the runs below folders, and how they are.</summary>
internal sealed class RunsCommand : LandmarkCommand
{
    private readonly Argument<string[]> folders = new("DIR")
    {
        Description = "Folders to look for runs in; the current one when not given.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    public RunsCommand()
        : base(
            "runs", "Lists training runs: how far they are and how well they do.", "runs", "runs runs/ablations --json",
            "runs compare runs/first runs/second")
    {
        Arguments.Add(folders);
        Subcommands.Add(new RunsCompareCommand());
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        string[] roots = parsed.GetValue(folders) is { Length: > 0 } given ? given : ["."];
        List<RunFolder> runs = [];
        foreach (var folder in roots.SelectMany(RunFolder.Find).Distinct())
        {
            cancel.ThrowIfCancellationRequested();
            try
            {
                runs.Add(RunFolder.Read(folder));
            }
            catch (Exception e) when (e is LandmarkException or IOException or UnauthorizedAccessException)
            {
                Tool.Warn(e.Message, parsed);
            }
        }
        output.Event(new { runs = runs.Select(Told) });
        if (runs.Count == 0) output.Line($"There are no runs below {Markup.Escape(string.Join(" and ", roots))}.");
        else output.Table(["run", "state", "positions", "loss", "held out", "speed", "begun"], runs.Select(Row));
        return Tool.Success;
    }

    private static object Told(RunFolder run) => new
    {
        path = run.Path,
        state = run.State.ToString().ToLowerInvariant(),
        run.Step,
        steps = run.Record?.Steps,
        run.Positions,
        loss = run.Metrics.Recent("loss"),
        validation_loss = run.Metrics.Recent("validation_loss", 1),
        best = run.Best is { } best ? new { best.Step, best.Loss } : null,
        positions_per_second = run.PositionsPerSecond,
        parameters = run.Record?.Parameters,
        begun = run.Record?.Sessions is [var first, ..] ? first.Started : (DateTimeOffset?)null,
        seconds = run.Duration?.TotalSeconds,
    };

    private static string[] Row(RunFolder run) =>
    [
        run.Path,
        $"{run.State.ToString().ToLowerInvariant()} {run.Step}"
            + (run.State != RunState.Done && run.Record is { } record ? $"/{record.Steps}" : ""),
        Axis.Label(run.Positions),
        run.Metrics.Recent("loss") is { } loss ? $"{loss:F3}" : "-",
        run.Best is { } best ? $"{best.Loss:F3} @{best.Step}" : "-",
        run.PositionsPerSecond is { } speed ? $"{Axis.Label(speed)}/s" : "-",
        run.Record?.Sessions is [var first, ..] ? first.Started.ToString("MM-dd HH:mm", null) : "-",
    ];
}
