using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace LandmarkSharp.Cli;

/// <summary>A run as it goes, for someone at a terminal: what was reported last, and the loss so far.</summary>
/// <param name="trainer">The run's trainer.</param>
/// <param name="options">The recipe.</param>
/// <param name="run">Where it runs.</param>
internal sealed class TrainingDisplay(Trainer trainer, TrainingOptions options, TrainingRun run)
{
    private const int PlotHeight = 10, MostColumns = 100;

    private readonly double? peak = ModelWork.Peak(run.Devices, trainer.Decoder.ComputeType) * (run.Group?.Size ?? 1);
    private readonly List<(double X, double Y)> losses = [];
    private MetricsLine? step, validation;
    private double best = double.PositiveInfinity;

    /// <summary>Trains, and shows it.</summary>
    /// <param name="train">Trains, and tells what it reports.</param>
    public bool Show(Func<Action<TrainingProgress>, bool> train) =>
        AnsiConsole.Live(new Markup("The first report comes soon.")).Start(live => train(progress =>
        {
            live.UpdateTarget(See(progress));
            live.Refresh();
        }));

    /// <summary>Takes a report in and draws what is known.</summary>
    internal IRenderable See(TrainingProgress progress)
    {
        if (progress.Line.Loss is { } loss)
        {
            step = progress.Line;
            losses.Add((progress.Line.Step, loss));
        }
        else
        {
            validation = progress.Line;
            best = Math.Min(best, validation.ValidationLoss ?? validation.ValidationAnswerLoss ?? best);
        }
        var width = Math.Min(Output.Width, MostColumns);
        var grid = new Grid().AddColumn(new GridColumn().NoWrap()).AddColumn();
        foreach (var (name, value) in Rows(progress)) grid.AddRow($"[grey]{name}[/]", value);
        var plot = TerminalPlot.Draw(new Chart([new Curve("loss", losses)], "steps", "loss"), width, PlotHeight);
        return new Rows([grid, .. plot.Select(l => new Markup(l))]);
    }

    private IEnumerable<(string Name, string Value)> Rows(TrainingProgress progress)
    {
        var done = progress.Line.Step / (double)progress.Steps;
        var bar = (int)(30 * done);
        yield return ("step", $"{progress.Line.Step:N0} of {progress.Steps:N0}  "
            + $"[blue]{new string('━', bar)}[/][grey]{new string('━', 30 - bar)}[/] "
            + $"{done:P0}, {(long)progress.Left.TotalHours:00}:{progress.Left:mm\\:ss} left");
        if (step is { Loss: { } loss })
        {
            yield return ("loss", $"{loss:F4}" + (step.TextLoss is { } text ? $", text {text:F3} (perplexity {Math.Exp(text):F2})" : "")
                + (step.AnswerLoss is { } answers ? $", answers {answers:F4}" : ""));
        }
        if (validation is not null)
        {
            string?[] told =
            [
                validation.ValidationLoss is { } held ? $"loss {held:F4} (perplexity {Math.Exp(held):F2})" : null,
                validation.ValidationAnswersRight is { } right ? $"answers right {right:P1}" : null,
                $"best {best:F4}",
            ];
            yield return ("held out", $"{string.Join(", ", told.OfType<string>())}, at step {validation.Step:N0}");
        }
        var work = ModelWork.FlopsPerPosition(trainer.Decoder.Config, options.Stage(trainer.Step - 1).Window);
        var share = peak is { } most ? $", {progress.PositionsPerSecond * work / most:P1} of the peak" : "";
        yield return ("speed", $"{progress.PositionsPerSecond / 1e3:N1} k positions/s{share}");
        var cards = run.Devices.Select(ProcessMemory.CardBytes).OfType<long>().Select(b => $", {b / 1e9:N1} GB on a card");
        yield return ("memory", $"{ProcessMemory.ResidentBytes / 1e9:N1} GB resident{string.Concat(cards)}");
    }
}
