using System.Buffers;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// A question about something that stands somewhere in a long text, among others of its form, in one of the wordings of a
/// split: those kept out of training tell whether a model looks things up or knows the wordings it was trained on.
/// </summary>
/// <param name="Family">What is asked.</param>
/// <param name="Question">The question, up to where the answer is to follow.</param>
/// <param name="Tokens">The prompt: exactly as many tokens as asked for, landmarks not counted.</param>
/// <param name="Answer">What a right continuation begins with.</param>
/// <param name="Needles">The tokens of the statement that holds the answer; of a chain or a pair those of the two that it takes.</param>
/// <param name="Distractors">The tokens of statements of the same form about others.</param>
public sealed record RetrievalPrompt(
    TaskFamily Family, string Question, int[] Tokens, string Answer, IReadOnlyList<Range> Needles,
    IReadOnlyList<Range> Distractors)
{
    /// <summary>
    /// Whether a chain is to be answered in steps, with what joins its two facts and then the second of them word by word, or by
    /// what is asked for alone; null if this is no chain.
    /// </summary>
    public bool? InSteps { get; init; }

    /// <summary>The families of facts that a split has kinds of.</summary>
    public static IReadOnlyList<TaskFamily> Families(TaskSplit split) =>
        [.. FactSchema.Of(split).Select(s => s.Family).Distinct(), TaskFamily.Chain, TaskFamily.Pair];

    /// <summary>
    /// How many kinds of questions a split has, of these families or of all but chains and pairs; consecutive trials go through all of them.
    /// A kind of chain counts twice, asked in steps and at once.
    /// </summary>
    public static int Kinds(TaskSplit split, IReadOnlyList<TaskFamily>? families = null) =>
        Facts(split, families).Length + (2 * Chains(split, families).Count) + Pairs(split, families).Count;

    /// <summary>Builds the prompt of a trial.</summary>
    /// <param name="tasks">Where the wordings come from; those of <see cref="TaskSplit.HeldOut"/> judge.</param>
    /// <param name="tokens">The number of tokens of the whole.</param>
    /// <param name="seed">With <paramref name="trial"/> decides words, values and places.</param>
    /// <param name="trial">The number of the trial.</param>
    /// <param name="filler">The text around.</param>
    /// <param name="depth">
    /// The share of the filler before the needle, of a chain or a pair before its first fact, 0 … 1; null draws it uniformly.
    /// </param>
    /// <param name="families">What is asked, some of <see cref="Families"/>; null for all but chains and pairs.</param>
    /// <exception cref="LandmarkException">Too few tokens, or no kind of fact of these families.</exception>
    public static RetrievalPrompt Create(
        RetrievalTasks tasks, int tokens, long seed, long trial, FillerKind filler, double? depth = null,
        IReadOnlyList<TaskFamily>? families = null)
    {
        if (depth is < 0 or > 1 or double.NaN)
            throw new LandmarkException($"The depth of the fact asked for is {depth}; it must lie between 0 and 1.");
        var split = tasks.Options.Split;
        var (facts, chains, pairs) = (Facts(split, families), Chains(split, families), Pairs(split, families));
        var kinds = facts.Length + (2 * chains.Count) + pairs.Count;
        if (kinds == 0)
            throw new LandmarkException(
                $"There is no kind of fact of the families asked for; ask for some of {string.Join(", ", Families(split))}.");
        var kind = (int)(trial % kinds);
        var random = new CounterRandom(seed, trial);
        if (kind < facts.Length) return Of(facts[kind].Family, tasks.Facts.Prompt(random, tokens, facts[kind], filler, depth));
        if (kind >= kinds - pairs.Count)
            return Of(TaskFamily.Pair, tasks.Pairs.Prompt(random, tokens, pairs[kind - (kinds - pairs.Count)], filler, depth));

        var (chain, way) = Math.DivRem(kind - facts.Length, 2);
        var inSteps = way == 0;
        return Of(TaskFamily.Chain, tasks.Chains.Prompt(random, tokens, chains[chain], inSteps, filler, depth)) with
        {
            InSteps = inSteps,
        };
    }

    /// <summary>Letters that a right continuation has at most: a pair's may have words of the statements that are no values.</summary>
    internal int Longest => Answer.Length + (Family == TaskFamily.Pair ? 24 : 2);

    /// <summary>
    /// Whether a continuation of the prompt begins with the answer, and the answer ends there. Of a pair either value may have an article
    /// before it, and the first a word after it: "the chest and 4821", "52 ducats and Anna".
    /// </summary>
    public bool IsAnswered(string continuation)
    {
        var said = continuation.AsSpan();
        if (Family != TaskFamily.Pair) return Says(ref said, Answer);
        const string and = " and ";
        var between = Answer.IndexOf(and, StringComparison.Ordinal);
        if (!Says(ref said, Article(Answer[..between], said))) return false;
        var next = said.IndexOf(and, StringComparison.Ordinal);
        if (next < 0 || said[..next].Trim().ContainsAnyExcept(Letters)) return false;
        said = said[(next + and.Length)..];
        return Says(ref said, Article(Answer[(between + and.Length)..], said));
    }

    private static readonly SearchValues<char> Letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz");

    private static string Article(string value, ReadOnlySpan<char> said) =>
        said.TrimStart().StartsWith("the ", StringComparison.Ordinal) && !value.StartsWith("the ", StringComparison.Ordinal) ? $"the {value}" : value;

    private static bool Says(ref ReadOnlySpan<char> said, string value)
    {
        said = said.TrimStart();
        if (!said.StartsWith(value, StringComparison.Ordinal)) return false;
        said = said[value.Length..];
        return said.IsEmpty || !char.IsLetterOrDigit(said[0]);
    }

    private static RetrievalPrompt Of(TaskFamily family, TaskPrompt prompt) =>
        new(family, prompt.Question, prompt.Tokens, prompt.Answer, prompt.Needles, prompt.Distractors);

    private static FactSchema[] Facts(TaskSplit split, IReadOnlyList<TaskFamily>? families) =>
        [.. FactSchema.Of(split).Where(s => families?.Contains(s.Family) ?? true)];

    private static IReadOnlyList<ChainSchema> Chains(TaskSplit split, IReadOnlyList<TaskFamily>? families) =>
        families?.Contains(TaskFamily.Chain) ?? false ? ChainSchema.Of(split) : [];

    private static IReadOnlyList<PairSchema> Pairs(TaskSplit split, IReadOnlyList<TaskFamily>? families) =>
        families?.Contains(TaskFamily.Pair) ?? false ? PairSchema.Of(split) : [];
}
