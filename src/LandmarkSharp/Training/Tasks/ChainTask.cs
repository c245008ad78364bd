namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Rows in which an answer takes two statements that stand apart: the first leads from what the question names to a bridge, the
/// second from the bridge to what is asked for. Other chains of the kind stand around, so the bridge decides. A question is
/// answered in steps: with the bridge, and then the second statement word by word. Prompts may ask for an answer at once, too.
/// </summary>
internal sealed class ChainTask(FragmentEncoder encoder, FillerShop shop, RetrievalTaskOptions options)
{
    private readonly TwoStatements rows = new(encoder, shop, options);
    private readonly Lexicon lexicon = Lexicon.Of(options.Split);
    private readonly IReadOnlyList<ChainSchema> schemas = ChainSchema.Of(options.Split);
    private readonly MadeUpWordings madeUp = new(options.Phrases);

    // What is kept out of training is asked as its few wordings have it.
    private readonly (double MadeUp, double Aside) shares = options.Split == TaskSplit.Training ? (0.6, 0.3) : (0, 0);

    public TaskRow Row(CounterRandom random, int length)
    {
        var schema = random.Chance(shares.MadeUp) ? madeUp.Chain(random) : random.Pick(schemas);
        var chains = Draw(random, schema);
        return rows.Row(
            random, length, TaskFamily.Chain, chains, Named(chains),
            (chain, dialogue) => Question(random, schema, chain, inSteps: true, dialogue),
            chain => random.Chance(shares.Aside) ? Aside(random, schema, chain) : null);
    }

    /// <summary>
    /// The same as a prompt: chains somewhere in the filler, then one question, up to where its answer is to follow.
    /// </summary>
    /// <param name="random">Decides words, values and places.</param>
    /// <param name="length">Tokens of the whole.</param>
    /// <param name="schema">The kind of chain.</param>
    /// <param name="inSteps">Whether the bridge is to be said first.</param>
    /// <param name="kind">The text around.</param>
    /// <param name="depth">Where the statement that the question leads to stands; null draws it as the others'.</param>
    public TaskPrompt Prompt(
        CounterRandom random, int length, ChainSchema schema, bool inSteps, FillerKind kind, double? depth)
    {
        var chains = Draw(random, schema);
        var asked = Question(random, schema, chains[0], inSteps, dialogue: null);
        return rows.Prompt(random, length, chains, Named(chains), asked, kind, depth);
    }

    /// <summary>
    /// Two to five chains, no word of which names another's part, and sometimes one that leads nowhere and one that nothing
    /// leads to. The first is whole.
    /// </summary>
    private List<Chain> Draw(CounterRandom random, ChainSchema schema)
    {
        var (thing, lookalikes) = (schema.First.Thing.Expand(random, lexicon, default), random.Chance(options.Lookalikes));
        var (says, leads) = (TwoStatements.Wordings(random, schema.First.Statements), TwoStatements.Wordings(random, schema.Second.Statements));
        var whole = random.Between(2, 5);
        var (deadEnd, loose) = (random.Chance(0.3), random.Chance(0.3));
        var chains = new List<Chain>();
        var taken = new List<string>();
        var count = whole + (deadEnd ? 1 : 0) + (loose ? 1 : 0);
        for (var tries = 8 * count; tries > 0 && chains.Count < count; tries--)
        {
            var model = chains.Count > 0 && lookalikes ? random.Pick(chains) : null;
            var subject = Like(random, model?.Subject, schema.First.DrawSubject(random, lexicon, thing));
            var bridge = Like(random, model?.Bridge, schema.Second.DrawSubject(random, lexicon, ""));
            var value = schema.Second.Value.Expand(random, lexicon, default);
            string[] parts = [subject, bridge, value];
            if (parts.Index().Any(p => taken.Concat(parts[..p.Index]).Any(t => Overlap(t, p.Item)))) continue;
            taken.AddRange(parts);
            var i = chains.Count;
            chains.Add(new Chain(
                thing, subject, bridge, value,
                i < whole || (i == whole && deadEnd) ? random.Pick(says).Expand(random, lexicon, new(thing, subject, bridge)) : null,
                i < whole || i > whole || !deadEnd ? random.Pick(leads).Expand(random, lexicon, new("", bridge, value)) : null));
        }
        return chains;
    }

    private string Question(CounterRandom random, ChainSchema schema, Chain chain, bool inSteps, Dialogue? dialogue)
    {
        var described = random.Pick(schema.Descriptions).Expand(random, lexicon, new(chain.Thing, chain.Subject, ""));
        var text = random.Pick(schema.Second.Questions).Expand(random, lexicon, new(described, "", chain.Value));
        var (end, mark) = (text.IndexOf('?', StringComparison.Ordinal) + 1, text.IndexOf(Marks.Answer, StringComparison.Ordinal));
        var (question, reply, answer) = (text[..end], text[end..].TrimStart(), chain.Value);
        if (inSteps)
        {
            answer = $"{chain.Bridge}. {chain.Second!.TrimEnd('.', ';', '!')}";
            reply = random.Pick(schema.First.Questions).Expand(random, lexicon, new(chain.Thing, chain.Subject, answer));
        }
        // Of two who speak, the second needs no more than the answer where that is all in one.
        text = dialogue?.Lines(question, inSteps ? reply : text[mark..]) ?? $"{question} {reply}";
        return text + Dialogue.End(random, answer);
    }

    /// <summary>
    /// Something else about what the question names or about the bridge, so that what is asked decides as well; null where there is
    /// no other kind of fact about such.
    /// </summary>
    private string? Aside(CounterRandom random, ChainSchema schema, Chain chain)
    {
        (FactSchema Fact, string About)[] others =
        [
            .. schemas.Where(s => s.First.Subject.Source == schema.First.Subject.Source && !ReferenceEquals(s.First, schema.First))
                .Select(s => (s.First, chain.Subject)),
            .. schemas.Where(s => s.Second.Subject.Source == schema.Second.Subject.Source && !ReferenceEquals(s.Second, schema.Second))
                .Select(s => (s.Second, chain.Bridge)),
        ];
        if (others.Length == 0) return null;
        var (fact, about) = random.Pick(others);
        var told = fact.Draw(random, lexicon, fact.Thing.Expand(random, lexicon, default), about);
        return random.Pick(fact.Statements).Expand(random, lexicon, told);
    }

    private static string Like(CounterRandom random, string? model, string other) =>
        model is null ? other : Lookalike.Of(random, model, other);

    private static bool Overlap(string one, string other) =>
        one.Contains(other, StringComparison.OrdinalIgnoreCase) || other.Contains(one, StringComparison.OrdinalIgnoreCase);

    private static string[] Named(List<Chain> chains) => [.. chains.SelectMany(c => (string[])[c.Subject, c.Bridge])];

    /// <summary>Two facts and their statements, of which one is null where the chain is broken.</summary>
    private sealed record Chain(string Thing, string Subject, string Bridge, string Value, string? First, string? Second)
        : Told(First, Second);
}
