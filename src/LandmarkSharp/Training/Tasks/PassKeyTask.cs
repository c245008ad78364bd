namespace LandmarkSharp.Training.Tasks;

/// <summary>The paper's pass key test as a row of training: the same words, cut as windows of a stream are.</summary>
internal sealed class PassKeyTask(FragmentEncoder encoder, FillerShop shop, int? beginOfText, int? endOfText)
{
    public const int LargestKey = 50_000;

    /// <summary>The first of the prompt's five lines.</summary>
    public const string Intro =
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
        + "I will quiz you about the important information there.";

    /// <summary>The prompt's last line, up to where the key is to follow.</summary>
    public const string Question = "What is the pass key? The pass key is";

    private static readonly double[] FillerShares = [10, 7, 1.5, 1.5, 1, 1, 1];

    /// <summary>The line that holds the key.</summary>
    public static string Needle(int key) => Needle($"{key}", $"{key}");

    public TaskRow Row(CounterRandom random, int length)
    {
        var key = $"{1 + random.Next(LargestKey)}";
        var kind = (FillerKind)random.Weighted(FillerShares);
        var needle = Piece.Encode(encoder, "\n" + Needle(key, Marks.Echo + key + Marks.End));
        var pieces = new List<Placed> { new(random.NextDouble(), needle) };

        var whole = random.Chance(0.5);
        if (whole)
        {
            if (beginOfText is { } token && random.Chance(0.3)) pieces.Insert(0, new(-2, Piece.Of(token)));
            pieces.Insert(0, new(-1, Piece.Encode(encoder, Intro, atStart: true)));
            pieces.Sort((a, b) => a.Place.CompareTo(b.Place));
        }

        var last = random.Chance(0.4) ? 1 : Between(random, needlePlace: pieces[^1].Place);
        pieces.Add(new(last, Asked(key, random)));
        if (random.Chance(0.2)) pieces.Add(new(Between(random, last), Asked(key, random)));

        var used = pieces.Sum(p => p.Piece.Length);
        if (used > length)
            throw new LandmarkException(
                $"A pass key task of {length} tokens was asked for, but this one takes {used}; use longer windows.");

        var layout = new Layout(shop.Make(kind, random, ["pass key"]))
        {
            Lead = '\n',
            StartsInside = !whole,
            CutsSentences = random.Chance(0.3),
            Next = endOfText is { } end && random.Chance(0.5) ? (end, shop.MakeAny(random, ["pass key"])) : null,
        };
        var (row, _) = layout.Compose(pieces, length);
        return new TaskRow(TaskFamily.PassKey, [.. row.Tokens], [.. row.Kinds]);
    }

    private static string Needle(string first, string again) =>
        $"The pass key is {first}. Remember it. {again} is the pass key.";

    private static double Between(CounterRandom random, double needlePlace) =>
        needlePlace + Math.Sqrt(random.NextDouble()) * (1 - needlePlace);

    private Piece Asked(string key, CounterRandom random) =>
        Piece.Encode(encoder, $"\n{Question} {Marks.Answer}{key}{Marks.End}{random.Pick([".", ".", "\n"])}");
}
