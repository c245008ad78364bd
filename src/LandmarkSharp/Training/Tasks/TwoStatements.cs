namespace LandmarkSharp.Training.Tasks;

/// <summary>Two statements that an answer takes; one of them may be left out of what nothing asks for.</summary>
internal abstract record Told(string? First, string? Second);

/// <summary>Lays out rows and prompts in which an answer takes two statements that stand apart, in either order.</summary>
internal sealed class TwoStatements(FragmentEncoder encoder, FillerShop shop, RetrievalTaskOptions options)
{
    /// <summary>A row of several of a kind, some of which are asked for.</summary>
    /// <param name="random">Decides places, and which are asked for.</param>
    /// <param name="length">Tokens of the row.</param>
    /// <param name="family">What is asked.</param>
    /// <param name="told">What is said; the first in whole.</param>
    /// <param name="named">Whom and what it is about: the filler must not speak of them.</param>
    /// <param name="question">A question with its answer, marked, for rows where two speak and where nobody does.</param>
    /// <param name="aside">Something else about the same, or null.</param>
    /// <exception cref="LandmarkException">Too few tokens for the first.</exception>
    public TaskRow Row<T>(
        CounterRandom random, int length, TaskFamily family, IReadOnlyList<T> told, IReadOnlyList<string> named,
        Func<T, Dialogue, string> question, Func<T, string?> aside)
        where T : Told
    {
        var dialogue = new Dialogue(random);
        var lead = random.Chance(0.5) ? '\n' : ' ';
        var draft = new RowDraft(random, length, encoder, options);
        var asked = 1 + random.Weighted([3, 2, 2, 1, 1]);
        var allAtEnd = random.Chance(0.3);
        foreach (var (i, one) in told.Index())
        {
            var (first, second) = (Said(one.First), Said(one.Second));
            var (here, there) = (random.NextDouble(), random.NextDouble());
            if (i >= asked || first is null || second is null)
            {
                if (first is not null) draft.TrySay(here, first, draft.Free);
                if (second is not null) draft.TrySay(there, second, draft.Free);
                continue;
            }
            var asking = Piece.Encode(encoder, lead + question(one, dialogue));
            if (first.Length + second.Length + asking.Length > draft.Free)
            {
                if (i > 0) break;
                throw RowDraft.TooShort(length, length - draft.Free + first.Length + second.Length + asking.Length);
            }
            draft.TrySay(here, first, draft.Free);
            draft.TrySay(there, second, draft.Free);
            draft.Ask(allAtEnd ? 1 : RowDraft.Later(random, Math.Max(here, there)), asking);
            if (Said(aside(one)) is { } other) draft.TrySay(random.NextDouble(), other, draft.Free / 2);
        }
        return draft.Compose(family, lead, shop, named);

        Piece? Said(string? statement) => statement is null ? null : Piece.Encode(encoder, lead + statement);
    }

    /// <summary>One wording for all of a row, or any.</summary>
    public static Template[] Wordings(CounterRandom random, Template[] wordings) =>
        random.Chance(0.6) ? [random.Pick(wordings)] : wordings;

    /// <summary>The same as a prompt: statements somewhere in the filler, then the question about the first.</summary>
    public TaskPrompt Prompt(
        CounterRandom random, int length, IReadOnlyList<Told> told, IReadOnlyList<string> named, string asked, FillerKind kind,
        double? depth)
    {
        var statements = new List<Placed>();
        foreach (var statement in told.SelectMany(t => (string?[])[t.First, t.Second]).OfType<string>())
        {
            var place = statements.Count == 0 && depth is { } given ? given : random.NextDouble();
            statements.Add(new(place, Piece.Encode(encoder, '\n' + statement)));
        }
        return TaskPrompt.Compose(
            encoder, () => shop.Make(kind, random, named), statements, needles: 2, asked, length);
    }
}
