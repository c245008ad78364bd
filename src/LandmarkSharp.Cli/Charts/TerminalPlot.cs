using System.Text;

namespace LandmarkSharp.Cli.Charts;

/// <summary>A chart in characters: curves of braille dots, eight to a character, with their letters on them.</summary>
internal sealed class TerminalPlot
{
    private const int LabelWidth = 7;
    private const int LetterEvery = 20;
    private static readonly string[] Colours = ["blue", "red", "green", "yellow", "fuchsia", "aqua", "olive", "silver"];
    // The bits of a braille character's dots, by row and column.
    private static readonly byte[,] Dots = { { 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 } };

    private readonly Chart chart;
    private readonly int columns, rows;
    private readonly byte[,] dots;
    private readonly char[,] letters;
    private readonly int[,] owner;      // the curve that a character is coloured for, or -1
    private readonly string[] ends;     // letters beside each row

    private TerminalPlot(Chart chart, int width, int height)
    {
        this.chart = chart;
        (columns, rows) = (Math.Max(10, width - LabelWidth - 1 - (chart.Curves.Count > 1 ? 4 : 0)), height);
        (dots, letters, owner) = (new byte[rows, columns], new char[rows, columns], new int[rows, columns]);
        ends = [.. Enumerable.Repeat("", rows)];
        for (var r = 0; r < rows; r++)
            for (var c = 0; c < columns; c++) owner[r, c] = -1;
        for (var i = 0; i < chart.Curves.Count; i++) Draw(i);
    }

    /// <summary>Draws a chart.</summary>
    /// <param name="chart">The chart; one without curves is no lines.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows, the axis below and the legend not counted.</param>
    /// <returns>Lines in Spectre's markup.</returns>
    public static IEnumerable<string> Draw(Chart chart, int width, int height)
    {
        if (chart.Curves.Count == 0) return [];
        var plot = new TerminalPlot(chart, width, height);
        return [.. Enumerable.Range(0, height).Select(plot.Row), plot.Axis(), plot.Marks()];
    }

    /// <summary>The colour of a curve, in Spectre's markup.</summary>
    public static string Colour(int curve) => Colours[curve % Colours.Length];

    private void Draw(int index)
    {
        var points = chart.Curves[index].Smoothed(columns).Points
            .Select(p => (X: chart.X.At(p.X) * ((columns * 2) - 1), Y: (1 - chart.Y.At(p.Y)) * ((rows * 4) - 1))).ToArray();
        Dot(index, points[0]);
        foreach (var (from, to) in points.Zip(points.Skip(1)))
        {
            var steps = Math.Max(1, (int)Math.Ceiling(Math.Max(Math.Abs(to.X - from.X), Math.Abs(to.Y - from.Y))));
            for (var s = 1; s <= steps; s++)
                Dot(index, (from.X + ((to.X - from.X) * s / steps), from.Y + ((to.Y - from.Y) * s / steps)));
        }
        if (chart.Curves.Count == 1) return;
        ends[(int)Math.Round(points[^1].Y) / 4] += Chart.Letter(index);
    }

    private void Dot(int index, (double X, double Y) at)
    {
        var (x, y) = ((int)Math.Round(at.X), (int)Math.Round(at.Y));
        dots[y / 4, x / 2] |= Dots[y % 4, x % 2];
        owner[y / 4, x / 2] = index;
        // Each curve's letters are at columns of its own, so that they do not hide each other.
        var isLettered = chart.Curves.Count > 1 && x / 2 % LetterEvery == LetterEvery * (index + 1) / (chart.Curves.Count + 1);
        if (isLettered && Enumerable.Range(0, rows).All(r => letters[r, x / 2] != Chart.Letter(index)))
            letters[y / 4, x / 2] = Chart.Letter(index);
    }

    private string Row(int row)
    {
        var mark = chart.Y.Marks(rows / 3).Where(m => (int)Math.Round((1 - chart.Y.At(m)) * ((rows * 4) - 1)) / 4 == row)
            .Select(m => (double?)m).FirstOrDefault();
        var line = new StringBuilder($"{(mark is { } m ? Charts.Axis.Label(m) : ""),LabelWidth}{(mark is null ? '│' : '┤')}");
        for (var c = 0; c < columns; c++)
        {
            var shown = letters[row, c] != 0 ? letters[row, c] : dots[row, c] == 0 ? ' ' : (char)(0x2800 + dots[row, c]);
            var curve = letters[row, c] != 0 ? letters[row, c] - 'A' : owner[row, c];
            line.Append(curve < 0 ? $"{shown}" : $"[{Colour(curve)}]{shown}[/]");
        }
        if (ends[row].Length > 0) line.Append(' ').Append(ends[row].Length > 3 ? ends[row][..3] : ends[row]);
        return line.ToString().TrimEnd();
    }

    private string Axis()
    {
        var line = new StringBuilder(new string(' ', LabelWidth)).Append('└').Append('─', columns);
        foreach (var mark in chart.X.Marks(5)) line[LabelWidth + 1 + Column(mark)] = '┬';
        return line.ToString();
    }

    private string Marks()
    {
        var line = new StringBuilder(new string(' ', LabelWidth + 1 + columns));
        foreach (var mark in chart.X.Marks(5))
        {
            var label = Charts.Axis.Label(mark);
            var start = Math.Clamp(LabelWidth + 1 + Column(mark) - (label.Length / 2), 0, line.Length - label.Length);
            for (var i = 0; i < label.Length; i++) line[start + i] = label[i];
        }
        return line.ToString().TrimEnd();
    }

    private int Column(double x) => (int)Math.Round(chart.X.At(x) * ((columns * 2) - 1)) / 2;
}
