namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// A kind of two facts that must be read together: one leads from what a question names to a bridge, as a chest that a key
/// is kept in; the other leads from the bridge to what is asked for, as the cellar that the chest stands in.
/// </summary>
/// <param name="First">
/// From its subject to the bridge, which is its value; its questions are how an answer in steps begins, up to the bridge.
/// </param>
/// <param name="Descriptions">The bridge as questions speak of it, by the subject: "what holds the key of Anna".</param>
/// <param name="Second">
/// From the bridge, its subject, to the value; its questions have a description of the bridge as slot T, a question mark, and
/// the answer.
/// </param>
internal sealed record ChainSchema(FactSchema First, Template[] Descriptions, FactSchema Second)
{
    /// <summary>Every wording, for the test that the two splits have none in common.</summary>
    public IEnumerable<string> Wordings =>
        [.. First.Wordings, .. Descriptions.Select(d => d.Source), .. Second.Wordings];

    public static IReadOnlyList<ChainSchema> Of(TaskSplit split) =>
        split == TaskSplit.Training ? TrainingChains.All : HeldOutChains.All;

    /// <summary>The first fact of a chain.</summary>
    public static FactSchema From(Template subject, Template bridge, Template[] statements, Template[] answers) =>
        new(TaskFamily.Chain, subject, bridge, statements, answers);

    /// <summary>The second fact of a chain.</summary>
    public static FactSchema To(Template bridge, Template value, Template[] statements, Template[] questions) =>
        new(TaskFamily.Chain, bridge, value, statements, questions);
}
