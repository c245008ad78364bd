using System.Text;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// The paper's pass key test (section 4.2): five lines, of which the second and fourth are filler, the third holds a
/// key and the last asks for it. The prompt has an exact number of tokens, landmarks and special tokens not counted.
/// </summary>
/// <param name="Text">The prompt.</param>
/// <param name="Tokens">Its tokens, as the tokenizer encodes the whole text, without special tokens.</param>
/// <param name="Key">The key, 1 … 50,000.</param>
/// <param name="Needle">The tokens of the line that holds the key.</param>
public sealed record PassKeyPrompt(string Text, int[] Tokens, int Key, Range Needle)
{
    private const int Attempts = 8;

    private static readonly string[] Sentences = FillerShop.GrassSentences;

    /// <summary>Builds the prompt of a trial.</summary>
    /// <param name="encoder">The tokenizer.</param>
    /// <param name="tokens">The number of tokens of the whole.</param>
    /// <param name="seed">With <paramref name="trial"/> decides the key and, without a depth, its place.</param>
    /// <param name="trial">The number of the trial.</param>
    /// <param name="depth">
    /// The share of the filler that stands before the key, 0 … 1; null draws it uniformly. The place is the end of a
    /// sentence of the filler; the second filler is cut inside a sentence where the length asks for it.
    /// </param>
    /// <exception cref="LandmarkException">Too few tokens, or a depth outside 0 … 1.</exception>
    public static PassKeyPrompt Create(
        FragmentEncoder encoder, int tokens, long seed, long trial = 0, double? depth = null)
    {
        if (depth is < 0 or > 1 or double.NaN)
            throw new LandmarkException($"The depth of the pass key is {depth}; it must lie between 0 and 1.");
        var random = new CounterRandom(seed, trial);
        var key = 1 + random.Next(PassKeyTask.LargestKey);
        var place = depth ?? random.NextDouble();

        var least = encoder.Encode(Compose("", key, "").Text).Length;
        if (tokens < least)
            throw new LandmarkException(
                $"A pass key prompt of {tokens} tokens was asked for, but without any filler this one takes {least}; "
                + $"ask for at least {least}.");

        var filler = tokens - least;
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (Fill(encoder, filler, place, depth is null) is not var (before, after)) break;
            var (text, start, end) = Compose(before, key, after);
            var encoded = encoder.Encode(text);
            if (encoded.Length == tokens)
                return new PassKeyPrompt(text, encoded, key, Count(text[..start])..Count(text[..end]));
            // A tokenizer may join a line's end with what follows: make up for it.
            filler += tokens - encoded.Length;
        }
        throw new LandmarkException(
            $"This tokenizer cannot make a pass key prompt of exactly {tokens} tokens; ask for one more or one fewer.");

        int Count(string prefix)
        {
            var list = new List<int>();
            encoder.Append(prefix, list, atStart: true);
            return list.Count;
        }
    }

    /// <summary>Whether the first integer in a continuation of the prompt is the key.</summary>
    public bool IsAnswered(string continuation) => FirstInteger(continuation) == Key;

    /// <summary>The first run of digits in a text as a number; null if there is none, or none so small.</summary>
    public static long? FirstInteger(string text)
    {
        var start = text.AsSpan().IndexOfAnyInRange('0', '9');
        if (start < 0) return null;
        var digits = text.AsSpan(start);
        var length = digits.IndexOfAnyExceptInRange('0', '9');
        return long.TryParse(length < 0 ? digits : digits[..length], out var value) ? value : null;
    }

    private static (string Text, int NeedleStart, int NeedleEnd) Compose(string before, int key, string after)
    {
        var head = $"{PassKeyTask.Intro}\n{before}\n";
        var needle = PassKeyTask.Needle(key);
        return ($"{head}{needle}\n{after}\n{PassKeyTask.Question}", head.Length, head.Length + needle.Length);
    }

    /// <summary>The two fillers of together <paramref name="count"/> tokens, or null if no cut gives so many.</summary>
    private static (string Before, string After)? Fill(FragmentEncoder encoder, int count, double place, bool drawn)
    {
        var newline = encoder.Continue("\n").Length;
        int Tokens(string text, bool first) => first
            ? encoder.Continue("\n" + text).Length - newline
            : encoder.Continue(" " + text).Length;

        // The first sentence of a line stands after a newline, where the tokenizer may cut it otherwise.
        var opening = Tokens(Sentences[0], first: true);
        int[] costs = [.. Sentences.Select(s => Tokens(s, first: false))];
        int Cost(int sentences)
        {
            if (sentences == 0) return 0;
            var (rounds, rest) = (sentences / costs.Length, sentences % costs.Length);
            return opening - costs[0] + rounds * costs.Sum() + costs[..rest].Sum();
        }

        var whole = 0;
        while (Cost(whole + 1) <= count) whole++;
        var middle = drawn ? (int)(place * (whole + 1)) : (int)Math.Round(place * whole);
        foreach (var before in Near(middle, whole))
        {
            var left = count - Cost(before);
            if (left < 0) continue;
            var after = 0;
            while (Cost(after + 1) <= left) after++;
            left -= Cost(after);
            var next = Sentences[after % Sentences.Length];
            if (Beginning(next, left, part => Tokens(part, after == 0)) is { } part)
                return (Line(before, ""), Line(after, part));
        }
        return null;
    }

    private static IEnumerable<int> Near(int middle, int last)
    {
        for (var distance = 0; distance <= Attempts; distance++)
        {
            if (middle - distance >= 0) yield return middle - distance;
            if (distance > 0 && middle + distance <= last) yield return middle + distance;
        }
    }

    /// <summary>The beginning of a sentence that takes so many tokens: whole words if they can be had.</summary>
    private static string? Beginning(string sentence, int tokens, Func<string, int> count)
    {
        if (tokens == 0) return "";
        var cuts = Enumerable.Range(1, sentence.Length - 1).Where(i => sentence[i - 1] != ' ');
        return cuts.OrderByDescending(i => sentence[i] is ' ' or '.').ThenByDescending(i => i)
            .Select(i => sentence[..i]).FirstOrDefault(part => count(part) == tokens);
    }

    private static string Line(int sentences, string part)
    {
        var line = new StringBuilder();
        for (var i = 0; i < sentences; i++)
        {
            if (i > 0) line.Append(' ');
            line.Append(Sentences[i % Sentences.Length]);
        }
        if (part.Length > 0 && sentences > 0) line.Append(' ');
        return line.Append(part).ToString();
    }
}
