namespace LandmarkSharp.Training.Tasks;

/// <summary>
/// Subjects that are easily mistaken for one another. Lists of names and things are short, and what was learned on them
/// alone tells members of the lists apart; subjects that share words or parts of words must be read to their ends.
/// </summary>
internal static class Lookalike
{
    /// <summary>Letters of the shortest word that has a beginning and an end to part.</summary>
    private const int Parted = 3;

    /// <summary>Something like <paramref name="model"/>, with a part of it taken from <paramref name="other"/>.</summary>
    public static string Of(CounterRandom random, string model, string other)
    {
        var (words, others) = (model.Split(' '), other.Split(' '));
        var numbers = model.Any(char.IsAsciiDigit);
        if (!numbers && words.Length > 1 && others.Length > 1 && random.Chance(0.7))
        {
            // The last words are things and the ones before them qualities, so a word stands in for one of its kind.
            if (random.Chance(0.5)) words[^1] = others[^1];
            else words[^2] = others[^2];
            return string.Join(' ', words);
        }
        bool CanChange(string word) => numbers ? word.Any(char.IsAsciiDigit) : word.Length >= Parted;
        int[] able = [.. Enumerable.Range(0, words.Length).Where(i => CanChange(words[i]))];
        string[] givers = [.. others.Where(o => o.Length >= Parted)];
        if (able.Length == 0 || (!numbers && givers.Length == 0)) return model;
        var at = random.Pick(able);
        words[at] = numbers ? OtherDigit(random, words[at]) : Blend(random, words[at], random.Pick(givers));
        return string.Join(' ', words);
    }

    private static string OtherDigit(CounterRandom random, string word)
    {
        var digits = Enumerable.Range(0, word.Length).Where(i => char.IsAsciiDigit(word[i])).ToArray();
        var at = random.Pick(digits);
        return $"{word[..at]}{random.Between(1, 9)}{word[(at + 1)..]}";
    }

    /// <summary>The beginning of one word and the end of another.</summary>
    private static string Blend(CounterRandom random, string first, string second) =>
        first[..random.Between(2, first.Length - 1)] + second[random.Between(1, second.Length - 1)..].ToLowerInvariant();
}
