using LandmarkSharp.Text;

namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Kinds of facts whose wording is made up for one row: any words around a subject and a value, with a question that
/// says all or the end of them again. No two rows share a wording, so what is learned is to look things up by the words
/// at hand and not by a list of wordings.
/// </summary>
/// <param name="phrases">Runs of words that wordings are made of; a few common words when empty.</param>
internal sealed class MadeUpWordings(IReadOnlyList<string> phrases)
{
    private const int PhraseTokens = 16;

    private static readonly string[] Subjects =
    [
        "{person}", "{person}", "{name}", "{name}", "{object}", "the {object}", "{thing}", "the {adjective} {animal}",
        "{invented}", "{^invented}", "{noun} {small}", "{code}", "{place}", "the {noun} of {name}", "{digits}", "the {thing}",
    ];

    private static readonly string[] Values =
    [
        "{number}", "{digits}", "{digits}", "{number}", "{code}", "{letters}", "{small} {noun}s", "{small} {noun}s", "{word}", "{invented}",
        "{^invented}", "{name}", "{person}", "{place}", "the {object}", "{adjective} {noun}", "{price}", "{date}", "{time}",
        "the {adjective} {animal} of {place}", "{verb} the {noun} [in|near|with|of] the {object}",
    ];

    /// <summary>Values that can be told from the words around them, whatever these are.</summary>
    private static readonly string[] PlainValues =
    [
        "{number}", "{digits}", "{digits}", "{digits}", "{code}", "{letters}", "{name}", "{person}", "{place}", "{^invented}", "{price}",
        "{date}", "{time}", "{small} {noun}s", "{number} {noun}s",
    ];

    private static readonly string[] Parts =
    [
        "the {noun}", "the {object}", "the {object}", "the {adjective} {noun}", "a {animal}", "{name}", "{person}", "{place}",
        "{invented}", "{number}", "{small} {noun}s", "{verb} the {noun}", "{food}", "{colour}",
    ];

    private static readonly string[] QuestionWords = ["what", "who", "where", "when", "which", "how", "how many", "with whom", "of what"];

    private static readonly string[] Ends = [".", ".", ".", "", ";", "!"];

    private readonly string[][] phrases = phrases.Count > 0
        ? [.. phrases.Select(p => p.Split(' '))]
        : [LexiconWords.CommonNouns, LexiconWords.CommonAdjectives, LexiconWords.CommonVerbs];

    /// <summary>Runs of up to eight words without a mark between them, from anywhere in texts.</summary>
    public static IReadOnlyList<string> Phrases(Tokenizer tokenizer, IReadOnlyList<TokenSource> texts, int count = 20_000)
    {
        var random = new CounterRandom(0);
        var usable = texts.Where(t => t.Count > PhraseTokens).ToArray();
        var tokens = new int[PhraseTokens];
        var found = new List<string>();
        for (var tries = 0; tries < 2 * count && found.Count < count && usable.Length > 0; tries++)
        {
            var text = random.Pick(usable);
            text.Window(random.Next(text.Count - PhraseTokens), tokens);
            var words = tokenizer.Decode(tokens).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            // The first and the last may be parts of words.
            var run = words.Skip(1).SkipLast(1).TakeWhile(w => w.All(char.IsAsciiLetter)).Take(8).ToArray();
            if (run.Length > 0) found.Add(string.Join(' ', run));
        }
        return found;
    }

    /// <summary>A kind of fact: of family <see cref="TaskFamily.Wording"/> or <see cref="TaskFamily.LongAnswer"/>.</summary>
    public FactSchema Draw(CounterRandom random, TaskFamily family)
    {
        var subject = random.Chance(family == TaskFamily.LongAnswer ? 0.5 : 0.25) ? OneOf(random, 2, capital: 0.5) : random.Pick(Subjects);
        // Said in one way and asked in another: only the subject is said again, so the value must be plain to see.
        var twoWays = family == TaskFamily.Wording && random.Chance(0.4);
        var value = family == TaskFamily.LongAnswer ? LongValue(random) : random.Pick(twoWays ? PlainValues : Values);
        if (!twoWays && random.Chance(0.15)) return Reversed(random, family, subject, value);

        var (statement, questions) = Way(random);
        if (!twoWays) return new FactSchema(family, subject, value, [statement], questions);
        var other = Way(random);
        return new FactSchema(family, subject, value, [statement, other.Statement], [.. questions, .. other.Questions]);
    }

    /// <summary>A kind of chain: a fact about someone or something, and one about what that leads to.</summary>
    public ChainSchema Chain(CounterRandom random)
    {
        var (subject, bridge) = (random.Pick(Subjects), random.Pick(Subjects));
        var (words, link, gap) = Link(random, 4);
        var first = ChainSchema.From(subject, bridge, [Said(random, link, gap)], [Sentence($"{{S}}{link}{gap}{{A}}")]);
        var described = $"{Phrase(random, 2)} {{S}} {string.Join(' ', words)}";
        (words, link, gap) = Link(random, 4);
        var again = string.Join(' ', words);
        return new ChainSchema(first, [described], ChainSchema.To(bridge, random.Pick(PlainValues), [Said(random, link, gap)],
        [
            Sentence($"{Phrase(random, 3)} {{T}} {again}? {{A}}"),
            Sentence($"{Phrase(random, 2)} {again} {{T}}? {Phrase(random, 2)} {{A}}"),
        ]));
    }

    /// <summary>A kind of pair: two facts about one, and a question that says some words of each again.</summary>
    public PairSchema Pair(CounterRandom random)
    {
        var subject = random.Pick(Subjects);
        var values = (One: random.Pick(PlainValues), Other: random.Pick(PlainValues));
        if (random.Chance(0.5))
            return TrainingPairs.Attributes(subject, (Phrase(random, 2), values.One), (Phrase(random, 2), values.Other));

        var (one, other) = (Link(random, 4), Link(random, 4));
        var (first, second) = (string.Join(' ', one.Words), string.Join(' ', other.Words));
        var (ask, again) = (random.Pick(QuestionWords), random.Pick(QuestionWords));
        var lead = random.Chance(0.5) ? "" : Phrase(random, 3) + random.Pick([" ", " ", ": "]);
        return new PairSchema(
            PairSchema.Fact(subject, values.One, Said(random, one.Text, one.Gap)),
            PairSchema.Fact(subject, values.Other, Said(random, other.Text, other.Gap)),
            [
                Sentence($"{Phrase(random, 3)} {{S}} {first} and {second}? {lead}{{A}}"),
                Sentence($"{ask} {first} {{S}}, and {again} {second}? {lead}{{A}}"),
                Sentence($"{ask} {{S}} {first}, and {again} {Phrase(random, 2)} {second}? {lead}{{A}}"),
                Sentence($"{ask} {Phrase(random, 2)} {first} and {second} {{S}}? {lead}{{A}}"),
                Sentence($"{{S}}{one.Text} and {second}{other.Gap}{{A}}"),
            ]);
    }

    private Template Said(CounterRandom random, string link, string gap) =>
        Sentence($"{Before(random)}{{S}}{link}{gap}{{V}}{random.Pick(Ends)}");

    /// <summary>A wording: something before the subject, something between it and the value, something after.</summary>
    private (Template Statement, Template[] Questions) Way(CounterRandom random)
    {
        if (random.Chance(0.2)) return Joined(random);
        var before = Before(random);
        var (words, link, gap) = Link(random, 6);
        var after = random.Chance(0.35) ? ' ' + Phrase(random, 5) : "";
        var end = random.Pick(Ends);
        var tail = string.Join(' ', words[^Math.Min(words.Length, random.Between(1, 3))..]) + gap;
        return (
            Sentence($"{before}{{S}}{link}{gap}{{V}}{after}{end}"),
            [
                Sentence($"{{S}}{link}{gap}{{A}}"),
                Sentence($"{before}{{S}}{link}{gap}{{A}}"),
                Sentence($"{Phrase(random, 5)} {{S}}{link}{gap}{{A}}"),
                Sentence($"{Asked(random, words)} {Capital(before, random)}{{S}}{link}{gap}{{A}}"),
                Sentence($"{Asked(random, words)} {{S}}{link}{gap}{{A}}"),
                Sentence($"{Asked(random, words)} {random.Pick(["It", "This", "They", Phrase(random, 2)])} {tail}{{A}}"),
                Sentence($"{Asked(random, words)} {{A}}"),
            ]);
    }

    private string Before(CounterRandom random) =>
        random.Chance(0.4) ? "" : Phrase(random, 4) + random.Pick([" ", " ", " ", ": ", ", ", ". "]);

    /// <summary>What stands between a subject and its value.</summary>
    private (string[] Words, string Text, string Gap) Link(CounterRandom random, int longest)
    {
        var words = Phrase(random, random.Chance(0.3) ? 1 : longest).Split(' ');
        return (
            words, random.Pick([" ", " ", " ", ", "]) + string.Join(' ', words), random.Pick([" ", " ", " ", " ", ": ", ", ", " = "]));
    }

    /// <summary>The value follows the subject at once, as what someone did: it is found by who, and by what is said before.</summary>
    private (Template Statement, Template[] Questions) Joined(CounterRandom random)
    {
        var before = Phrase(random, 5);
        var words = before.Split(' ');
        var lead = before + random.Pick([" ", " ", " ", ", ", ": "]);
        var after = random.Chance(0.3) ? ' ' + Phrase(random, 4) : "";
        return (
            Sentence($"{lead}{{S}} {{V}}{after}{random.Pick([".", ".", ".", ";"])}"),
            [
                Sentence($"{lead}{{S}} {{A}}"),
                Sentence($"{Asked(random, words)} {Capital(lead, random)}{{S}} {{A}}"),
                Sentence($"{Asked(random, words)} {{S}} {{A}}"),
                Sentence($"{Asked(random, words)} {{A}}"),
            ]);
    }

    /// <summary>The value stands before the subject, and is found by what follows it.</summary>
    private FactSchema Reversed(CounterRandom random, TaskFamily family, string subject, string value)
    {
        var statement = $"{(random.Chance(0.5) ? "" : Phrase(random, 3) + ' ')}{{V}} {Phrase(random, 5)} {{S}}";
        return new FactSchema(
            family, subject, value, [Sentence(statement + random.Pick([".", ".", ";"]))],
            [Sentence($"{Phrase(random, 4)} {{S}}? {{A}}"), Sentence($"{Phrase(random, 3)} {{S}}: {{A}}")]);
    }

    /// <summary>
    /// A question that names the subject, in words of its own and some of the statement's. What follows the subject here is
    /// often not the value nor what leads to it: the answer is to be copied from the statement and not from the question.
    /// </summary>
    private string Asked(CounterRandom random, string[] words) => random.Next(7) switch
    {
        0 => $"{Phrase(random, 4)} {{S}}?",
        1 => $"{Phrase(random, 3)} {{S}} {random.Pick(words)}?",
        2 => $"{Phrase(random, 2)} {random.Pick(words)} {Phrase(random, 3)} {{S}}?",
        3 => $"{{S}}?",
        4 => $"{Phrase(random, 3)} {{S}} {string.Join(' ', words)}?",
        5 => $"{Phrase(random, 4)} {{S}} {random.Pick(words)} {Phrase(random, 2)}?",
        _ => $"{Phrase(random, 3)} {{S}} {Phrase(random, 3)}.",
    };

    /// <summary>Words that stood together in a text, or words from anywhere.</summary>
    private string Phrase(CounterRandom random, int longest)
    {
        var length = random.Between(1, longest);
        if (random.Chance(0.5))
        {
            var phrase = random.Pick(phrases);
            var from = random.Next(Math.Max(1, phrase.Length - length + 1));
            return string.Join(' ', phrase, from, Math.Min(length, phrase.Length));
        }
        var words = new string[length];
        for (var i = 0; i < length; i++) words[i] = random.Pick(random.Pick(phrases));
        return string.Join(' ', words);
    }

    /// <summary>Some words that all values of a row share and some that tell them apart, or words of each value's own.</summary>
    private string LongValue(CounterRandom random)
    {
        if (random.Chance(0.25)) return OneOf(random, 8);
        var words = new List<string>();
        for (var parts = random.Between(1, 3); parts > 0; parts--)
        {
            if (random.Chance(0.7)) words.Add(Phrase(random, 3));
            words.Add(random.Chance(0.4) ? OneOf(random, 2) : random.Pick(Parts));
        }
        return string.Join(' ', words);
    }

    /// <summary>A template of phrases, one of which a fact draws.</summary>
    private string OneOf(CounterRandom random, int longest, double capital = 0.2) =>
        $"[{string.Join('|', Enumerable.Range(0, 12).Select(_ => Capital(Phrase(random, longest), random, capital)))}]";

    private static string Capital(string text, CounterRandom random, double chance = 0.5) =>
        text.Length > 0 && random.Chance(chance) ? Lexicon.Capitalised(text) : text;

    private static Template Sentence(string template) => template.StartsWith("{S}", StringComparison.Ordinal)
        ? "{^S}" + template[3..]
        : Lexicon.Capitalised(template);
}
