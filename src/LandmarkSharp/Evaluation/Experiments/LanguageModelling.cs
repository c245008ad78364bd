using LandmarkSharp.Attention;
using LandmarkSharp.Training;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Table 1: perplexity of plain models, of a Transformer-XL and of landmark attention, which was trained on windows of one
/// length and reads texts of that length, of four and of eight times that. Lengths are in the paper's proportions to the recipe's
/// window, and equal to the paper's where that is 512 positions in blocks of 50 tokens.
/// </summary>
internal static class LanguageModelling
{
    // Blocks of the window, blocks kept, k; perplexity of the paper on PG-19 and on arXiv-math.
    private static readonly (int Times, int Window, int Kept, int K, double Books, double Math)[] Readings =
    [
        (1, 5, 10, 2, 16.23, 4.01),
        (4, 5, 40, 2, 15.14, 3.43), (4, 7, 40, 2, 15.07, 3.41), (4, 6, 40, 3, 14.97, 3.36), (4, 5, 20, 4, 15.02, 3.37), (4, 5, 40, 4, 14.92, 3.35),
        (8, 5, 40, 4, 14.79, 3.19), (8, 5, 80, 2, 15.00, 3.29), (8, 5, 80, 4, 14.72, 3.18),
    ];

    private const int MostTimes = 8;

    /// <summary>The landmark model of a seed, when recipe and held-out texts suffice for the paper's readings of it.</summary>
    /// <exception cref="LandmarkException">The recipe's window has fewer than ten blocks, or a held-out text fewer than eight windows.</exception>
    public static Variant Landmark(Laboratory lab, long seed)
    {
        var block = lab.Recipe.BlockTokens + 1;
        if (lab.Stage.Window < 10 * block)
            throw new LandmarkException(
                $"The paper's readings take ten blocks of positions, and the recipe's window of {lab.Stage.Window} has fewer of {block}; "
                + "give a longer window or shorter blocks.");
        foreach (var source in lab.Sources) lab.RequireHeldOut(source, MostTimes * lab.Stage.Window);
        return new($"landmark-{seed}", lab.OnText(seed));
    }

    /// <summary>How the landmark model reads in the paper's tables: each token and head chooses for itself.</summary>
    public static RetrievalOptions Reading(int window, int k, int? kept, SelectionMode mode = SelectionMode.PerTokenAndHead) =>
        new() { WindowBlocks = window, TopK = k, KeepBlocks = kept, Selection = mode };

    public static ExperimentResult Run(Laboratory lab)
    {
        var (window, tokens) = (lab.Stage.Window, lab.Recipe.BlockTokens);
        // The paper's 360 of 512: what two blocks, a window of five and ten landmarks come to.
        var fewer = (7 * tokens) + 10;
        List<IReadOnlyList<string>> rows = [];
        // First of all: what does not suffice is told before plain models train.
        var landmarks = lab.Seeds.ToDictionary(seed => seed, seed => Landmark(lab, seed));
        // Perplexity of each source by each seed.
        double[][] Add(
            string method, int context, string local, string cached, string kept, string k, int size, double? books, double? math,
            Func<long, string, double> measure)
        {
            double[][] found = [.. lab.Sources.Select(source => lab.Seeds.Select(seed => measure(seed, source)).ToArray())];
            rows.Add([
                method, $"{context}", local, cached, kept, k, $"{size}",
                .. found.Select(f => Cells.Mean(f)), Cells.Number(books), Cells.Number(math)]);
            return found;
        }

        double[][] Plain(int length, double books, double math) => Add(
            "plain", length, $"{length}", "–", "–", "–", length, books, math, (seed, source) =>
            {
                var recipe = lab.OnText(seed);
                return lab.Perplexity(
                    new($"plain-{length}-{seed}", recipe with
                    {
                        BlockTokens = 0,
                        Stages = [recipe.Stages[0] with { Window = length, Rows = Rows(length) }],
                    }),
                    source, length);
            });

        double[][] Recurrent(int times, double books) => Add(
            "Transformer-XL", times * window, $"{window / 2}", $"{window / 2}", "–", "–", window, books, null, (seed, source) =>
            {
                var recipe = lab.OnText(seed);
                return lab.Perplexity(
                    new($"recurrent-{seed}", recipe with
                    {
                        BlockTokens = 0,
                        Recurrence = new Recurrence { Window = window / 2, Cache = window / 2 },
                        Stages = [recipe.Stages[0] with { Window = 4 * window, Rows = Rows(4 * window) }],
                    }),
                    source, times * window);
            });

        // As many positions a step as the landmark model's.
        int Rows(int length) => Math.Max(1, (int)Math.Round((double)lab.Stage.Rows * window / length));

        // A bound that no window reaches is none: without one, windows are read faster.
        int? Bound(int times, int blocks, int kept) => ((times * window) - 1) / (blocks * tokens) * blocks <= kept ? null : kept;

        var plain = Plain(window, 16.12, 4.01);
        var shorter = Plain(fewer, 16.76, 4.31);
        var found = new Dictionary<(int Times, int Window, int Kept, int K), double[][]>();
        Dictionary<int, double[][]> recurrent = [];
        foreach (var of in Readings.GroupBy(r => r.Times))
        {
            if (of.Key > 1) recurrent[of.Key] = Recurrent(of.Key, of.Key == 4 ? 14.72 : 14.55);
            foreach (var r in of)
            {
                found[(r.Times, r.Window, r.Kept, r.K)] = Add(
                    "landmark", r.Times * window, $"{r.Window * tokens}", "–", $"{r.Kept}", $"{r.K}",
                    (r.Window * tokens) + (r.K * tokens) + r.Kept, r.Books, r.Math, (seed, source) => lab.Perplexity(
                        landmarks[seed], source, r.Times * window, Reading(r.Window, r.K, Bound(r.Times, r.Window, r.Kept))));
            }
        }

        var (short2, middle2, middle4) = (found[(1, 5, 10, 2)], found[(4, 5, 40, 2)], found[(4, 5, 40, 4)]);
        var (long2, long4) = (found[(8, 5, 80, 2)], found[(8, 5, 80, 4)]);
        return new ExperimentResult(
            ["method", "context", "local", "XL cache", "blocks kept", "k", "attention size",
                .. lab.Sources, "paper, PG-19", "paper, arXiv"], rows,
            [
                Claim($"landmarks that read {7 * tokens} tokens are within 2 % of plain attention over {window}", short2, plain, (l, p) => l <= 1.02 * p),
                Claim($"and better than plain attention over {fewer}", short2, shorter, (l, p) => l < p),
                Claim($"a context of {4 * window} is better than one of {window}, k = 2", middle2, short2, (l, p) => l < p),
                Claim($"one of {8 * window} better than one of {4 * window}, k = 2", long2, middle2, (l, p) => l < p),
                Claim($"and with k = 4", long4, middle4, (l, p) => l < p),
                Claim($"k = 4 is better than k = 2 at {4 * window}", middle4, middle2, (l, p) => l < p),
                Claim($"and at {8 * window}", long4, long2, (l, p) => l < p),
                Claim($"with k = 4 it is at most 4 % behind a Transformer-XL at {4 * window}", middle4, recurrent[4], (l, r) => l <= 1.04 * r),
                Claim($"and at {8 * window}", long4, recurrent[8], (l, r) => l <= 1.04 * r),
            ]);

        ExperimentClaim Claim(string text, double[][] one, double[][] other, Func<double, double, bool> holds) => new(
            text, one.Zip(other).All(s => s.First.Zip(s.Second).All(p => holds(p.First, p.Second))),
            string.Join("; ", lab.Sources.Zip(one, other).Select(s => $"{s.First}: {Cells.Mean(s.Second)} and {Cells.Mean(s.Third)}")));
    }
}
