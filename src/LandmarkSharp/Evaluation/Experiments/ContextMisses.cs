using System.Diagnostics;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Table 3 (its appendix D): a model with a context-miss token retrieves nothing for a token and head where that token has
/// less than the cut-off of the attention. What it costs in perplexity, how many retrievals are dropped, and how much time that saves.
/// </summary>
internal static class ContextMisses
{
    private const int TopK = 4, Window = 5, Times = 4;

    // Cut-off, perplexity and share dropped on PG-19.
    private static readonly (double Cutoff, double Perplexity, int Dropped)[] Paper =
        [(0, 16.38, 0), (0.1, 16.38, 23), (0.3, 16.43, 57), (0.5, 16.86, 84), (1, 19.49, 100)];

    public static ExperimentResult Run(Laboratory lab)
    {
        var (seed, context) = (lab.Seeds[0], Times * lab.Stage.Window);
        var reading = LanguageModelling.Reading(Window, TopK, null);
        var without = lab.Perplexity(LanguageModelling.Landmark(lab, seed), lab.Sources[0], context, reading);
        var model = new Variant($"miss-{seed}", lab.OnText(seed) with { ContextMiss = 0.5 });
        // Perplexity, the share dropped, and seconds; a finer scale than the paper's tells where half is dropped.
        double[] cutoffs = [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1];
        var found = cutoffs.ToDictionary(c => c, cutoff => lab.Measure(
            $"perplexity, share dropped and seconds of {model.Name} by {lab.DeviceName}: "
            + $"context {context}, window {Window}, k {TopK}, cut-off {Cells.Number(cutoff)}", stop =>
            {
                var engine = lab.Engine(model).With(reading with { MissCutoff = cutoff });
                int[][] texts = [.. lab.HeldOut(lab.Sources[0], context)];
                Perplexity.Score(engine, texts.Take(2), cancel: stop);            // finds memory and compiles
                var clock = Stopwatch.GetTimestamp();
                var score = Perplexity.Score(engine, texts, cancel: stop);
                return [score.Value, score.DroppedShare!.Value, Stopwatch.GetElapsedTime(clock).TotalSeconds];
            }));
        var (all, half) = (found[0], found.Values.FirstOrDefault(f => f[1] >= 0.5) ?? found[1]);
        return new ExperimentResult(
            ["cut-off", "perplexity", "retrievals dropped", "seconds", "paper", "paper, dropped"],
            [
                ["no such token", Cells.Number(without), "–", "–", "16.28", "–"],
                .. cutoffs.Select(c => (Of: found[c], Paper: Array.Find(Paper, p => p.Cutoff == c), Cutoff: c)).Select(r => (IReadOnlyList<string>)[
                    Cells.Number(r.Cutoff), Cells.Number(r.Of[0]), Cells.Percent(r.Of[1]), Cells.Number(r.Of[2], "F1"),
                    r.Paper.Perplexity > 0 ? Cells.Number(r.Paper.Perplexity) : "–", r.Paper.Perplexity > 0 ? $"{r.Paper.Dropped} %" : "–"]),
            ],
            [
                new("half of the retrievals are dropped for 1 % of perplexity at most", half[0] <= 1.01 * all[0],
                    $"{Cells.Percent(half[1])} for {Cells.Number(100 * ((half[0] / all[0]) - 1))} %"),
                new("and time is saved", half[2] < all[2], $"{Cells.Number(all[2], "F1")} s, {Cells.Number(half[2], "F1")} s"),
                new("without any retrieval perplexity is worse than with all", found[1][0] > all[0],
                    $"{Cells.Number(found[1][0])} and {Cells.Number(all[0])}"),
            ],
            new("retrievals dropped, %", "perplexity",
            [
                ("here", [.. found.Values.Select(f => (100 * f[1], f[0]))]),
                ("paper", [.. Paper.Select(p => ((double)p.Dropped, p.Perplexity))]),
            ]));
    }
}
