using System.Xml.Linq;
using LandmarkSharp.Cli.Charts;
using Spectre.Console;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Charts of curves that are known.</summary>
public sealed class ChartTests
{
    private static readonly Curve Falling = new(
        "falling", [.. Enumerable.Range(0, 200).Select(i => ((double)i * 10, 1 + (8 * Math.Exp(-i / 30.0))))]);
    private static readonly Curve Flat = new("<flat> & [[odd]]", [(0, 3), (1990, 3)]);

    [Fact]
    public void TheTerminalShowsCurvesAndTheirLetters() => Assert.Equal(
        """
               │⢀
              8┤⠈⡆
               │ ⠘⡄
              6┤  ⠸⡀
               │   ⠑⡄
              4┤    ⠈⠢A
               │⠤⠤⠤⠤⠤⠤⠭⠦⡤⠤⠤⠤⠤B⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤B⠤⠤ B
              2┤        ⠈⠑⠢⢄⡀
               │            ⠈⠉⠑⠒⠒⠤⠤⠤⠤⠤⢄⣀⣀⣀A⣀⣀⣀⣀⣀⣀⣀⣀⡀ A
               └┬────────┬────────┬────────┬────────
                0       500      1k      1.5k
        """,
        Plain(TerminalPlot.Draw(new Chart([Falling, Flat], "steps", "loss"), 48, 9)), ignoreLineEndingDifferences: true);

    [Fact]
    public void NoLineIsLongerThanAskedFor()
    {
        foreach (var width in (int[])[40, 80])
        {
            var curves = Enumerable.Range(0, 9).Select(n => Falling with { Points = [.. Falling.Points.Select(p => (p.X, p.Y + n))] });
            var lines = Plain(TerminalPlot.Draw(new Chart(curves, "steps", "loss", isLog: true), width, 12)).Split('\n');
            Assert.Equal(14, lines.Length);
            Assert.All(lines, l => Assert.InRange(l.Length, 1, width));
        }
        Assert.Empty(TerminalPlot.Draw(new Chart([new Curve("none", [])], "steps", "loss"), 80, 10));
        Assert.Equal(12, TerminalPlot.Draw(new Chart([new Curve("one", [(5, 5)])], "steps", "loss"), 80, 10).Count());
    }

    [Fact]
    public void TheSvgIsWellFormedAndHoldsEveryCurve()
    {
        var svg = XDocument.Parse(SvgPlot.Draw(new Chart([Falling, Flat], "steps", "loss"))).Root!;
        XName Named(string name) => svg.Name.Namespace + name;
        Assert.Equal("http://www.w3.org/2000/svg", svg.Name.NamespaceName);
        Assert.Equal(2, svg.Elements(Named("polyline")).Count());
        string[] texts = [.. svg.Elements(Named("text")).Select(t => t.Value)];
        Assert.All(["falling", "<flat> & [[odd]]", "steps", "loss", "200"], t => Assert.Contains(t, texts));
        Assert.Contains("prefers-color-scheme:dark", svg.Element(Named("style"))!.Value, StringComparison.Ordinal);
        var size = svg.Attribute("viewBox")!.Value.Split(' ').Select(double.Parse).ToArray();
        foreach (var point in svg.Elements(Named("polyline")).SelectMany(p => p.Attribute("points")!.Value.Split(' ')))
        {
            var at = point.Split(',').Select(double.Parse).ToArray();
            Assert.InRange(at[0], 0, size[2]);
            Assert.InRange(at[1], 0, size[3]);
        }
    }

    [Fact]
    public void LengthsOfManySizesAreEvenlySpread()
    {
        var chart = new Chart([new Curve("accuracy", [(256, 100), (2896, 90), (32768, 80)])], "tokens", "%", isLogAcross: true);
        Assert.Equal(0.5, chart.X.At(2896), 3);
        Assert.Equal([500, 1000, 2000, 5000, 10000, 20000], chart.X.Marks(5).Select(m => Math.Round(m)));
        Assert.Equal([0, 0.5, 1], new[] { 80.0, 90, 100 }.Select(chart.Y.At));
        Assert.EndsWith("500   1k   2k      5k    10k  20k", Plain(TerminalPlot.Draw(chart, 48, 9)), StringComparison.Ordinal);
    }

    [Fact]
    public void AxesHaveRoundMarks()
    {
        Assert.Equal([0.0, 500, 1000, 1500], new Axis([0.0, 1990]).Marks(4));
        Assert.Equal([0.2, 0.5, 1, 2, 5], new Axis([0.15, 9.0], isLog: true).Marks(4).Select(m => Math.Round(m, 9)));
        Assert.Equal(0.5, new Axis([1.0, 100], isLog: true).At(10), 1e-12);
        Assert.Equal(0.5, new Axis([7.0]).At(7));
        Assert.Equal(["1.5k", "12", "0.25", "1.65G"], ((double[])[1500, 12, 0.25, 1.65e9]).Select(Axis.Label));
        Assert.Contains("logarithmic", Assert.Throws<LandmarkException>(
            () => new Chart([new Curve("x", [(1, 0.0)])], "steps", "loss", isLog: true)).Message, StringComparison.Ordinal);
    }

    private static string Plain(IEnumerable<string> markup) => string.Join('\n', markup.Select(l => Markup.Remove(l)));
}
