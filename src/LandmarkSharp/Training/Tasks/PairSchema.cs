namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Two facts about one, said apart and asked for together: the halves of a code, or where someone lives and what the trade is.
/// </summary>
/// <param name="One">The fact that is answered first; it has no questions of its own.</param>
/// <param name="Other">The other, about the same subject.</param>
/// <param name="Questions">How both are asked for; the answer is the two values with "and" between them.</param>
internal sealed record PairSchema(FactSchema One, FactSchema Other, Template[] Questions)
{
    /// <summary>How often the kind is drawn against others.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Every wording, for the test that the two splits have none in common.</summary>
    public IEnumerable<string> Wordings => [.. One.Wordings, .. Other.Wordings, .. Questions.Select(q => q.Source)];

    public static IReadOnlyList<PairSchema> Of(TaskSplit split) =>
        split == TaskSplit.Training ? TrainingPairs.All : HeldOutPairs.All;

    /// <summary>One fact of a pair.</summary>
    public static FactSchema Fact(Template subject, Template value, params Template[] statements) =>
        new(TaskFamily.Pair, subject, value, statements, []);
}
