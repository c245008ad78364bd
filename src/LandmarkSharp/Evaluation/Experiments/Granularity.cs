using LandmarkSharp.Attention;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>The paper's Table 2: perplexity by who shares a choice of blocks, with as many blocks read by each.</summary>
internal static class Granularity
{
    // Context in windows, k, and the paper's perplexity on PG-19.
    private static readonly (int Times, int K)[] Readings = [(4, 2), (4, 4), (8, 4)];

    private static readonly (SelectionMode Mode, string Head, string Token, double[] Paper)[] Modes =
    [
        (SelectionMode.PerTokenAndHead, "yes", "yes", [15.14, 14.92, 14.72]),
        (SelectionMode.PerHead, "yes", "no", [15.48, 15.10, 14.95]),
        (SelectionMode.PerToken, "no", "yes", [15.44, 15.04, 14.89]),
    ];

    public static ExperimentResult Run(Laboratory lab)
    {
        List<IReadOnlyList<string>> rows = [];
        Dictionary<(SelectionMode Mode, int Times, int K), double[][]> found = [];
        var (heads, window, tokens) = (lab.Recipe.Heads, 5, lab.Recipe.BlockTokens);
        foreach (var (mode, head, token, paper) in Modes)
        {
            foreach (var ((times, k), figure) in Readings.Zip(paper))
            {
                double[][] ours = [.. lab.Sources.Select(source => lab.Seeds.Select(seed => lab.Perplexity(
                    LanguageModelling.Landmark(lab, seed), source, times * lab.Stage.Window,
                    LanguageModelling.Reading(window, k, null, mode))).ToArray())];
                found[(mode, times, k)] = ours;
                var most = (mode == SelectionMode.PerToken ? 1 : heads) * (mode == SelectionMode.PerHead ? 1 : window * tokens) * k;
                rows.Add([head, token, $"{times * lab.Stage.Window}", $"{k}", $"{most}", .. ours.Select(o => Cells.Mean(o)), Cells.Number(figure)]);
            }
        }
        return new ExperimentResult(
            ["per head", "per token", "context", "k", "blocks a window may read", .. lab.Sources, "paper, PG-19"], rows,
            [
                .. Readings.SelectMany(r => new[] { SelectionMode.PerHead, SelectionMode.PerToken }.Select(mode => Claim(
                    $"choosing per token and head is better than {(mode == SelectionMode.PerHead ? "per head" : "per token")} "
                    + $"at {r.Times * lab.Stage.Window}, k = {r.K}",
                    found[(SelectionMode.PerTokenAndHead, r.Times, r.K)], found[(mode, r.Times, r.K)]))),
                .. Readings.Select(r => Claim(
                    $"per token is better than per head at {r.Times * lab.Stage.Window}, k = {r.K}",
                    found[(SelectionMode.PerToken, r.Times, r.K)], found[(SelectionMode.PerHead, r.Times, r.K)])),
            ]);

        ExperimentClaim Claim(string text, double[][] better, double[][] worse) => new(
            text, better.Zip(worse).All(s => s.First.Zip(s.Second).All(p => p.First < p.Second)),
            string.Join("; ", lab.Sources.Zip(better, worse).Select(s =>
                $"{s.First}: {Cells.Mean(s.Second, "F3")} and {Cells.Mean(s.Third, "F3")}")));
    }
}
