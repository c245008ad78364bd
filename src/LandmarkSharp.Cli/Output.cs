using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LandmarkSharp.Cli.Charts;
using Spectre.Console;

namespace LandmarkSharp.Cli;

/// <summary>What a command says: to people through Spectre.Console, to programs as JSON, one object or a line per event.</summary>
/// <param name="json">Whether a program listens.</param>
internal sealed class Output(bool json)
{
    /// <summary>Columns and rows of a chart.</summary>
    public const int PlotColumns = 80, PlotRows = 18;

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Whether a program listens.</summary>
    public bool IsJson => json;

    /// <summary>Whether a person at a terminal does, who likes to see progress.</summary>
    public bool IsLive => !json && AnsiConsole.Profile.Out.IsTerminal;

    /// <summary>Columns of the terminal, 100 where there is none.</summary>
    public static int Width => AnsiConsole.Profile.Out.IsTerminal ? Math.Clamp(AnsiConsole.Profile.Width, 40, 160) : 100;

    /// <summary>A line of JSON, for programs alone.</summary>
    public void Event(object value)
    {
        if (json) Console.Out.WriteLine(JsonSerializer.Serialize(value, Json));
    }

    /// <summary>A line for people, with Spectre's markup.</summary>
    public void Line(string markup = "")
    {
        if (!json) AnsiConsole.MarkupLine(markup);
    }

    /// <summary>Text for people as it is.</summary>
    public void Text(string text)
    {
        if (!json) Console.Out.Write(text);
    }

    /// <summary>A table for people.</summary>
    public void Table(IEnumerable<string> columns, IEnumerable<IEnumerable<string>> rows)
    {
        if (json) return;
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in columns) table.AddColumn(Markup.Escape(column));
        foreach (var row in rows) table.AddRow(row.Select(Markup.Escape).ToArray());
        // Where there is no terminal, nobody's lines are too long.
        var width = AnsiConsole.Profile.Width;
        if (!AnsiConsole.Profile.Out.IsTerminal) AnsiConsole.Profile.Width = Math.Max(width, 1000);
        AnsiConsole.Write(table);
        AnsiConsole.Profile.Width = width;
    }

    /// <summary>A chart for people, with a legend where there are several curves.</summary>
    public void Plot(Chart chart)
    {
        if (json) return;
        Line(Markup.Escape($"{chart.Up} by {chart.Across}"));
        foreach (var line in TerminalPlot.Draw(chart, PlotColumns, PlotRows)) Line(line);
        if (chart.Curves.Count > 1)
            foreach (var (i, curve) in chart.Curves.Index())
                Line($"[{TerminalPlot.Colour(i)}]{Chart.Letter(i)}[/] {Markup.Escape(curve.Name)}");
    }

    /// <summary>Runs work that tells how far it is, under a progress bar if someone is there to see it.</summary>
    public T Progress<T>(string label, long total, Func<IProgress<long>, T> work) =>
        Progress(label, value => (value, label), total, work);

    /// <summary>The same for work that tells more than a number: what it tells becomes a place on the bar and a label.</summary>
    public T Progress<TTold, T>(string label, Func<TTold, (long Value, string Label)> show, long total, Func<IProgress<TTold>, T> work)
    {
        if (!IsLive) return work(new Silent<TTold>());
        return AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context =>
            {
                var task = context.AddTask(Markup.Escape(label), maxValue: Math.Max(1, total));
                return work(new Bar<TTold>(task, show));
            });
    }

    private sealed class Silent<T> : IProgress<T>
    {
        public void Report(T value) { }
    }

    private sealed class Bar<T>(ProgressTask task, Func<T, (long Value, string Label)> show) : IProgress<T>
    {
        public void Report(T value)
        {
            var (place, label) = show(value);
            task.Value = place;
            task.Description = Markup.Escape(label);
        }
    }
}
