using System.Text.Json;
using System.Text.Json.Serialization;

namespace LandmarkSharp.Training;

/// <summary>A line of a run's metrics: a step, or a validation after it.</summary>
public sealed record MetricsLine
{
    /// <summary>Steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Weighted loss of the step.</summary>
    public double? Loss { get; init; }

    /// <summary>Mean cross-entropy of plain text's tokens; null if the step had none.</summary>
    public double? TextLoss { get; init; }

    /// <summary>Mean cross-entropy of answers' tokens; null if the step had none.</summary>
    public double? AnswerLoss { get; init; }

    /// <summary>Learning rate.</summary>
    public double? Rate { get; init; }

    /// <summary>Norm of the gradients before clipping.</summary>
    public double? GradientNorm { get; init; }

    /// <summary>Positions trained on so far, landmarks counted.</summary>
    public long? Positions { get; init; }

    /// <summary>Mean cross-entropy of held-out text.</summary>
    public double? ValidationLoss { get; init; }

    /// <summary>Mean cross-entropy of answers' tokens in tasks of held-out wordings.</summary>
    public double? ValidationAnswerLoss { get; init; }

    /// <summary>Share of those answers right in every token.</summary>
    public double? ValidationAnswersRight { get; init; }
}

/// <summary>metrics.jsonl of a run: one curve, whatever stops there were.</summary>
internal sealed class MetricsFile : IDisposable
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private readonly StreamWriter writer;

    /// <summary>Opens the file; lines after <paramref name="step"/> are of work that was lost, and go.</summary>
    public MetricsFile(string folder, long step)
    {
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, "metrics.jsonl");
        var kept = File.Exists(path) ? File.ReadAllLines(path).Where(l => Step(l) <= step).ToArray() : [];
        File.WriteAllLines(path + ".partial", kept);
        File.Move(path + ".partial", path, overwrite: true);
        writer = new StreamWriter(path, append: true);
    }

    /// <summary>Adds lines and puts them on the disk.</summary>
    public void Add(IEnumerable<MetricsLine> lines)
    {
        foreach (var line in lines) writer.WriteLine(JsonSerializer.Serialize(line, Json));
        writer.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => writer.Dispose();

    /// <summary>A line's step; a line that a kill cut short is past every step.</summary>
    private static long Step(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<MetricsLine>(line, Json)?.Step ?? long.MaxValue;
        }
        catch (JsonException)
        {
            return long.MaxValue;
        }
    }
}
