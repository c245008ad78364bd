namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Rows in which two facts about one stand apart and are asked for together, among the same facts about others; some are said in
/// half alone.
/// </summary>
internal sealed class PairTask(FragmentEncoder encoder, FillerShop shop, RetrievalTaskOptions options)
{
    private readonly TwoStatements rows = new(encoder, shop, options);
    private readonly Lexicon lexicon = Lexicon.Of(options.Split);
    private readonly IReadOnlyList<PairSchema> schemas = PairSchema.Of(options.Split);
    private readonly double[] weights = [.. PairSchema.Of(options.Split).Select(s => s.Weight)];
    private readonly MadeUpWordings madeUp = new(options.Phrases);

    // What is kept out of training is asked as its few wordings have it.
    private readonly double madeUpShare = options.Split == TaskSplit.Training ? 0.4 : 0;

    public TaskRow Row(CounterRandom random, int length)
    {
        var schema = random.Chance(madeUpShare) ? madeUp.Pair(random) : schemas[random.Weighted(weights)];
        var pairs = Draw(random, schema);
        return rows.Row(
            random, length, TaskFamily.Pair, pairs, Named(pairs),
            (pair, dialogue) => Question(random, schema, pair, dialogue), _ => null);
    }

    /// <summary>
    /// The same as a prompt: pairs somewhere in the filler, then one question, up to where its answer is to follow.
    /// </summary>
    /// <param name="random">Decides words, values and places.</param>
    /// <param name="length">Tokens of the whole.</param>
    /// <param name="schema">The kind of pair.</param>
    /// <param name="kind">The text around.</param>
    /// <param name="depth">Where the first fact stands; null draws it as the others'.</param>
    public TaskPrompt Prompt(CounterRandom random, int length, PairSchema schema, FillerKind kind, double? depth)
    {
        var pairs = Draw(random, schema);
        var asked = Question(random, schema, pairs[0], dialogue: null);
        return rows.Prompt(random, length, pairs, Named(pairs), asked, kind, depth);
    }

    /// <summary>Two to five pairs whose subjects and values differ, and sometimes two halves of others. The first is whole.</summary>
    private List<Pair> Draw(CounterRandom random, PairSchema schema)
    {
        var (thing, lookalikes) = (schema.One.Thing.Expand(random, lexicon, default), random.Chance(options.Lookalikes));
        var (ones, others) = (TwoStatements.Wordings(random, schema.One.Statements), TwoStatements.Wordings(random, schema.Other.Statements));
        var whole = random.Between(2, 5);
        var halves = random.Chance(0.3) ? 2 : 0;
        var pairs = new List<Pair>();
        var taken = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var tries = 8 * (whole + halves); tries > 0 && pairs.Count < whole + halves; tries--)
        {
            var subject = schema.One.DrawSubject(random, lexicon, thing);
            if (pairs.Count > 0 && lookalikes) subject = Lookalike.Of(random, random.Pick(pairs).Subject, subject);
            var one = schema.One.Draw(random, lexicon, thing, subject);
            var other = schema.Other.Draw(random, lexicon, thing, subject);
            // What is not said in two ways can be told apart.
            string[] parts = [subject, one.Value, other.Value];
            if (parts.Distinct().Count() < parts.Length || parts.Any(taken.Contains)) continue;
            taken.UnionWith(parts);
            var i = pairs.Count;
            pairs.Add(new Pair(
                one, other,
                i == whole ? null : random.Pick(ones).Expand(random, lexicon, one),
                i == whole + 1 ? null : random.Pick(others).Expand(random, lexicon, other)));
        }
        return pairs;
    }

    private string Question(CounterRandom random, PairSchema schema, Pair pair, Dialogue? dialogue)
    {
        var answer = $"{pair.One.Value} and {pair.Other.Value}";
        var text = random.Pick(schema.Questions).Expand(random, lexicon, pair.One with { Value = answer });
        var (end, mark) = (text.IndexOf('?', StringComparison.Ordinal) + 1, text.IndexOf(Marks.Answer, StringComparison.Ordinal));
        if (end > 0 && end < mark) text = dialogue?.Lines(text[..end], text[mark..]) ?? text;
        return text + Dialogue.End(random, answer);
    }

    private static string[] Named(List<Pair> pairs) => [.. pairs.Select(p => p.Subject)];

    /// <summary>Two facts and their statements, of which one is null where half is said.</summary>
    private sealed record Pair(Binding One, Binding Other, string? First, string? Second) : Told(First, Second)
    {
        public string Subject => One.Subject;
    }
}
