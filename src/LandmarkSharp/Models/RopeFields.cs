using System.Text.Json.Nodes;
using LandmarkSharp.Attention;

namespace LandmarkSharp.Models;

/// <summary>The rotary fields of config.json: rope_theta and rope_scaling of old, rope_parameters of new.</summary>
internal static class RopeFields
{
    public static RotaryScaling Read(ConfigFields fields, int maxPositions)
    {
        var theta = fields.Number("rope_theta");
        var (old, now) = (fields.Object("rope_scaling"), fields.Object("rope_parameters"));
        if (old is not null && now is not null)
            throw new LandmarkException($"{fields.Path} has both rope_scaling and rope_parameters; keep the one that was meant.");
        var rope = now ?? old;
        if (rope is null) return new RotaryScaling(Theta: theta ?? 10000);

        theta = rope.Number("rope_theta") ?? theta ?? 10000;
        var (first, second) = (rope.Text("rope_type"), rope.Text("type"));
        var type = first ?? second ?? "default";
        rope.Demand("partial_rotary_factor", "1", "1.0");
        var original = rope.Integer("original_max_position_embeddings");
        double Factor() => rope.Number("factor") is { } f and > 0
            ? f
            : throw new LandmarkException($"{fields.Path}: rope type {type} needs a positive factor.");
        var scaling = type switch
        {
            "default" => new RotaryScaling(Theta: theta.Value),
            "linear" => new RotaryScaling(RotaryScalingKind.Linear, theta.Value, Factor()),
            "llama3" => new RotaryScaling(RotaryScalingKind.Llama3, theta.Value, Factor(), original ?? maxPositions,
                rope.Number("low_freq_factor") ?? 1, rope.Number("high_freq_factor") ?? 4),
            "yarn" => new RotaryScaling(RotaryScalingKind.Yarn, theta.Value, Factor(), original ?? maxPositions,
                BetaFast: rope.Number("beta_fast") ?? 32, BetaSlow: rope.Number("beta_slow") ?? 1,
                AttentionFactor: rope.Number("attention_factor")),
            _ => throw new LandmarkException($"{fields.Path}: rope type '{type}' is not supported; default, linear, llama3 and yarn are."),
        };
        rope.RefuseOthers(new HashSet<string>(StringComparer.Ordinal) { "factor" });
        return scaling;
    }

    /// <summary>Writes the old form, which every version of transformers reads.</summary>
    public static void Write(RotaryScaling rope, JsonObject json)
    {
        json["rope_theta"] = Float(rope.Theta);
        if (rope.Kind == RotaryScalingKind.Default) return;
        var fields = new JsonObject { ["rope_type"] = Name(rope.Kind), ["factor"] = Float(rope.Factor) };
        if (rope.Kind != RotaryScalingKind.Linear) fields["original_max_position_embeddings"] = rope.OriginalContext;
        if (rope.Kind == RotaryScalingKind.Llama3)
            (fields["low_freq_factor"], fields["high_freq_factor"]) = (Float(rope.LowFrequencyFactor), Float(rope.HighFrequencyFactor));
        if (rope.Kind == RotaryScalingKind.Yarn)
        {
            (fields["beta_fast"], fields["beta_slow"]) = (Float(rope.BetaFast), Float(rope.BetaSlow));
            if (rope.AttentionFactor is { } factor) fields["attention_factor"] = Float(factor);
        }
        json["rope_scaling"] = fields;
    }

    /// <summary>A number that Python reads as a float: some versions of transformers refuse 8 where they expect 8.0.</summary>
    private static JsonNode Float(double x) => JsonNode.Parse(x.ToString(double.IsInteger(x) ? "F1" : "R"))!;

    private static string Name(RotaryScalingKind kind) => kind switch
    {
        RotaryScalingKind.Linear => "linear",
        RotaryScalingKind.Llama3 => "llama3",
        _ => "yarn",
    };
}
