using System.CommandLine;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Training;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark runs compare</c>: what runs differ in, and their curves in one chart.</summary>
internal sealed class RunsCompareCommand : LandmarkCommand
{
    private readonly Argument<string[]> folders = new("RUN") { Description = "Folders of runs.", Arity = ArgumentArity.OneOrMore };
    private readonly Option<string[]> metric = new("--metric")
    {
        Description = "What the chart shows, by its name in metrics.jsonl; may be given several times.",
        DefaultValueFactory = _ => ["loss"],
        HelpName = "NAME",
    };
    private readonly Option<string> by =
        new("--by") { Description = "What it goes by: steps or positions.", DefaultValueFactory = _ => "steps" };
    private readonly Option<bool> log = new("--log") { Description = "Make its vertical axis logarithmic." };
    private readonly Option<string?> svg = new("--svg") { Description = "Write the chart as an SVG too.", HelpName = "FILE" };

    public RunsCompareCommand()
        : base(
            "compare", "Compares runs: recipes where they differ, results, curves.", "runs compare runs/first runs/second",
            "runs compare runs/first runs/second --metric validation_loss --by positions --svg losses.svg",
            "runs compare runs/first --metric text_loss --metric answer_loss --log")
    {
        by.AcceptOnlyFromAmong("steps", "positions");
        Arguments.Add(folders);
        foreach (var option in (IEnumerable<Option>)[metric, by, log, svg]) Options.Add(option);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        RunFolder[] runs = [.. parsed.GetValue(folders)!.Select(RunFolder.Read)];
        var metrics = parsed.GetValue(metric)!;
        foreach (var name in metrics.Where(m => runs.All(r => r.Metrics[m].Count == 0)))
            throw new LandmarkException(
                $"No run has a metric '{name}'; give one of those in metrics.jsonl: "
                + $"{string.Join(", ", runs.SelectMany(r => r.Metrics.Names).Distinct().DefaultIfEmpty("there is none yet"))}.");
        var byPositions = parsed.GetValue(by) == "positions";
        Curve[] curves =
        [
            .. runs.SelectMany(r => metrics.Select(m => new Curve(
                metrics.Length == 1 ? r.Path : runs.Length == 1 ? m : $"{r.Path}, {m}",
                [.. r.Metrics[m].Select(p => ((double)(byPositions ? p.Positions : p.Step), p.Value))]))),
        ];
        var chart = new Chart(curves, parsed.GetValue(by)!, string.Join(", ", metrics), parsed.GetValue(log));
        if (parsed.GetValue(svg) is { } file) File.WriteAllText(file, SvgPlot.Draw(chart));

        var differences = RunDifferences.Of(runs);
        var results = RunDifferences.Results(runs);
        output.Event(new
        {
            runs = runs.Select(r => r.Path),
            differences = differences.ToDictionary(d => d.Field, d => d.Values),
            results = results.ToDictionary(d => d.Field, d => d.Values),
            chart.Across,
            curves = chart.Curves.Select(c => new { c.Name, points = c.Smoothed(2 * Output.PlotColumns).Points.Select(p => new[] { p.X, p.Y }) }),
            svg = parsed.GetValue(svg),
        });
        string[] headings = ["", .. runs.Select(r => r.Path)];
        if (differences.Count > 0) output.Table(headings, differences.Select(Row));
        output.Table(headings, results.Select(Row));
        output.Plot(chart);
        return Tool.Success;

        static string[] Row((string Field, string?[] Values) row) => [row.Field, .. row.Values.Select(v => v ?? "-")];
    }
}
