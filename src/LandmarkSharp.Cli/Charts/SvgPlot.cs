using System.Globalization;
using System.Text;
using System.Xml.Linq;

namespace LandmarkSharp.Cli.Charts;

/// <summary>A chart as an SVG of its own, for light pages and dark ones.</summary>
internal static class SvgPlot
{
    private const int Width = 720, Left = 56, Right = 16, Top = 16, PlotHeight = 320, LegendLine = 18, PointsOfACurve = 300;
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    // Each curve's colour on white and on black; they differ in lightness too.
    private static readonly (string Light, string Dark)[] Colours =
    [
        ("#2471a3", "#5dade2"), ("#c0392b", "#ec7063"), ("#1e8449", "#58d68d"), ("#b9770e", "#f5b041"),
        ("#7d3c98", "#bb8fce"), ("#117a65", "#48c9b0"), ("#566573", "#aeb6bf"), ("#a04000", "#edbb99"),
    ];

    /// <summary>The chart's SVG.</summary>
    public static string Draw(Chart chart)
    {
        const int bottom = Top + PlotHeight;
        var height = bottom + 44 + (LegendLine * chart.Curves.Count);
        double Across(double x) => Left + (chart.X.At(x) * (Width - Left - Right));
        double Up(double y) => bottom - (chart.Y.At(y) * PlotHeight);
        var root = new XElement(Svg + "svg",
            new XAttribute("viewBox", $"0 0 {Width} {height}"), new XAttribute("width", Width), new XAttribute("height", height),
            new XAttribute("role", "img"),
            new XElement(Svg + "title", $"{chart.Up} by {chart.Across}: {string.Join(", ", chart.Curves.Select(c => c.Name))}"),
            new XElement(Svg + "style", Style(chart.Curves.Count)),
            new XElement(Svg + "rect", new XAttribute("class", "page"), new XAttribute("width", Width), new XAttribute("height", height)));
        foreach (var mark in chart.Y.Marks(7))
            root.Add(Line("grid", Left, Up(mark), Width - Right, Up(mark)), Text("end", Left - 8, Up(mark) + 4, Axis.Label(mark)));
        foreach (var mark in chart.X.Marks(7))
            root.Add(Line("grid", Across(mark), Top, Across(mark), bottom), Text("middle", Across(mark), bottom + 18, Axis.Label(mark)));
        root.Add(Line("axis", Left, bottom, Width - Right, bottom), Line("axis", Left, Top, Left, bottom));
        root.Add(Text("end", Width - Right, bottom + 34, chart.Across), Text("start", Left + 6, Top + 10, chart.Up));
        foreach (var (i, curve) in chart.Curves.Index())
        {
            var points = curve.Smoothed(PointsOfACurve).Points;
            root.Add(new XElement(Svg + "polyline",
                new XAttribute("class", $"curve c{i % Colours.Length}"),
                new XAttribute("points", string.Join(' ', points.Select(p => $"{Number(Across(p.X))},{Number(Up(p.Y))}")))));
            var y = bottom + 34 + (LegendLine * (i + 1));
            root.Add(Line($"curve c{i % Colours.Length}", Left, y - 4, Left + 24, y - 4), Text("start", Left + 32, y, curve.Name));
        }
        return root + "\n";
    }

    private static string Style(int curves)
    {
        var (light, dark) = (new StringBuilder(), new StringBuilder());
        foreach (var (i, (onWhite, onBlack)) in Colours.Take(curves).Index())
        {
            light.Append(CultureInfo.InvariantCulture, $".c{i}{{stroke:{onWhite}}}");
            dark.Append(CultureInfo.InvariantCulture, $".c{i}{{stroke:{onBlack}}}");
        }
        return "text{font:12px sans-serif;fill:#333}.page{fill:#fff}.grid{stroke:#ddd}.axis{stroke:#666}"
            + $".curve{{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}}{light}"
            + "@media (prefers-color-scheme:dark){text{fill:#ddd}.page{fill:#161b22}.grid{stroke:#30363d}.axis{stroke:#8b949e}"
            + $"{dark}}}";
    }

    private static XElement Line(string style, double x1, double y1, double x2, double y2) => new(Svg + "line",
        new XAttribute("class", style), new XAttribute("x1", Number(x1)), new XAttribute("y1", Number(y1)),
        new XAttribute("x2", Number(x2)), new XAttribute("y2", Number(y2)));

    private static XElement Text(string anchor, double x, double y, string text) => new(Svg + "text",
        new XAttribute("x", Number(x)), new XAttribute("y", Number(y)), new XAttribute("text-anchor", anchor), text);

    private static string Number(double n) => Math.Round(n, 1).ToString(CultureInfo.InvariantCulture);
}
