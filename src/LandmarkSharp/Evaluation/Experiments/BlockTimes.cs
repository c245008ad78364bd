using System.Diagnostics;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Models;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Figure 7: the time to read 4,870 tokens by the length of a block and the number of blocks read, one choice for all
/// tokens of a window. Windows are as long as fits beside k + 1 blocks in 1,024 positions. Time does not
/// depend on what weights know, so they are random.
/// </summary>
internal static class BlockTimes
{
    private const int Tokens = 4870, Positions = 1024, Repeats = 5;

    private static readonly int[] Blocks = [16, 32, 64, 128];

    private static readonly (int K, double[] Paper)[] Readings =
    [
        (2, [1.544, 1.374, 1.358, 1.432]), (4, [1.620, 1.404, 1.467, 1.616]), (6, [1.662, 1.487, 1.571, 3.391]),
    ];

    public static ExperimentResult Run(Laboratory lab)
    {
        var found = Blocks.ToDictionary(b => b, block => lab.Measure(
            $"seconds to read {Tokens} tokens in blocks of {block} by {lab.DeviceName}", stop => Times(lab, block, stop)));
        double Ours(int k, int block) => found[block][Array.FindIndex(Readings, r => r.K == k)] * 1000;
        var paper = Readings.ToDictionary(r => r.K, r => r.Paper);
        var blocks = found.Keys.ToArray();
        return new ExperimentResult(
            ["block", .. Readings.Select(r => $"k = {r.K}, ms"), .. Readings.Select(r => $"paper, k = {r.K}, ms")],
            [.. blocks.Select((block, b) => (IReadOnlyList<string>)[
                $"{block}", .. Readings.Select(r => Cells.Number(Ours(r.K, block), "F1")),
                .. Readings.Select(r => Cells.Number(r.Paper[b] * 1000, "F0"))])],
            [
                new("more blocks take longer, at every length", blocks.All(b => Ours(2, b) < Ours(6, b)),
                    string.Join("; ", blocks.Select(b => $"{b}: {Cells.Number(Ours(2, b), "F1")} and {Cells.Number(Ours(6, b), "F1")} ms"))),
                new("blocks of middling length are fastest for k = 6: longer ones leave too short a window",
                    Ours(6, 128) > Math.Min(Ours(6, 32), Ours(6, 64)),
                    $"{Cells.Number(Ours(6, 32), "F1")}, {Cells.Number(Ours(6, 64), "F1")} and {Cells.Number(Ours(6, 128), "F1")} ms"),
            ],
            new("positions of a block", "ms to read 4,870 tokens",
                [.. Readings.Select(r => ($"k = {r.K}", (IReadOnlyList<(double, double)>)[.. blocks.Select(b => ((double)b, Ours(r.K, b)))]))],
                IsLogAcross: true));
    }

    /// <summary>Seconds for each number of blocks read, the median of some.</summary>
    private static double[] Times(Laboratory lab, int block, CancellationToken stop)
    {
        var tokenizer = lab.Tokenizer;
        var recipe = lab.Recipe with { BlockTokens = block - 1, Stages = [lab.Stage with { Window = Positions, TaskShare = 0 }] };
        using var decoder = Checkpoint.Create(
            recipe.Model(tokenizer.VocabularySize, tokenizer.EosId, tokenizer.Fingerprint), lab.Device, recipe.Compute(lab.Device), 1);
        var text = lab.HeldOut(lab.Sources[0], Tokens).First();
        return [.. Readings.Select(r =>
        {
            var window = (Positions / block) - r.K - 1;
            using var engine = new LandmarkEngine(
                decoder, tokenizer, LanguageModelling.Reading(window, r.K, null, SelectionMode.PerHead), owner: false);
            // The first two find memory and compile.
            double[] times = [.. Enumerable.Range(0, Repeats + 2).Select(_ => Seconds(engine, text, stop)).Skip(2).Order()];
            return times[Repeats / 2];
        })];
    }

    private static double Seconds(LandmarkEngine engine, int[] text, CancellationToken stop)
    {
        using var session = EvaluationSession.Begin(engine);
        var clock = Stopwatch.GetTimestamp();
        session.Append(text, cancel: stop);
        // The last positions wait until something is asked.
        _ = session.Generate(new GenerationOptions { MaxTokens = 1 }, stop).First();
        return Stopwatch.GetElapsedTime(clock).TotalSeconds;
    }
}
