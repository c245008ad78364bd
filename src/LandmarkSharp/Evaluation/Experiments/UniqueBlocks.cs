using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Text;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Evaluation.Experiments;

/// <summary>
/// The paper's Figure 5: how many different blocks the queries of one window read in a layer, all heads together, by who shares a
/// choice. The window is the eighth, seven windows of five blocks before it.
/// </summary>
internal static class UniqueBlocks
{
    private const int Window = 5, TopK = 4, Before = 7, Texts = 40;

    private static readonly (SelectionMode Mode, string Name)[] Modes =
    [
        (SelectionMode.PerTokenAndHead, "per token and head"), (SelectionMode.PerHead, "per head"), (SelectionMode.PerToken, "per token"),
    ];

    public static ExperimentResult Run(Laboratory lab)
    {
        var model = LanguageModelling.Landmark(lab, lab.Seeds[0]);
        const int blocks = Window * Before;
        // For each mode the counts of a layer and text, layers in order.
        var found = Modes.ToDictionary(m => m.Mode, m => lab.Measure($"blocks that {model.Name} reads {m.Name}", stop =>
        {
            var engine = lab.Engine(model).With(LanguageModelling.Reading(Window, TopK, null, m.Mode));
            var texts = lab.HeldOut(lab.Sources[0], (Before + 1) * Window * lab.Recipe.BlockTokens).Take(Texts);
            return [.. texts.SelectMany(text => Read(engine, text, stop))];
        }));
        double Share(SelectionMode mode, Func<double, bool> which) => (double)found[mode].Count(which) / found[mode].Length;
        var most = lab.Recipe.Heads * TopK;
        return new ExperimentResult(
            ["choice", "mean", "least", "most", "up to 9", $"all {blocks}"],
            [.. Modes.Select(m => (IReadOnlyList<string>)[
                m.Name, Cells.Number(found[m.Mode].Average(), "F1"), Cells.Number(found[m.Mode].Min(), "F0"), Cells.Number(found[m.Mode].Max(), "F0"),
                Cells.Percent(Share(m.Mode, n => n <= 9)), Cells.Percent(Share(m.Mode, n => n == blocks))])],
            [
                new($"choosing per token and head a window reads nearly all blocks ({blocks - 3} or more in over half of the layers)",
                    Share(SelectionMode.PerTokenAndHead, n => n >= blocks - 3) > 0.5,
                    Cells.Percent(Share(SelectionMode.PerTokenAndHead, n => n >= blocks - 3))),
                new($"choosing per head it reads fewer than 10 in most layers, of the {Math.Min(most, blocks)} it could",
                    Share(SelectionMode.PerHead, n => n < 10) > 0.5, Cells.Percent(Share(SelectionMode.PerHead, n => n < 10))),
            ],
            new("different blocks read by a window, in a layer", "share of layers and texts",
                [.. Modes.Select(m => (m.Name, (IReadOnlyList<(double, double)>)
                    [.. Enumerable.Range(0, blocks + 1).Select(n => ((double)n, Share(m.Mode, c => c == n)))]))]));
    }

    /// <summary>The number of different blocks that the last whole window of a text reads, layer by layer.</summary>
    internal static double[] Read(LandmarkEngine engine, int[] text, CancellationToken stop)
    {
        using var quiet = inference_mode();
        var landmark = engine.Config.Landmark!;
        List<int> ids = [];
        new LandmarkStream(landmark.BlockTokens, landmark.Id).Push(text, ids);
        using var memory = (BlockMemory)engine.NewMemory();
        Pass(Before * Window * landmark.BlockLength);
        var seen = Enumerable.Range(0, engine.Config.Layers).Select(_ => new HashSet<long>()).ToArray();
        memory.Observer = (layer, read) =>
        {
            using var scope = NewDisposeScope();
            seen[layer].UnionWith(read.Chosen!.contiguous().cpu().data<long>().Where(block => block >= 0));
        };
        Pass(ids.Count);
        return [.. seen.Select(s => (double)s.Count)];

        void Pass(int end)
        {
            while (memory.Positions < end)
            {
                stop.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (at, count) = ((int)memory.Positions, (int)Math.Min(memory.Room, end - memory.Positions));
                var next = tensor(ids.GetRange(at, count).ToArray(), ScalarType.Int64, engine.Decoder.Device);
                memory.Begin(count);
                engine.Decoder.Forward(next.unsqueeze(0), memory);
                memory.End();
            }
        }
    }
}
