namespace LandmarkSharp.Training.Tasks;

/// <summary>Rows with facts in them, some of which are asked for.</summary>
internal sealed class FactTask(FragmentEncoder encoder, FillerShop shop, RetrievalTaskOptions options)
{
    /// <summary>What may follow a value at the end of its statement: it is no part of what is asked for.</summary>
    private static readonly Template Tail =
        "[ since {month}| for a long time|, as everyone knew|, they say| these days| again|, and has been for a while"
        + "| after all|, if I remember well| in the {adjective} {noun}| with {name}| near the {noun}| from {noun} {small}"
        + "| for {price}| on {day}|, not {name}]";

    /// <summary>Families whose facts may stand together in a row.</summary>
    private static readonly TaskFamily[] Mixing =
        [TaskFamily.Key, TaskFamily.Fact, TaskFamily.Fact, TaskFamily.Wording, TaskFamily.LongAnswer];

    // What is kept out of training is asked as its few wordings have it.
    private readonly (double Mixed, double Tail) shares = options.Split == TaskSplit.Training ? (0.35, 0.2) : (0, 0);

    private readonly Lexicon lexicon = Lexicon.Of(options.Split);
    private readonly ILookup<TaskFamily, FactSchema> schemas = FactSchema.Of(options.Split).ToLookup(s => s.Family);
    private readonly MadeUpWordings madeUp = new(options.Phrases);

    public TaskRow Row(CounterRandom random, int length, TaskFamily family)
    {
        var schema = Schema(random, family);
        var mixed = Mixing.Contains(family) && random.Chance(shares.Mixed);
        var facts = mixed ? Mixed(random, schema) : Alike(random, schema, Count(random, family));
        var lead = schema.Dense || random.Chance(0.5) ? '\n' : ' ';
        var draft = new RowDraft(random, length, encoder, options);

        // A list stands together more often than it is scattered.
        var together = schema.Dense && random.Chance(0.75) ? random.NextDouble() : (double?)null;
        var allAtEnd = random.Chance(0.3);
        var related = !mixed && random.Chance(0.3) ? Related(schema) : [];
        var asked = Math.Min(facts.Count, 1 + random.Weighted([4, 2, 2, 1, 1, 1]));
        for (var i = 0; i < facts.Count; i++)
        {
            var place = together ?? random.NextDouble();
            var statement = Statement(random, facts[i], lead);
            if (i >= asked)
            {
                if (!draft.TrySay(place, statement, draft.Free)) break;
                continue;
            }
            var question = Question(random, facts[i], lead);
            if (statement.Length + question.Length > draft.Free)
            {
                if (i > 0) break;
                throw RowDraft.TooShort(length, length - draft.Free + statement.Length + question.Length);
            }
            draft.TrySay(place, statement, draft.Free);
            draft.Ask(allAtEnd || (i == 0 && random.Chance(0.3)) ? 1 : RowDraft.Later(random, place), question);
            // Asked once more in other words, or told something else about the same one.
            if (facts.Count == 1 && random.Chance(0.3) && Question(random, facts[i], lead) is var again
                && again.Length <= draft.Free)
                draft.Ask(RowDraft.Later(random, place), again);
            if (related.Count > 0)
                draft.TrySay(random.NextDouble(), Aside(random, related, facts[i].Binding, lead), draft.Free / 2);
        }
        return draft.Compose(family, lead, shop, [.. facts.Select(f => f.Binding.Subject)]);
    }

    /// <summary>
    /// The same as a prompt: facts somewhere in the filler, then one question, up to where its answer is to follow.
    /// </summary>
    public TaskPrompt Prompt(CounterRandom random, int length, FactSchema schema, FillerKind kind, double? depth)
    {
        var facts = Draw(random, schema, schema.Family switch
        {
            TaskFamily.Key => 1,
            TaskFamily.Record => 12,
            _ => 4,
        }, []);
        var wording = random.Pick(schema.Statements);
        var statements = new List<Placed>();
        for (var i = 0; i < facts.Count; i++)
        {
            var place = i == 0 && depth is { } given ? given : random.NextDouble();
            statements.Add(new(place, Piece.Encode(encoder, '\n' + wording.Expand(random, lexicon, facts[i]))));
        }
        var asked = random.Pick(schema.Questions).Expand(random, lexicon, facts[0]);
        return TaskPrompt.Compose(
            encoder, () => shop.Make(kind, random, [.. facts.Select(f => f.Subject)]), statements, needles: 1, asked, length);
    }

    private FactSchema Schema(CounterRandom random, TaskFamily family)
    {
        if (family is TaskFamily.Wording or TaskFamily.LongAnswer) return madeUp.Draw(random, family);
        var kinds = schemas[family].ToArray();
        return kinds[random.Weighted([.. kinds.Select(k => k.Weight)])];
    }

    private static int Count(CounterRandom random, TaskFamily family) => family switch
    {
        TaskFamily.Key => random.Chance(0.65) ? 1 : random.Between(2, 6),
        TaskFamily.Keys => random.Chance(0.85) ? random.Between(2, 6) : random.Between(6, 20),
        TaskFamily.Record => random.Chance(0.6) ? random.Between(3, 12) : random.Between(12, 30),
        _ => random.Chance(0.3) ? 1 : random.Between(2, 8),
    };

    /// <summary>The other kinds of facts that are about the same sort of subject.</summary>
    private List<FactSchema> Related(FactSchema schema) =>
        [.. schemas[TaskFamily.Fact].Where(s => s != schema && s.Subject.Source == schema.Subject.Source)];

    private Piece Aside(CounterRandom random, List<FactSchema> related, Binding about, char lead)
    {
        var schema = random.Pick(related);
        about = about with { Thing = schema.Thing.Expand(random, lexicon, default) };
        var fact = about with { Value = schema.Value.Expand(random, lexicon, about) };
        return Piece.Encode(encoder, lead + Marks.Remove(random.Pick(schema.Statements).Expand(random, lexicon, fact)));
    }

    /// <summary>Facts of one kind: only whom they are about tells them apart.</summary>
    private List<Fact> Alike(CounterRandom random, FactSchema schema, int count)
    {
        var style = new Style(random, schema);
        return [.. Draw(random, schema, count, []).Select(b => new Fact(b, style))];
    }

    /// <summary>Facts of several kinds, the first of this one: what is asked about them tells them apart as well.</summary>
    private List<Fact> Mixed(CounterRandom random, FactSchema schema)
    {
        var facts = new List<Fact>();
        var taken = new HashSet<string>(StringComparer.Ordinal);
        for (var kinds = random.Between(2, 6); kinds > 0; kinds--)
        {
            var style = new Style(random, schema);
            facts.AddRange(Draw(random, schema, random.Between(1, 2), taken).Select(b => new Fact(b, style)));
            schema = Schema(random, random.Pick(Mixing));
        }
        return facts;
    }

    /// <summary>Facts of a kind, none of which has a subject or value that is taken.</summary>
    private List<Binding> Draw(CounterRandom random, FactSchema schema, int count, HashSet<string> taken)
    {
        var thing = schema.Thing.Expand(random, lexicon, default);
        var facts = new List<Binding>();
        var alike = options.Lookalikes > 0 && random.Chance(options.Lookalikes);
        for (var tries = 2 * count; tries > 0 && facts.Count < count; tries--)
        {
            var subject = schema.DrawSubject(random, lexicon, thing);
            if (alike && (facts.Count > 0 || random.Chance(0.5)))
            {
                var model = facts.Count > 0 ? random.Pick(facts).Subject : schema.DrawSubject(random, lexicon, thing);
                subject = Lookalike.Of(random, model, subject);
            }
            var fact = schema.Draw(random, lexicon, thing, subject);
            // Two facts that share their subject or their value could not be told apart.
            if (!taken.Contains(fact.Value) && taken.Add(fact.Subject))
            {
                taken.Add(fact.Value);
                facts.Add(fact);
            }
        }
        return facts;
    }

    private Piece Statement(CounterRandom random, Fact fact, char lead)
    {
        var wording = random.Pick(fact.Style.Statements);
        var text = wording.Expand(random, lexicon, fact.Binding);
        if (fact.Style.MayTail && wording.Source.EndsWith("{V}.", StringComparison.Ordinal) && random.Chance(shares.Tail))
            text = $"{text[..^1]}{Tail.Expand(random, lexicon, default)}.";
        return Piece.Encode(encoder, lead + text);
    }

    private Piece Question(CounterRandom random, Fact fact, char lead)
    {
        var (style, value) = (fact.Style, fact.Binding.Value);
        var text = random.Pick(style.Questions).Expand(random, lexicon, fact.Binding);
        var mark = text.IndexOf(Marks.Answer, StringComparison.Ordinal);
        // A question proper can also be answered without repeating it.
        if (text.IndexOf('?', StringComparison.Ordinal) is > 0 and var end && end < mark)
            text = style.Dialogue.Lines(text[..(end + 1)], text[mark..]) ?? text;
        text += Dialogue.End(random, value);
        return Piece.Encode(encoder, lead + text);
    }

    /// <summary>A fact, and how facts of its kind are said and asked in its row.</summary>
    private sealed record Fact(Binding Binding, Style Style);

    /// <summary>What the facts of a kind have in common in a row.</summary>
    private sealed class Style(CounterRandom random, FactSchema schema)
    {
        public IReadOnlyList<Template> Statements { get; } =
            random.Chance(schema.Dense ? 0.85 : 0.6) ? [random.Pick(schema.Statements)] : schema.Statements;

        public IReadOnlyList<Template> Questions { get; } =
            random.Chance(0.5) ? [random.Pick(schema.Questions)] : schema.Questions;

        /// <summary>Made-up wordings have tails of their own, and of a sentence all is asked.</summary>
        public bool MayTail { get; } = schema.Family is TaskFamily.Key or TaskFamily.Keys or TaskFamily.Fact;

        public Dialogue Dialogue { get; } = new(random);
    }
}
