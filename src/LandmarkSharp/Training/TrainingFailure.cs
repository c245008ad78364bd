namespace LandmarkSharp.Training;

/// <summary>Ends of a run that the same command cannot mend, and how what was learned is not lost.</summary>
internal static class TrainingFailure
{
    /// <summary>Numbers that are none: the same recipe would come to them again.</summary>
    /// <param name="what">What is no number, and when.</param>
    /// <param name="onward"><see cref="TrainingCheckpoints.Onward"/>.</param>
    public static LandmarkException NoNumber(string what, string onward) =>
        new($"{what}; train with a lower peak_rate into another folder{onward}.");

    /// <summary>A step does not fit in memory.</summary>
    /// <param name="stage">What it is of.</param>
    /// <param name="device">Where.</param>
    /// <param name="onward"><see cref="TrainingCheckpoints.Onward"/>.</param>
    /// <param name="e">What libtorch or .NET said.</param>
    public static LandmarkException NoMemory(TrainingStage stage, string device, string onward, Exception e) => new(
        $"There is not enough memory on {device} for {stage.Rows} rows of {stage.Window} positions; give the stage fewer rows and as many "
        + $"times more to accumulate, or set recompute_layers to true or compute_type to bfloat16, and train into another folder{onward}.",
        e);
}
