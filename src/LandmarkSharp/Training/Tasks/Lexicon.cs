using System.Text;

namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// The words that templates are filled with. Training and evaluation have their own names, things and objects; numbers,
/// invented words and the commonplace words of filler sentences are shared.
/// </summary>
internal sealed class Lexicon
{
    private static readonly string[] Onsets = Words(
        "b br c ch cl d dr f fl g gl gr h j k kr l m n p pl pr qu r s sh sk sl st t th tr v vr w y z zh");

    private static readonly string[] Vowels = Words("a e i o u a e i o ai au ea ee oo ou");
    private static readonly string[] Codas = Words("b d f g k l ll m n nd ng nt p r rk rt s st t x z th");

    private static readonly string[] Days = Words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday");

    private static readonly string[] Hours = Words("one two three four five six seven eight nine ten eleven twelve");
    private static readonly string[] HourParts = ["half past", "a quarter past", "a quarter to", "shortly before", "ten past"];

    private static readonly string[] Months = Words(
        "January February March April May June July August September October November December");

    private readonly string[] names;
    private readonly string[] cities;
    private readonly string[] thingNouns;
    private readonly string[] thingAdjectives;
    private readonly string[] objectNouns;
    private readonly string[] objectAdjectives;
    private readonly string[] roles;

    private Lexicon(LexiconWords words)
    {
        names = Words(words.Names);
        cities = Words(words.Cities);
        thingNouns = [.. words.ThingNouns.Split(", ")];
        thingAdjectives = Words(words.ThingAdjectives);
        objectNouns = Words(words.ObjectNouns);
        objectAdjectives = Words(words.ObjectAdjectives);
        roles = Words(words.Roles);
    }

    public static Lexicon Training { get; } = new(LexiconWords.Training);

    public static Lexicon HeldOut { get; } = new(LexiconWords.HeldOut);

    /// <summary>Every word that only this lexicon's own lists have, for the test that the two are apart.</summary>
    public IEnumerable<string> OwnWords =>
        [.. names, .. cities, .. thingNouns, .. objectNouns, .. roles];

    public static Lexicon Of(TaskSplit split) => split == TaskSplit.Training ? Training : HeldOut;

    /// <summary>The value of a template's slot, or null if there is no category of this name.</summary>
    public string? Resolve(string category, CounterRandom random) => category switch
    {
        "name" => random.Pick(names),
        "person" => Person(random),
        "city" => random.Pick(cities),
        "place" => Place(random),
        "thing" => Thing(random),
        "object" => Object(random),
        "role" => random.Pick(roles),
        "number" => Number(random),
        "digits" => Digits(random, random.Between(4, 6)),
        "small" => random.Between(2, 99).ToString(),
        "letters" => Letters(random),
        "code" => Code(random),
        "invented" => Invented(random),
        "word" => random.Pick(LexiconWords.CommonNouns),
        "noun" => random.Pick(LexiconWords.CommonNouns),
        "adjective" => random.Pick(LexiconWords.CommonAdjectives),
        "verb" => random.Pick(LexiconWords.CommonVerbs),
        "colour" => random.Pick(LexiconWords.Colours),
        "animal" => random.Pick(LexiconWords.Animals),
        "food" => random.Pick(LexiconWords.Foods),
        "job" => random.Pick(LexiconWords.Jobs),
        "day" => random.Pick(Days),
        "month" => random.Pick(Months),
        "time" => random.Chance(0.8) ? $"{random.Between(1, 12)}:{random.Next(60):00}" : $"{random.Pick(HourParts)} {random.Pick(Hours)}",
        "date" => $"{random.Pick(Months)} {random.Between(1, 28)}",
        "year" => random.Between(1200, 2090).ToString(),
        "price" => $"{random.Between(2, 999)} dollars",
        _ => null,
    };

    /// <summary>A number of 1 to 7 digits; five is the commonest length.</summary>
    public static string Number(CounterRandom random) =>
        Digits(random, 1 + random.Weighted([1, 2, 4, 6, 8, 4, 3]));

    /// <summary>A word that is in no dictionary, made of one to three syllables.</summary>
    public static string Invented(CounterRandom random)
    {
        var word = new StringBuilder();
        for (var syllables = random.Between(1, 3); syllables > 0; syllables--)
            word.Append(random.Pick(Onsets)).Append(random.Pick(Vowels));
        if (word.Length < 4 || random.Chance(0.6)) word.Append(random.Pick(Codas));
        return word.ToString();
    }

    public static string Capitalised(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static string Digits(CounterRandom random, int count)
    {
        Span<char> digits = stackalloc char[count];
        for (var i = 0; i < count; i++) digits[i] = (char)('0' + random.Next(10));
        if (digits[0] == '0') digits[0] = (char)('1' + random.Next(9));
        return new string(digits);
    }

    private static string Letters(CounterRandom random)
    {
        Span<char> letters = stackalloc char[random.Between(3, 7)];
        for (var i = 0; i < letters.Length; i++) letters[i] = (char)('A' + random.Next(26));
        return new string(letters);
    }

    private static string Code(CounterRandom random) => random.Next(4) switch
    {
        0 => $"{Letters(random)[..2]}{Digits(random, 3)}",
        1 => $"{Digits(random, 2)}-{Digits(random, 3)}",
        2 => $"{Letters(random)[..1]}-{Digits(random, 4)}",
        _ => $"{Digits(random, 3)}-{Letters(random)[..3]}",
    };

    private string Person(CounterRandom random) => random.Next(10) switch
    {
        < 6 => random.Pick(names),
        6 => $"{random.Pick(names)} {Capitalised(Invented(random))}",
        7 => Capitalised(Invented(random)),
        8 => $"the {random.Pick(roles)}",
        _ => $"{random.Pick(names)} of {random.Pick(cities)}",
    };

    private string Place(CounterRandom random) =>
        random.Chance(0.4) ? random.Pick(cities) : Capitalised(Invented(random));

    private string Thing(CounterRandom random)
    {
        var noun = random.Pick(thingNouns);
        return random.Next(10) switch
        {
            < 5 => noun,
            < 8 => $"{random.Pick(thingAdjectives)} {noun}",
            8 => $"{Invented(random)} {noun[(noun.LastIndexOf(' ') + 1)..]}",
            _ => $"{noun} of the {random.Pick(roles)}",
        };
    }

    private string Object(CounterRandom random) => random.Next(10) switch
    {
        < 2 => random.Pick(objectNouns),
        < 9 => $"{random.Pick(objectAdjectives)} {random.Pick(objectNouns)}",
        _ => $"{Invented(random)} {random.Pick(objectNouns)}",
    };

    internal static string[] Words(string list) =>
        list.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
}
