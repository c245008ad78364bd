namespace LandmarkSharp.Training.Tasks;

/// <summary>A kind of fact: what it is about, what is to be remembered of it, and how it is said and asked.</summary>
/// <param name="Family">The family that rows of this kind count for when one fact is asked of several.</param>
/// <param name="Subject">Whose or of what, as <c>{person}</c>.</param>
/// <param name="Value">What must be remembered, as <c>{number}</c>.</param>
/// <param name="Statements">How it is said.</param>
/// <param name="Questions">How it is asked, with the answer: each has the slot A once, at its end.</param>
internal sealed record FactSchema(
    TaskFamily Family, Template Subject, Template Value, Template[] Statements, Template[] Questions)
{
    /// <summary>What is asked for, drawn once for a row and shared by its facts.</summary>
    public Template Thing { get; init; } = "";

    /// <summary>Whether facts of this kind stand close together, one a line, as entries of a list.</summary>
    public bool Dense { get; init; }

    /// <summary>How often the kind is drawn against others of its family.</summary>
    public double Weight { get; init; } = 1;

    /// <summary>Every wording, for the test that the two splits have none in common.</summary>
    public IEnumerable<string> Wordings => Statements.Concat(Questions).Select(t => t.Source);

    /// <summary>Whom or what a fact of this kind is about.</summary>
    public string DrawSubject(CounterRandom random, Lexicon lexicon, string thing) =>
        Subject.Expand(random, lexicon, new Binding(thing, "", ""));

    /// <summary>A fact of this kind.</summary>
    public Binding Draw(CounterRandom random, Lexicon lexicon, string thing) =>
        Draw(random, lexicon, thing, DrawSubject(random, lexicon, thing));

    /// <summary>A fact of this kind about someone.</summary>
    public Binding Draw(CounterRandom random, Lexicon lexicon, string thing, string subject) =>
        new(thing, subject, Value.Expand(random, lexicon, new Binding(thing, subject, "")));

    public static IReadOnlyList<FactSchema> Of(TaskSplit split) =>
        split == TaskSplit.Training ? TrainingFacts.All : HeldOutFacts.All;
}
