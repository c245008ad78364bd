using System.Text.RegularExpressions;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

/// <summary>Pairs, read by rules that know the held-out wordings and nothing of how rows are made.</summary>
public class PairTaskTests
{
    private const string Name = @"(\p{L}+)";
    private const string Digits = @"(\d+)";

    // Words of a thing do not run into the statement before it.
    private const string Thing = @"((?:(?!The )[\p{L} -])+?)";

    /// <summary>How each held-out kind says its facts, with subject and value, and how a question names the subject.</summary>
    private static readonly (Statement One, Statement Other, string Question)[] Kinds =
    [
        (new($@"Customs stamped {Digits} into the passport of {Name}\.", 2), new($@"The luggage of {Name} was tagged {Digits}\.", 1),
            $@"What did customs stamp into the passport of {Name}, and how was the luggage tagged\?"),
        (new($@"A collector bid {Digits} ducats for the {Thing}\.", 2), new($@"The {Thing} was engraved by {Name}\.", 1),
            $@"How many ducats were bid for the {Thing}, and by whom was it engraved\?"),
        (new($@"On the left scrap of the map of {Name} stands {Digits}\.", 1),
            new($@"On the right scrap of the map of {Name} stands {Digits}\.", 1),
            $@"What stands on the left and on the right scrap of the map of {Name}\?"),
        (new($@"The harbour pilot of {Name} is called {Name}\.", 1), new($@"The lighthouse of {Name} transmits on {Digits}\.", 1),
            $@"Who is harbour pilot of {Name}, and on what does the lighthouse transmit\?"),
        (new($@"By sleigh {Thing} travelled to {Name}\.", 1), new($@"In the snow {Thing} lost the {Thing}\.", 1),
            $@"Where did {Thing} travel by sleigh, and what was lost in the snow\?"),
        (new($@"The outer dial of the {Thing} must point at {Digits}\.", 1),
            new($@"The inner dial of the {Thing} must point at {Digits}\.", 1),
            $@"At what must the outer and the inner dial of the {Thing} point\?"),
    ];

    private readonly WordTokenizer tokenizer = new();

    private RetrievalTasks Tasks(TaskSplit split) => new(
        tokenizer.Encoder, [],
        new RetrievalTaskOptions { Split = split, Shares = new Dictionary<TaskFamily, double> { [TaskFamily.Pair] = 1 } });

    [Fact]
    public void PromptsAskForBothFactsAboutOne()
    {
        var (tasks, count) = (Tasks(TaskSplit.HeldOut), RetrievalPrompt.Kinds(TaskSplit.HeldOut, [TaskFamily.Pair]));
        Assert.Equal(Kinds.Length, count);
        var (halves, numbers) = (0, new HashSet<int>());
        for (var trial = 0; trial < 50 * count; trial++)
        {
            var prompt = RetrievalPrompt.Create(tasks, 700 + trial, 3, trial, FillerKind.Grass, families: [TaskFamily.Pair]);
            Assert.Equal((700 + trial, TaskFamily.Pair), (prompt.Tokens.Length, prompt.Family));
            Assert.Null(prompt.InSteps);
            var text = tokenizer.Decode(prompt.Tokens);
            var (one, other, question) = Kinds[trial % count];
            var (ones, others) = (one.In(text), other.In(text));
            var subject = Assert.Single(Regex.Matches(text, question)).Groups[1].Value;
            Assert.EndsWith(prompt.Question, text);
            Assert.Equal($"{ones[subject].Value} and {others[subject].Value}", prompt.Answer);
            Assert.Equal(
                [ones[subject].Text, others[subject].Text],
                prompt.Needles.Select(n => tokenizer.Decode(prompt.Tokens.AsSpan(n)).Trim()));
            Assert.Equal(ones.Count + others.Count - 2, prompt.Distractors.Count);
            var whole = ones.Keys.Intersect(others.Keys).Count();
            numbers.Add(whole);
            halves += ones.Count + others.Count - (2 * whole);
        }
        Assert.Equal([2, 3, 4, 5], numbers.Order());
        Assert.InRange(halves, 130, 230);
    }

    [Fact]
    public void BothPartsOfATrainedAnswerStandInStatementsThatNameTheSubject()
    {
        var tasks = Tasks(TaskSplit.Training);
        var distances = new List<int>();
        for (var index = 0; index < 500; index++)
        {
            var row = tasks.Row(6, index, 500);
            for (var i = 0; i < row.Tokens.Length; i++)
            {
                if (row.Kinds[i] != TokenKind.Answer) continue;
                var start = i;
                while (i < row.Tokens.Length && row.Kinds[i] == TokenKind.Answer) i++;
                // An answer that the row's end cuts off has nothing to compare.
                if (i == row.Tokens.Length) break;
                var before = tokenizer.Decode(row.Tokens.AsSpan(..start));
                var parts = tokenizer.Decode(row.Tokens.AsSpan(start..i)).Trim().TrimEnd('.').Split(" and ");
                Assert.Equal(2, parts.Length);
                var places = parts.Select(p => before.IndexOf(p, StringComparison.OrdinalIgnoreCase)).ToArray();
                Assert.All(places, place => Assert.True(place >= 0, before));
                distances.Add(Math.Abs(places[0] - places[1]));
            }
        }
        Assert.InRange(distances.Count, 500, 1500);
        // They stand apart, mostly by more than a block.
        Assert.InRange(distances.Count(d => d > 300) / (double)distances.Count, 0.5, 1);
    }

    /// <summary>A statement about a subject, group <paramref name="Subject"/> of its two.</summary>
    private sealed record Statement(string Pattern, int Subject)
    {
        public Dictionary<string, (string Value, string Text)> In(string text) =>
            Regex.Matches(text, Pattern).ToDictionary(
                m => m.Groups[Subject].Value, m => (m.Groups[3 - Subject].Value, m.Value));
    }
}
