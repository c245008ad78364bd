namespace LandmarkSharp.Training;

/// <summary>A stretch of a training run: from a step on, windows of this length.</summary>
public sealed record TrainingStage
{
    /// <summary>The first step of the stage, from 0.</summary>
    public long FromStep { get; init; }

    /// <summary>Positions of a window, landmarks counted; with <see cref="TrainingOptions.Recurrence"/> of a segment, which is cut into windows.</summary>
    public int Window { get; init; } = 512;

    /// <summary>Rows of a micro-batch.</summary>
    public int Rows { get; init; } = 128;

    /// <summary>Micro-batches of a step.</summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>The share of rows that are retrieval tasks.</summary>
    public double TaskShare { get; init; } = 0.5;
}
