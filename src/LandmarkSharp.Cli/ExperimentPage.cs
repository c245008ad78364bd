using System.Text;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Evaluation.Experiments;

namespace LandmarkSharp.Cli;

/// <summary>An experiment's results as a page with its picture, <c>NAME.md</c> and <c>NAME.svg</c>.</summary>
internal static class ExperimentPage
{
    /// <summary>Writes both.</summary>
    /// <param name="lab">Where it was made, whose folder they are written to.</param>
    /// <param name="experiment">The experiment.</param>
    /// <param name="conditions">What it was made with.</param>
    /// <param name="result">What it found.</param>
    /// <returns>The path of the page.</returns>
    /// <exception cref="LandmarkException">The disk refuses.</exception>
    public static string Write(
        Laboratory lab, Experiment experiment, IReadOnlyList<(string Name, string Value)> conditions, ExperimentResult result)
    {
        var page = new StringBuilder($"# {experiment.Title}\n\n");
        Table(page, ["made with", ""], conditions.Select(c => (string[])[c.Name, c.Value]));
        Table(page, result.Columns, result.Rows);
        Table(page, ["what the paper found", "here", "figures"], result.Claims.Select(c => (string[])[c.Text, c.Holds ? "yes" : "**no**", c.Figures]));
        if (result.Chart is { } chart)
        {
            page.Append($"![{experiment.Title}]({experiment.Name}.svg)\n");
            lab.Write($"{experiment.Name}.svg", SvgPlot.Draw(Chart(chart)));
        }
        return lab.Write($"{experiment.Name}.md", page.ToString().TrimEnd() + "\n");
    }

    /// <summary>The result's picture.</summary>
    public static Chart Chart(ExperimentChart chart) =>
        new(chart.Curves.Select(c => new Curve(c.Name, c.Points)), chart.Across, chart.Up, isLogAcross: chart.IsLogAcross);

    private static void Table(StringBuilder page, IReadOnlyList<string> columns, IEnumerable<IReadOnlyList<string>> rows)
    {
        page.Append($"| {string.Join(" | ", columns)} |\n|{string.Concat(columns.Select(_ => "---|"))}\n");
        foreach (var row in rows) page.Append($"| {string.Join(" | ", row)} |\n");
        page.Append('\n');
    }
}
