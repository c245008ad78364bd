namespace LandmarkSharp.Training.Tasks;

/// <summary>A prompt that asks for one thing.</summary>
/// <param name="Tokens">The prompt.</param>
/// <param name="Answer">What should follow.</param>
/// <param name="Needles">The tokens of the statements that the answer follows from.</param>
/// <param name="Distractors">The tokens of the statements of the same form.</param>
/// <param name="Question">The question as text.</param>
internal sealed record TaskPrompt(int[] Tokens, string Answer, Range[] Needles, Range[] Distractors, string Question)
{
    /// <summary>Lays out statements and, at the end, a question up to where its answer is to follow.</summary>
    /// <param name="encoder">The tokenizer.</param>
    /// <param name="filler">The text around, made when the pieces are known to fit.</param>
    /// <param name="statements">Where each stands, those that the answer follows from first.</param>
    /// <param name="needles">How many these are.</param>
    /// <param name="asked">The question with its answer, marked.</param>
    /// <param name="length">Tokens of the whole.</param>
    /// <exception cref="LandmarkException">Too few tokens.</exception>
    public static TaskPrompt Compose(
        FragmentEncoder encoder, Func<Filler> filler, IReadOnlyList<Placed> statements, int needles, string asked, int length)
    {
        var mark = asked.IndexOf(Marks.Answer, StringComparison.Ordinal);
        var end = asked.IndexOf(Marks.End, mark, StringComparison.Ordinal);
        var (question, answer) = (asked[..mark].TrimEnd(), asked[(mark + 1)..end]);
        Placed[] pieces = [.. statements, new(1, Piece.Encode(encoder, '\n' + question))];
        var used = pieces.Sum(p => p.Piece.Length);
        if (used > length)
            throw new LandmarkException(
                $"A retrieval prompt of {length} tokens was asked for, but its facts and its question take {used}; "
                + $"ask for at least {used}.");

        var (row, ranges) = new Layout(filler()) { Lead = '\n' }.Compose(pieces, length);
        return new TaskPrompt([.. row.Tokens], answer, ranges[..needles], ranges[needles..^1], question);
    }
}
