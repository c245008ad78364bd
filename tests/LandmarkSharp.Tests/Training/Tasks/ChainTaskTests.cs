using System.Text.RegularExpressions;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

/// <summary>Chains, read by rules that know the held-out wordings and nothing of how rows are made.</summary>
public class ChainTaskTests
{
    private const string Name = @"(\b\p{L}+)";
    // A sentence of the filler may be cut off before a statement: what is meant begins with the last article.
    private const string Thing = @"((?:(?!The )[\p{L} -])+?)";
    private const string Digits = @"(\d+)";

    /// <summary>How each held-out kind says its first fact and its second, and how a question names the subject.</summary>
    private static readonly (string First, string Second, string Question)[] Kinds =
    [
        ($@"{Name} concealed a deed beneath the {Thing}\.", $@"Visitors admire the {Thing} in {Name}\.",
            $@"In which city do visitors admire the piece that covers the deed of {Name}\?"),
        ($@"{Name} served as apprentice under {Name}\.", $@"Aboard, {Name} sleeps in cabin {Digits}\.",
            $@"Which cabin does the one whose apprentice was {Name} sleep in\?"),
        ($@"Last winter the {Thing} was pawned by {Name}\.", $@"One reaches {Name} by dialling {Digits}\.",
            $@"What must be dialled to reach whoever pawned the {Thing}\?"),
        ($@"As a child {Name} emigrated to {Name}\.", $@"The ferry bound for {Name} goes by the name of {Name}\.",
            $@"By what name goes the ferry bound for the port that {Name} emigrated to\?"),
        ($@"The {Thing} was stowed in crate {Digits}\.", $@"Crate {Digits} was hauled aboard by {Name}\.",
            $@"Who hauled the crate with the {Thing} aboard\?"),
        ($@"At cards {Thing} won the {Thing}\.", $@"At the auction the {Thing} fetched {Digits} guineas\.",
            $@"How many guineas did the thing that {Thing} won at cards fetch at the auction\?"),
    ];

    private readonly WordTokenizer tokenizer = new();

    private RetrievalTasks Tasks(TaskSplit split = TaskSplit.HeldOut) => new(
        tokenizer.Encoder, [],
        new RetrievalTaskOptions { Split = split, Shares = new Dictionary<TaskFamily, double> { [TaskFamily.Chain] = 1 } });

    [Fact]
    public void PromptsAskForWhatFollowsFromTheirTwoNeedles()
    {
        var (tasks, count) = (Tasks(), RetrievalPrompt.Kinds(TaskSplit.HeldOut, [TaskFamily.Chain]));
        Assert.Equal(2 * Kinds.Length, count);
        var (deadEnds, loose, numbers) = (0, 0, new HashSet<int>());
        for (var trial = 0; trial < 25 * count; trial++)
        {
            var prompt = RetrievalPrompt.Create(tasks, 800 + trial, 3, trial, FillerKind.Grass, families: [TaskFamily.Chain]);
            Assert.Equal((800 + trial, trial % 2 == 0), (prompt.Tokens.Length, prompt.InSteps));
            var text = tokenizer.Decode(prompt.Tokens);
            var (first, second, question) = Kinds[trial % count / 2];
            var (leads, ends) = (Pairs(text, first), Pairs(text, second));
            Assert.All(leads.Concat(ends), p => Assert.Single(p.Value));

            var subject = Assert.Single(Regex.Matches(text, question)).Groups[1].Value;
            var bridge = leads[subject][0];
            var (lead, end) = (Match(text, first, bridge), Match(text, second, ends[bridge][0]));
            Assert.EndsWith(prompt.Question, text);
            Assert.Equal(prompt.InSteps == true ? $"{bridge}. {end.TrimEnd('.')}" : ends[bridge][0], prompt.Answer);
            Assert.Equal([lead, end], prompt.Needles.Select(n => tokenizer.Decode(prompt.Tokens.AsSpan(n)).Trim()));
            Assert.Equal(leads.Count + ends.Count - 2, prompt.Distractors.Count);

            var whole = leads.Values.Count(b => ends.ContainsKey(b[0]));
            numbers.Add(whole);
            deadEnds += leads.Count - whole;
            loose += ends.Count - whole;
        }
        Assert.Equal([2, 3, 4, 5], numbers.Order());
        Assert.InRange(deadEnds, 60, 120);
        Assert.InRange(loose, 60, 120);
    }

    [Fact]
    public void AnswersOfRowsFollowFromWhatStandsBefore()
    {
        var tasks = Tasks();
        var distances = new List<double>();
        for (var index = 0; index < 1500; index++)
        {
            var row = tasks.Row(5, index, 500);
            for (var i = 0; i < row.Tokens.Length; i++)
            {
                if (row.Kinds[i] != TokenKind.Answer) continue;
                var start = i;
                while (i < row.Tokens.Length && row.Kinds[i] == TokenKind.Answer) i++;
                var (before, answer) = (tokenizer.Decode(row.Tokens.AsSpan(..start)), tokenizer.Decode(row.Tokens.AsSpan(start..i)));
                answer = answer.Trim().TrimEnd('.');
                var (asked, first, second) = Kinds
                    .Select(k => (Asked: Regex.Matches(before, k.Question).LastOrDefault(), k.First, k.Second))
                    .MaxBy(k => k.Asked?.Index ?? -1);
                var bridge = Assert.Single(Pairs(before, first)[asked!.Groups[1].Value]);
                var value = Assert.Single(Pairs(before, second)[bridge]);
                var (lead, end) = (Match(before, first, bridge), Match(before, second, value));
                Assert.Equal($"{bridge}. {end.TrimEnd('.')}", answer);
                var apart = before.IndexOf(end, StringComparison.Ordinal) - before.IndexOf(lead, StringComparison.Ordinal);
                distances.Add((double)apart / before.Length);
            }
        }
        // In either order, and rather far apart than near.
        Assert.InRange(distances.Count(d => d > 0), distances.Count * 4 / 10, distances.Count * 6 / 10);
        Assert.InRange(distances.Count(d => Math.Abs(d) > 0.15), distances.Count * 6 / 10, distances.Count * 9 / 10);
    }

    [Theory]
    [InlineData(TaskSplit.Training)]
    [InlineData(TaskSplit.HeldOut)]
    public void EveryWordingNamesBothEndsAndEveryQuestionTheSubject(TaskSplit split)
    {
        var (random, lexicon) = (new CounterRandom(1), Lexicon.Of(split));
        var made = new MadeUpWordings(["the old road to", "never had seen", "of", "a lamp in every window was"]);
        var schemas = split == TaskSplit.HeldOut ? ChainSchema.Of(split)
            : [.. ChainSchema.Of(split), .. Enumerable.Range(0, 200).Select(i => made.Chain(new CounterRandom(3, i)))];
        Assert.True(schemas.Count >= (split == TaskSplit.HeldOut ? 4 : 300));
        foreach (var schema in schemas)
        {
            Assert.Equal(schema.First.Value.Source, schema.Second.Subject.Source);
            foreach (var fact in (FactSchema[])[schema.First, schema.Second])
            {
                var told = new Binding("thing", "someone", "something");
                Assert.All(fact.Statements, s =>
                {
                    var said = s.Expand(random, lexicon, told);
                    Assert.Contains("someone", said, StringComparison.OrdinalIgnoreCase);
                    Assert.Contains("something", said, StringComparison.OrdinalIgnoreCase);
                });
                Assert.All(fact.Questions, q => Assert.EndsWith(
                    Marks.Answer + "something" + Marks.End, q.Expand(random, lexicon, told), StringComparison.Ordinal));
            }
            Assert.All(schema.First.Questions, q => Assert.DoesNotContain('?', q.Source));
            Assert.All(schema.Second.Questions, q => Assert.Matches(@"^[^?]*\{\^?T\}[^?]*\?[^?]* \{A\}$", q.Source));
            Assert.All(schema.Descriptions, d => Assert.Contains("{S}", d.Source, StringComparison.Ordinal));
        }
    }

    /// <summary>Rows say other facts about the same one, so a question's words must tell which is meant.</summary>
    [Fact]
    public void NoTwoFactsAboutTheSameAreAskedForInTheSameWords()
    {
        var asked = TrainingChains.All.Select(c => c.Second).Distinct()
            .SelectMany(s => s.Questions.Select(q => (s.Subject.Source, q.Source[..q.Source.IndexOf('?', StringComparison.Ordinal)])));
        var described = TrainingChains.All.DistinctBy(c => c.First)
            .SelectMany(c => c.Descriptions.Select(d => (c.First.Subject.Source, d.Source)));
        Assert.All(asked.Concat(described).GroupBy(a => a), g => Assert.Single(g));
    }

    [Theory]
    [InlineData(TaskSplit.Training)]
    [InlineData(TaskSplit.HeldOut)]
    public void RowsDependOnSeedAndIndexAlone(TaskSplit split)
    {
        var (one, other) = (Tasks(split), Tasks(split));
        var rows = Enumerable.Range(0, 200).AsParallel().AsOrdered().Select(i => one.Row(1, i, 400)).ToList();
        for (var i = rows.Count - 1; i >= 0; i--)
        {
            var again = other.Row(1, i, 400);
            Assert.Equal(rows[i].Tokens, again.Tokens);
            Assert.Equal(rows[i].Kinds, again.Kinds);
        }
        Assert.Equal(200, rows.Select(r => string.Join(' ', r.Tokens)).Distinct().Count());
    }

    /// <summary>A test generates 48 tokens, and it takes one more token than an answer has to see that it ends there.</summary>
    [Fact]
    public void AnswersAreShortEnoughToBeGenerated()
    {
        var shipped = LandmarkSharp.Text.Tokenizer.Load(ShippedModel.Folder);
        var tasks = new RetrievalTasks(
            new FragmentEncoder(t => shipped.Encode(t)), [], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        for (var trial = 0; trial < 1200; trial++)
        {
            var prompt = RetrievalPrompt.Create(tasks, 1000, 2, trial, FillerKind.Grass, families: [TaskFamily.Chain]);
            Assert.InRange(shipped.Encode(prompt.Answer).Length, 1, 47);
        }
    }

    /// <summary>What statements of this form say, by what they begin with: a statement said again says the same.</summary>
    private static Dictionary<string, string[]> Pairs(string text, string form) => Regex.Matches(text, form)
        .GroupBy(m => m.Groups[1].Value, m => m.Groups[2].Value, StringComparer.OrdinalIgnoreCase)
        .ToDictionary(g => g.Key, g => g.Distinct().ToArray(), StringComparer.OrdinalIgnoreCase);

    /// <summary>The statement of this form that ends so.</summary>
    private static string Match(string text, string form, string second) =>
        Regex.Matches(text, form).First(m => m.Groups[2].Value == second).Value;
}
