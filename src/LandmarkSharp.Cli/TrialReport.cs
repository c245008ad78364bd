using System.Text.Json;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Tensors;
using LandmarkSharp.Training.Tasks;
using Spectre.Console;

namespace LandmarkSharp.Cli;

/// <summary>Runs trials and tells how they went: the same for every retrieval test.</summary>
internal static class TrialReport
{
    public static int Run(Output output, LandmarkEngine engine, Trials asked, Func<long, IProgress<long>, RetrievalTrial> run)
    {
        var (tokens, trials) = (asked.Tokens, asked.Count);
        var blockTokens = engine.Config.Landmark?.BlockTokens ?? int.MaxValue;
        if (!asked.WindowOnly) engine.RequireRoom(tokens);
        List<RetrievalTrial> done = [];
        for (var trial = 0; trial < trials; trial++)
        {
            var result = output.Progress($"Trial {trial + 1} of {trials}", tokens, progress => run(trial, progress));
            done.Add(result);
            Show(output, result, trials, blockTokens);
        }
        var correct = done.Count(t => t.Correct);
        var peak = ProcessMemory.PeakResidentBytes / 1_000_000;
        var (prefill, decode) = (done.Average(t => t.PrefillSeconds), done.Average(t => t.DecodeMilliseconds));
        output.Line(
            $"[bold]{correct} of {trials} right[/] at {tokens:N0} tokens: {prefill:F1} s to read ({tokens / prefill:N0} tokens/s), "
            + $"{decode:F1} ms per generated token, peak memory {peak:N0} MB");
        var families = ByFamily(done);
        if (families.Length > 1)
            foreach (var f in families)
                output.Line($"  {f.Correct} of {f.Trials} right: {Name(f.Family)}{Way(f.InSteps)}");
        output.Event(new
        {
            tokens,
            trials,
            correct,
            accuracy = (double)correct / trials,
            window_only = asked.WindowOnly,
            keep_blocks = engine.Retrieval?.KeepBlocks,
            prefill_seconds = Math.Round(prefill, 3),
            decode_ms_per_token = Math.Round(decode, 3),
            peak_rss_mb = peak,
            by_family = families.Length == 0 ? null : families.Select(f => new
            {
                family = Name(f.Family),
                in_steps = f.InSteps,
                trials = f.Trials,
                correct = f.Correct,
                accuracy = (double)f.Correct / f.Trials,
            }),
            per_trial = done.Select(t => new
            {
                t.Trial,
                family = t.Family is { } family ? Name(family) : null,
                t.InSteps,
                needle_first_token = t.Needles.Min(n => n.Start.Value),
                needle_last_token = t.Needles.Max(n => n.End.Value) - 1,
                needle_blocks = t.NeedleBlocks(blockTokens),
                t.Expected,
                t.Answer,
                t.Correct,
                prefill_seconds = Math.Round(t.PrefillSeconds, 3),
                decode_ms_per_token = Math.Round(t.DecodeMilliseconds, 3),
                blocks = t.BlockCount,
                blocks_read = t.Blocks.Take(16).Select(b => new { b.Block, mass = Math.Round(b.Mass, 5) }),
            }),
        });
        return Tool.Success;
    }

    /// <summary>A family by the name that recipes have for it.</summary>
    public static string Name(TaskFamily family) => JsonNamingPolicy.SnakeCaseLower.ConvertName($"{family}");

    private static (TaskFamily Family, bool? InSteps, int Trials, int Correct)[] ByFamily(List<RetrievalTrial> trials) =>
    [
        .. from trial in trials
           where trial.Family is not null
           group trial by (Family: trial.Family!.Value, trial.InSteps) into g
           orderby g.Key.Family, g.Key.InSteps descending
           select (g.Key.Family, g.Key.InSteps, g.Count(), g.Count(t => t.Correct)),
    ];

    private static string Way(bool? inSteps) => inSteps switch { true => ", in steps", false => ", at once", null => "" };

    private static void Show(Output output, RetrievalTrial trial, int trials, int blockTokens)
    {
        var places = string.Join(" and ", trial.Needles.Select(n => $"{n.Start.Value:N0} ({100.0 * n.Start.Value / trial.Tokens:F0} %)"));
        var said = trial.Answer.Trim().ReplaceLineEndings(" ");
        output.Line(
            $"{(trial.Correct ? "[green]right[/]" : "[red]wrong[/]")}  needle at token {places}, "
            + $"expected {Markup.Escape(trial.Expected)}, answered {Markup.Escape(said)}");
        if (trials > 3 || trial.Blocks.Count == 0) return;
        output.Line(BlockBar.Draw(trial, blockTokens, Output.Width));
        output.Line($"[grey]{BlockBar.Legend}[/]");
        foreach (var block in trial.Blocks.Take(4))
            output.Line(
                $"  block {block.Block,-6} tokens {block.FirstToken:N0} to {block.FirstToken + block.TokenCount - 1:N0}, "
                + $"{block.Mass:P1} of attention");
    }
}
