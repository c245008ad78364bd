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
internal static class MetricsFile
{
    /// <summary>Its name in the run's folder.</summary>
    public const string Name = "metrics.jsonl";

    /// <summary>Opens it to go on after a step.</summary>
    public static StepFile Open(string folder, long step) => new(Path.Combine(folder, Name), step);
}
