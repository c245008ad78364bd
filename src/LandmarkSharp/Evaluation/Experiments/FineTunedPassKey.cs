using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Training;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Figure 3: a plain model finds the pass key in prompts as long as its window and none longer; fine-tuned with landmarks
/// on windows of the same length, it finds it in prompts of any. There the model is LLaMA 7B; here a plain model is trained first,
/// with the recipe's share of retrieval tasks, and fine-tuned both whole and by an adapter.
/// </summary>
internal static class FineTunedPassKey
{
    // A plain model's attention over more is of no use and takes minutes.
    private const int LongestPlain = 8192;

    private static readonly int[] Lengths = [256, 448, 1024, 2048, 4096, 8192, 16384, 32768];

    // Tokens and accuracy of LLaMA 7B before and after.
    private static readonly (int Tokens, double? Plain, double Landmark)[] Paper =
    [
        (70, 100, 100), (204, 100, 100), (339, 100, 100), (1406, 100, 96), (2204, 100, 100),
        (2737, 0, 100), (3804, 0, 96), (5406, 0, 86), (6739, 0, 96),
        (10206, null, 86), (32070, null, 98),
    ];

    public static ExperimentResult Run(Laboratory lab)
    {
        var seed = lab.Seeds[0];
        if (lab.Stage.TaskShare == 0)
            throw new LandmarkException("The recipe has task_share 0, so its models never learn to answer for a pass key; give a share of tasks.");
        var window = lab.Stage.Window;
        if (2 * window >= LongestPlain)
            throw new LandmarkException(
                $"The recipe's window is {window}, and a plain model is asked in prompts of up to {LongestPlain} tokens, some of which must be longer than two "
                + $"windows; give a window below {LongestPlain / 2}.");
        var recipe = lab.Recipe with { Seed = seed };
        var plain = new Variant($"base-{seed}", recipe with { BlockTokens = 0 });
        // A third of the steps, at a fifth of the rate; an adapter, which begins with nothing, at the rate itself.
        var tuning = recipe with { Steps = Math.Max(1, recipe.Steps / 3), WarmUp = recipe.WarmUp / 3, PeakRate = recipe.PeakRate / 5 };
        Variant[] models =
        [
            plain,
            new($"tuned-{seed}", tuning, plain),
            new($"adapter-{seed}", tuning with { PeakRate = recipe.PeakRate, Lora = new LoraOptions { Rank = 16, Alpha = 32 } }, plain),
        ];
        string[] names = ["plain", "fine-tuned", "adapter"];
        var found = names.Zip(models).ToDictionary(m => m.First, m => Lengths.Where(n => m.Second != plain || n <= LongestPlain)
            .ToDictionary(n => n, n => Accuracy(lab, m.Second, n)));
        return new ExperimentResult(
            ["tokens", .. names],
            [.. Lengths.Select(n => (IReadOnlyList<string>)[
                $"{n}", .. names.Select(m => found[m].TryGetValue(n, out var a) ? Cells.Percent(a) : "–")])],
            [
                new($"the plain model finds the key within its window of {window}", Within(found["plain"]).All(a => a.Value >= 0.96), Told("plain")),
                new("and not past twice that", found["plain"].Where(a => a.Key > 2 * window).All(a => a.Value <= 0.1), Told("plain")),
                .. new[] { ("fine-tuned", "fine-tuned whole"), ("adapter", "fine-tuned by an adapter") }.Select(m => new ExperimentClaim(
                    $"{m.Item2}, it finds it at every length, 32,768 too (96 % or more of {lab.Trials} prompts)",
                    found[m.Item1].Values.All(a => a >= 0.96), Told(m.Item1))),
            ],
            new("tokens of the prompt", "accuracy, %",
            [
                .. names.Select(m => (m, (IReadOnlyList<(double, double)>)[.. found[m].Select(a => ((double)a.Key, 100 * a.Value))])),
                ("LLaMA 7B (paper)", [.. Paper.Where(p => p.Plain is not null).Select(p => ((double)p.Tokens, p.Plain!.Value))]),
                ("LLaMA 7B fine-tuned (paper)", [.. Paper.Select(p => ((double)p.Tokens, p.Landmark))]),
            ], IsLogAcross: true));

        IEnumerable<KeyValuePair<int, double>> Within(Dictionary<int, double> of) => of.Where(a => a.Key < window);
        string Told(string model) => string.Join(", ", found[model].Select(a => $"{a.Key}: {Cells.Percent(a.Value)}"));
    }

    private static double Accuracy(Laboratory lab, Variant model, int tokens) =>
        lab.Measure($"pass key of {model.Name}: {tokens} tokens", stop =>
        {
            var engine = lab.Engine(model);
            var encoder = new FragmentEncoder(text => engine.Tokenizer.Encode(text));
            var test = new RetrievalTest(engine);
            var right = Enumerable.Range(0, lab.Trials).Count(trial => test.PassKey(encoder, tokens, seed: 1, trial, cancel: stop).Correct);
            return [right / (double)lab.Trials];
        })[0];
}
