using System.Globalization;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>What an experiment found.</summary>
/// <param name="Columns">The table's headings.</param>
/// <param name="Rows">Its rows, a cell for each heading.</param>
/// <param name="Claims">What the paper found, and whether it was found here.</param>
/// <param name="Chart">A picture of it; null where a table says it all.</param>
public sealed record ExperimentResult(
    IReadOnlyList<string> Columns, IReadOnlyList<IReadOnlyList<string>> Rows, IReadOnlyList<ExperimentClaim> Claims,
    ExperimentChart? Chart = null);

/// <summary>A finding of the paper, and whether it was found here too.</summary>
/// <param name="Text">What is claimed.</param>
/// <param name="Holds">Whether it holds here, for every seed.</param>
/// <param name="Figures">The figures that say so.</param>
public sealed record ExperimentClaim(string Text, bool Holds, string Figures);

/// <summary>Curves over a pair of axes.</summary>
/// <param name="Across">What the x axis is.</param>
/// <param name="Up">What the y axis is.</param>
/// <param name="Curves">The curves by name, ours and the paper's.</param>
/// <param name="IsLogAcross">Whether the x axis is logarithmic; its numbers are then above 0.</param>
public sealed record ExperimentChart(
    string Across, string Up, IReadOnlyList<(string Name, IReadOnlyList<(double X, double Y)> Points)> Curves, bool IsLogAcross = false);

/// <summary>How figures are written in an experiment's table.</summary>
internal static class Cells
{
    /// <summary>The mean over seeds, and each seed's where there are several.</summary>
    public static string Mean(IReadOnlyList<double> values, string format = "F2") => values.Count == 1
        ? Number(values[0], format)
        : $"{Number(values.Average(), format)} ({string.Join(", ", values.Select(v => Number(v, format)))})";

    /// <summary>A share in whole percent.</summary>
    public static string Percent(double share) => Number(100 * share, "F0") + " %";

    /// <summary>A figure, or a dash where there is none.</summary>
    public static string Number(double? value, string format = "F2") => value?.ToString(format, CultureInfo.InvariantCulture) ?? "–";
}
