using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;

namespace LandmarkSharp.Cli;

/// <summary>What <see cref="Fidelity"/> found, for people and for programs.</summary>
/// <param name="fidelity">What was found.</param>
/// <param name="engine">The model.</param>
/// <param name="context">Tokens of a context.</param>
/// <param name="target">The share for which the smallest k is told.</param>
internal sealed class FidelityReport(Fidelity fidelity, LandmarkEngine engine, int context, double target)
{
    private readonly IReadOnlyList<FidelityOfK> readings = fidelity.Readings;
    private readonly PredictionFidelity any = fidelity.Readings[0].Prediction;      // the dense reading is the same for all

    /// <summary>The mass that each k catches, by layer.</summary>
    public Chart Chart => new(
        readings.Select(r => new Curve($"k = {r.TopK}", [.. r.Layers.Select((a, layer) => ((double)layer, 100 * a.PastShare))])),
        "layer", "past mass caught, %");

    private int? KForMass => fidelity.Smallest(r => r.Attention.PastShare >= target);

    private int? KForAgreement => fidelity.Smallest(r => r.Prediction.Agreement >= target);

    /// <summary>Tells it.</summary>
    public void Show(Output output)
    {
        var share = $"{100 * target:0.##} %";
        var layers = Enumerable.Range(0, engine.Config.Layers);
        output.Table(
            ["k", "blocks read", "past mass", "best", "all mass", "output error", "hidden error", "KL", "agreement", "perplexity"],
            [
                .. readings.Select(r => (string[])[
                    $"{r.TopK}", $"{r.Attention.BlocksRead:F2}", Percent(r.Attention.PastShare), Percent(r.Attention.BestShare),
                    Percent(r.Attention.AllShare), $"{r.Attention.OutputError:F3}", $"{r.Prediction.HiddenError:F3}",
                    $"{r.Prediction.Divergence:F4}", Percent(r.Prediction.Agreement), $"{r.Prediction.Perplexity:F2}"]),
                ["all", "", "", "", "", "", "", "", "", $"{any.DensePerplexity:F2}"],
            ]);
        output.Line("Past mass, by layer:");
        output.Table(
            ["layer", .. readings.Select(r => $"k = {r.TopK}"), $"k for {share}"],
            layers.Select(layer => (string[])[
                $"{layer}", .. readings.Select(r => Percent(r.Layers[layer].PastShare)), Number(KForLayer(layer))]));
        output.Line("Output error, by layer:");
        output.Table(
            ["layer", .. readings.Select(r => $"k = {r.TopK}")],
            layers.Select(layer => (string[])[$"{layer}", .. readings.Select(r => $"{r.Layers[layer].OutputError:F3}")]));
        output.Table(
            ["positions", "tokens", "k", "past mass", "KL", "agreement", "perplexity", "of all"],
            Enumerable.Range(0, readings[0].Positions.Count).SelectMany(_ => readings, (at, r) => (r.TopK, At: r.Positions[at]))
                .Select(x => (string[])[
                    $"{x.At.From:N0} to {x.At.To - 1:N0}", $"{x.At.Prediction.Tokens:N0}", $"{x.TopK}", Percent(x.At.Attention.PastShare),
                    $"{x.At.Prediction.Divergence:F4}", Percent(x.At.Prediction.Agreement), $"{x.At.Prediction.Perplexity:F2}",
                    $"{x.At.Prediction.DensePerplexity:F2}"]));
        output.Line(
            $"{any.Tokens:N0} tokens in contexts of {context:N0}, past a window of {engine.Retrieval!.WindowBlocks} blocks. "
            + $"[bold]{share} of the past mass: k = {Number(KForMass)}[/]; the likeliest token in {share}: k = {Number(KForAgreement)}");
        output.Event(new
        {
            any.Tokens,
            context,
            window_blocks = engine.Retrieval.WindowBlocks,
            keep_blocks = engine.Retrieval.KeepBlocks,
            engine.Retrieval.Mass,
            miss_cutoff = engine.Retrieval.MissCutoff,
            dense_loss = any.DenseLoss,
            dense_perplexity = Finite(any.DensePerplexity),
            target,
            k_for_mass = KForMass,
            k_for_agreement = KForAgreement,
            k_for_mass_by_layer = layers.Select(layer => new { layer, top_k = KForLayer(layer) }),
            by_k = readings.Select(r => new
            {
                r.TopK,
                attention = Told(r.Attention),
                prediction = Told(r.Prediction),
                by_layer = r.Layers.Select(Told),
                by_position = r.Positions.Select(p => new { p.From, p.To, attention = Told(p.Attention), prediction = Told(p.Prediction) }),
            }),
        });
    }

    private int? KForLayer(int layer) => fidelity.Smallest(r => r.Layers[layer].PastShare >= target);

    private static object Told(AttentionFidelity a) => new
    {
        a.BlocksRead,
        past_mass = a.PastShare,
        best_past_mass = a.BestShare,
        all_mass = a.AllShare,
        output_error = a.OutputError,
    };

    private static object Told(PredictionFidelity p) => p.Tokens == 0 ? new { p.Tokens } : new
    {
        p.Tokens,
        kl_divergence = p.Divergence,
        p.Agreement,
        p.Loss,
        perplexity = Finite(p.Perplexity),
        p.DenseLoss,
        dense_perplexity = Finite(p.DensePerplexity),
        p.HiddenError,
    };

    private static string Percent(double share) => $"{100 * share:F1} %";

    private static string Number(int? k) => k is { } some ? $"{some}" : "none";

    /// <summary>JSON knows no infinity, which a loss above 709 makes.</summary>
    private static double? Finite(double x) => double.IsFinite(x) ? x : null;
}
