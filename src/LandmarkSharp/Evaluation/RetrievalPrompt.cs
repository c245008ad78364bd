using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Evaluation;

/// <summary>
/// A question about a fact that stands somewhere in a long text, among others of its form, in one of the wordings of a
/// split: those kept out of training tell whether a model looks things up or knows the wordings it was trained on.
/// </summary>
/// <param name="Family">What is asked.</param>
/// <param name="Question">The question, up to where the answer is to follow.</param>
/// <param name="Tokens">The prompt: exactly as many tokens as asked for, landmarks not counted.</param>
/// <param name="Answer">What a right continuation begins with.</param>
/// <param name="Needle">The tokens of the statement that holds the answer.</param>
/// <param name="Distractors">The tokens of statements of the same form about others.</param>
public sealed record RetrievalPrompt(
    TaskFamily Family, string Question, int[] Tokens, string Answer, Range Needle, IReadOnlyList<Range> Distractors)
{
    /// <summary>How many kinds of facts a split has; consecutive trials go through all of them.</summary>
    public static int Kinds(TaskSplit split) => FactSchema.Of(split).Count;

    /// <summary>Builds the prompt of a trial.</summary>
    /// <param name="tasks">Where the wordings come from; those of <see cref="TaskSplit.HeldOut"/> judge.</param>
    /// <param name="tokens">The number of tokens of the whole.</param>
    /// <param name="seed">With <paramref name="trial"/> decides words, values and places.</param>
    /// <param name="trial">The number of the trial.</param>
    /// <param name="filler">The text around.</param>
    /// <param name="depth">The share of the filler before the needle, 0 … 1; null draws it uniformly.</param>
    /// <exception cref="LandmarkException">Too few tokens.</exception>
    public static RetrievalPrompt Create(
        RetrievalTasks tasks, int tokens, long seed, long trial, FillerKind filler, double? depth = null)
    {
        if (depth is < 0 or > 1 or double.NaN)
            throw new LandmarkException($"The depth of the fact asked for is {depth}; it must lie between 0 and 1.");
        var schemas = FactSchema.Of(tasks.Options.Split);
        var schema = schemas[(int)(trial % schemas.Count)];
        var prompt = tasks.Facts.Prompt(new CounterRandom(seed, trial), tokens, schema, filler, depth);
        return new RetrievalPrompt(
            schema.Family, prompt.Question, prompt.Tokens, prompt.Answer, prompt.Needle, prompt.Distractors);
    }

    /// <summary>Whether a continuation of the prompt begins with the answer, and the answer ends there.</summary>
    public bool IsAnswered(string continuation)
    {
        var said = continuation.AsSpan().TrimStart();
        return said.StartsWith(Answer, StringComparison.Ordinal)
            && (said.Length == Answer.Length || !char.IsLetterOrDigit(said[Answer.Length]));
    }
}
