namespace LandmarkSharp.Training.Tasks;

/// <summary>Kinds of filler.</summary>
public enum FillerKind
{
    /// <summary>The line of the paper's test: the grass is green.</summary>
    Grass,

    /// <summary>Passages of real text.</summary>
    Books,

    /// <summary>A few invented sentences, repeated.</summary>
    Lines,

    /// <summary>Invented sentences, each one new.</summary>
    Sentences,

    /// <summary>Lists of numbers.</summary>
    Numbers,

    /// <summary>Facts of every kind that nobody asks about.</summary>
    Facts,

    /// <summary>Some of the above in turn.</summary>
    Mixed,
}

/// <summary>Makes fillers.</summary>
internal sealed class FillerShop(FragmentEncoder encoder, IReadOnlyList<TokenSource> books, TaskSplit split)
{
    /// <summary>The sentences of the filler in the paper's test, in their order.</summary>
    public static readonly string[] GrassSentences =
        ["The grass is green.", "The sky is blue.", "The sun is yellow.", "Here we go.", "There and back again."];

    private static readonly Template[] Plots =
    [
        "The {adjective} {noun} {verb} the {noun}.",
        "The {noun} of the {noun} {verb} a {adjective} {noun} and a {noun}.",
        "{name} {verb} the {adjective} {noun} near the {noun}.",
        "[Every|Each|One] {noun} {verb} [some|the|its] {noun}.",
        "There was a {adjective} {noun} in the {noun} and a {animal} by the {noun}.",
        "[In|Before|After|During] the {noun}, the {noun} {verb} {name}.",
        "A {noun} is [more|less] {adjective} than a {noun}.",
        "It was {adjective} and {adjective}, and the {noun} {verb} nothing.",
        "[Then|Now|Later|Again|Often] the {animal} {verb} the {adjective} {animal}.",
        "{name} and {name} {verb} the {noun}.",
        "They say that the {noun} in {city} is {adjective}.",
        "The {noun} is {colour}.",
        "The {noun} is {adjective}.",
        "[Here|There] we [go|come|are] [again|now|once more].",
        "Nobody {verb} the {noun}, but the {noun} {verb} everybody.",
        "We eat {food} and {food} in {month}.",
    ];

    private static readonly Template[] NumberLines =
    [
        "{number} {number} {number} {number}",
        "{number}, {number}, {number}.",
        "{number}",
        "Item {small}: {number}.",
        "({small}, {small})",
        "In {year} there were {number} of them and in {year} there were {number}.",
        "{small} plus {small} is {small}.",
        "Total {number}.",
        "{code} {code}",
        "{date} {year}: {number} {noun}s.",
    ];

    private static readonly double[] Shares = [1.5, 4, 1, 1, 0.5, 1, 1];

    private readonly Lexicon lexicon = Lexicon.Of(split);
    private readonly IReadOnlyList<FactSchema> facts = FactSchema.Of(split);

    /// <summary>A filler of this kind. Facts in it are not about any of <paramref name="avoided"/>.</summary>
    public Filler Make(FillerKind kind, CounterRandom random, IReadOnlyList<string> avoided)
    {
        var separator = random.Chance(0.15) ? '\n' : ' ';
        return kind switch
        {
            FillerKind.Grass => new RepeatedFiller(encoder, GrassSentences, restarts: true),
            FillerKind.Books when books.Count > 0 => new BookFiller(encoder, random.Pick(books), random),
            FillerKind.Lines => new RepeatedFiller(encoder, Lines(random), restarts: random.Chance(0.3))
            {
                Separator = separator,
            },
            FillerKind.Numbers => Made(() => Say(NumberLines, random)),
            FillerKind.Facts => Made(() => Fact(random, avoided)),
            FillerKind.Mixed => new MixedFiller(
                [Make(RandomKind(random, mixed: false), random, avoided),
                 Make(RandomKind(random, mixed: false), random, avoided),
                 Make(FillerKind.Books, random, avoided)], random),
            _ => Made(() => Say(Plots, random)),
        };

        MadeFiller Made(Func<string> sentence) => new(encoder, sentence) { Separator = separator };
    }

    public Filler MakeAny(CounterRandom random, IReadOnlyList<string> avoided) =>
        Make(RandomKind(random, mixed: true), random, avoided);

    private static FillerKind RandomKind(CounterRandom random, bool mixed) =>
        (FillerKind)random.Weighted(mixed ? Shares : Shares.AsSpan(0, (int)FillerKind.Mixed));

    private string[] Lines(CounterRandom random)
    {
        var sentences = new string[random.Between(1, 6)];
        for (var i = 0; i < sentences.Length; i++)
            sentences[i] = Say(random.Chance(0.85) ? Plots : NumberLines, random);
        return sentences;
    }

    private string Say(Template[] templates, CounterRandom random) =>
        random.Pick(templates).Expand(random, lexicon, default);

    private string Fact(CounterRandom random, IReadOnlyList<string> avoided)
    {
        while (true)
        {
            var schema = random.Pick(facts);
            var fact = schema.Draw(random, lexicon, schema.Thing.Expand(random, lexicon, default));
            string[] told = [fact.Subject, fact.Value];
            if (avoided.Any(a => told.Any(t => t.Contains(a, StringComparison.Ordinal)))) continue;
            return Marks.Remove(random.Pick(schema.Statements).Expand(random, lexicon, fact));
        }
    }
}
