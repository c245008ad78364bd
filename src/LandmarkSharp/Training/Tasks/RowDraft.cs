namespace LandmarkSharp.Training.Tasks;

/// <summary>A row of statements and questions on its way: what is to stand in it, and how many tokens are left.</summary>
internal sealed class RowDraft
{
    private static readonly Template[] Intros =
    [
        "[Read|Look at|Study] the [following|text below] [carefully|with care].",
        "[Remember|Memorize|Keep in mind] [the important information|what matters] in the [following|text below].",
        "There is an important info hidden inside a lot of irrelevant text.",
        "I will [ask you about it|quiz you|ask some questions] [later|at the end|afterwards].",
        "[Notes|Document|Text|Story|Page {small}|Chapter {small}]:",
    ];

    private readonly CounterRandom random;
    private readonly RetrievalTaskOptions options;
    private readonly int length;
    private readonly bool begins;
    private readonly List<Placed> pieces = [];
    private readonly List<Placed> questions = [];

    /// <summary>A row, which may begin a text or stand inside one.</summary>
    public RowDraft(CounterRandom random, int length, FragmentEncoder encoder, RetrievalTaskOptions options)
    {
        (this.random, this.length, this.options) = (random, length, options);
        Free = length;
        begins = random.Chance(0.4);
        if (begins && options.BeginOfText is { } token && random.Chance(0.3)) TrySay(-2, Piece.Of(token), length / 4);
        if (!begins || !random.Chance(0.7)) return;
        var intro = random.Pick(Intros).Expand(random, Lexicon.Of(options.Split), default);
        TrySay(-1, Piece.Encode(encoder, intro, atStart: true), length / 4);
    }

    /// <summary>Tokens that nothing has taken yet.</summary>
    public int Free { get; private set; }

    /// <summary>Puts a piece there if it is no longer than <paramref name="room"/>.</summary>
    public bool TrySay(double place, Piece piece, int room)
    {
        if (piece.Length > room) return false;
        pieces.Add(new(place, piece));
        Free -= piece.Length;
        return true;
    }

    /// <summary>Puts a question there, for which there must be room.</summary>
    public void Ask(double place, Piece question)
    {
        Free -= question.Length;
        questions.Add(new(place, question));
    }

    /// <summary>A place behind another, rather far than near: near ones are found without any landmark.</summary>
    public static double Later(CounterRandom random, double place) =>
        place + Math.Sqrt(random.NextDouble()) * (1 - place);

    /// <summary>Why a row of <paramref name="length"/> tokens cannot have even the first thing to be found.</summary>
    public static LandmarkException TooShort(int length, int taken) => new(
        $"A retrieval task of {length} tokens was asked for, but the shortest form of this one takes {taken}; use longer windows.");

    /// <summary>The row, in filler that says nothing about those that are to be <paramref name="avoided"/>.</summary>
    public TaskRow Compose(TaskFamily family, char lead, FillerShop shop, IReadOnlyList<string> avoided)
    {
        // What is asked first was drawn first: in the text it stands anywhere among the others.
        random.Shuffle(pieces);
        random.Shuffle(questions);
        var layout = new Layout(shop.MakeAny(random, avoided))
        {
            Lead = lead,
            StartsInside = !begins,
            CutsSentences = random.Chance(0.2),
            Next = options.EndOfText is { } end && random.Chance(0.3) ? (end, shop.MakeAny(random, avoided)) : null,
        };
        var (row, _) = layout.Compose([.. pieces, .. questions], length);
        return new TaskRow(family, [.. row.Tokens], [.. row.Kinds]);
    }
}
