namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Figure 6 (its appendix E): perplexity of texts longer than the trained window that are read in one piece, without
/// retrieval, by a model that was trained on positions as they are and by one whose positions jumped after landmarks.
/// </summary>
internal static class PositionJumps
{
    // Length in trained windows, and the paper's perplexities on PG-19.
    private static readonly (double Windows, double Standard, double Jumping)[] Paper =
    [
        (1, 17.53, 17.79), (1.5, 17.10, 17.22), (2, 17.76, 16.92), (2.5, 18.63, 16.73), (1400.0 / 512, 19.04, 16.68), (1500.0 / 512, 19.42, 16.71),
        (4, 22.49, 17.32), (8, 40.83, 21.08),
    ];

    public static ExperimentResult Run(Laboratory lab)
    {
        var seed = lab.Seeds[0];
        var standard = LanguageModelling.Landmark(lab, seed);
        // The paper's 100 of 512.
        var jump = (int)Math.Round(lab.Stage.Window / 5.12);
        var jumping = new Variant($"jumping-{seed}", lab.OnText(seed) with { PositionJump = jump });
        var found = Paper.Select(p => (int)Math.Round(p.Windows * lab.Stage.Window)).Select(length => (
            Length: length, Standard: lab.Perplexity(standard, lab.Sources[0], length, inOnePiece: true),
            Jumping: lab.Perplexity(jumping, lab.Sources[0], length, inOnePiece: true))).ToArray();
        var (first, last) = (found[0], found[^1]);
        var best = found.MinBy(f => f.Jumping);
        return new ExperimentResult(
            ["length", "positions as they are", $"jumping by up to {jump}", "paper, as they are", "paper, jumping"],
            [.. found.Zip(Paper, (f, p) => (IReadOnlyList<string>)[
                $"{f.Length}", Cells.Number(f.Standard), Cells.Number(f.Jumping), Cells.Number(p.Standard), Cells.Number(p.Jumping)])],
            [
                new("within the trained window jumps cost little (5 % at most)", first.Jumping <= 1.05 * first.Standard,
                    $"{Cells.Number(first.Jumping)} and {Cells.Number(first.Standard)}"),
                new("positions as they are get worse past the trained window", last.Standard > first.Standard,
                    $"{Cells.Number(first.Standard)} at {first.Length}, {Cells.Number(last.Standard)} at {last.Length}"),
                new("with jumps longer texts are read better than the trained window", best.Length > first.Length,
                    $"{Cells.Number(first.Jumping)} at {first.Length}, {Cells.Number(best.Jumping)} at {best.Length}"),
                new("and the longest far better than without", last.Jumping < last.Standard,
                    $"{Cells.Number(last.Jumping)} and {Cells.Number(last.Standard)}"),
            ],
            new("tokens read in one piece", "perplexity",
            [
                ("positions as they are", [.. found.Select(f => ((double)f.Length, f.Standard))]),
                ("jumping", [.. found.Select(f => ((double)f.Length, f.Jumping))]),
                ("paper, as they are", [.. found.Zip(Paper, (f, p) => ((double)f.Length, p.Standard))]),
                ("paper, jumping", [.. found.Zip(Paper, (f, p) => ((double)f.Length, p.Jumping))]),
            ]));
    }
}
