using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

public class RetrievalTasksTests
{
    private readonly WordTokenizer tokenizer = new();
    private readonly TokenSource book;

    public RetrievalTasksTests()
    {
        var random = new CounterRandom(1);
        var words = Enumerable.Range(0, 3000).Select(_ => Lexicon.Invented(random));
        book = TokenSource.FromTokens(tokenizer.Encode(string.Join(' ', words)));
    }

    public static TheoryData<TaskFamily, TaskSplit> Families => new(
        Enum.GetValues<TaskFamily>().Select(f => (f, TaskSplit.Training)).Concat(
            HeldOutFacts.All.Select(s => s.Family).Concat([TaskFamily.Chain, TaskFamily.Pair]).Distinct().Select(f => (f, TaskSplit.HeldOut))));

    [Theory]
    [MemberData(nameof(Families))]
    public void RowsAreAsLongAsAskedForAndEveryAnswerStandsBefore(TaskFamily family, TaskSplit split)
    {
        var tasks = Tasks(split, family);
        for (var index = 0; index < 300; index++)
        {
            var length = 256 + index;
            var row = tasks.Row(7, index, length);
            Assert.Equal(family, row.Family);
            Assert.Equal(length, row.Tokens.Length);
            Assert.Equal(length, row.Kinds.Length);
            var answers = 0;
            for (var i = 0; i < length; i++)
            {
                if (row.Kinds[i] != TokenKind.Answer) continue;
                var start = i;
                while (i < length && row.Kinds[i] == TokenKind.Answer) i++;
                // The row may end, or another answer begin, right behind the number: what ends it is not in the text.
                var answer = tokenizer.Decode(row.Tokens.AsSpan(start..i)).Trim().TrimEnd('.');
                var before = tokenizer.Decode(row.Tokens.AsSpan(..start));
                // An answer in steps has a part of one statement, and then another; one of two facts has a part of each.
                Assert.All(
                    family switch
                    {
                        TaskFamily.Chain => answer.Split(". "),
                        TaskFamily.Pair => answer.Split(" and "),
                        _ => [answer],
                    },
                    part => Assert.Contains(part, before, StringComparison.OrdinalIgnoreCase));
                answers++;
            }
            if (family != TaskFamily.Quote) Assert.NotEqual(0, answers);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void EveryTaskFitsInTheShortestRow(TaskFamily family, TaskSplit split)
    {
        var shipped = LandmarkSharp.Text.Tokenizer.Load(ShippedModel.Folder);
        // Invented words take more tokens than those of any book.
        var random = new CounterRandom(2);
        var text = string.Join(' ', Enumerable.Range(0, 5000).Select(_ => Lexicon.Invented(random)));
        using var source = TokenSource.FromTokens(shipped.Encode(text));
        var tasks = new RetrievalTasks(new FragmentEncoder(t => shipped.Encode(t)), [source], new RetrievalTaskOptions
        {
            Split = split,
            Shares = new Dictionary<TaskFamily, double> { [family] = 1 },
            Lookalikes = 0.5,
            Phrases = MadeUpWordings.Phrases(shipped, [source]),
            BeginOfText = shipped.BosId,
            EndOfText = shipped.EosId,
        });
        Parallel.For(0, 3000, index => Assert.Equal(
            RetrievalTasks.ShortestRow, tasks.Row(11, index, RetrievalTasks.ShortestRow).Tokens.Length));
    }

    [Fact]
    public void RowsDependOnSeedAndIndexAlone()
    {
        var (one, other) = (Tasks(TaskSplit.Training), Tasks(TaskSplit.Training));
        var rows = Enumerable.Range(0, 200).AsParallel().AsOrdered().Select(i => one.Row(1, i, 400)).ToList();
        for (var i = rows.Count - 1; i >= 0; i--)
        {
            var again = other.Row(1, i, 400);
            Assert.Equal(rows[i].Tokens, again.Tokens);
            Assert.Equal(rows[i].Kinds, again.Kinds);
        }
        Assert.NotEqual(rows[0].Tokens, one.Row(2, 0, 400).Tokens);
        Assert.Equal(200, rows.Select(r => string.Join(' ', r.Tokens)).Distinct().Count());
    }

    [Fact]
    public void PassKeyRowsAreTokenisedAsTheirText()
    {
        var tasks = Tasks(TaskSplit.Training, TaskFamily.PassKey);
        var (whole, places) = (0, new List<double>());
        for (var index = 0; index < 600; index++)
        {
            var row = tasks.Row(3, index, 504);
            var text = tokenizer.Decode(row.Tokens);
            var needle = text.IndexOf("\nThe pass key is ", StringComparison.Ordinal);
            Assert.True(needle >= 0, text);
            Assert.Matches(@"\nThe pass key is (\d+)\. Remember it\. \1 is the pass key\.", text);
            Assert.Matches(@"\nWhat is the pass key\? The pass key is \d+[.\n]", text);
            if (text.StartsWith(" " + PassKeyTask.Intro + "\n", StringComparison.Ordinal)) whole++;
            places.Add((double)needle / text.Length);
            // Spaces at the row's very start are the tokenizer's own.
            if (text[0] == ' ' && !text.Contains("</s>", StringComparison.Ordinal))
                Assert.Equal(tokenizer.Encode(text[1..]), row.Tokens);
        }
        Assert.InRange(whole, 220, 380);
        for (var quarter = 0; quarter < 3; quarter++)
            Assert.InRange(places.Count(p => p >= quarter * 0.25 && p < quarter * 0.25 + 0.25), 80, 280);
    }

    [Fact]
    public void KeysOfThePaperReachFromOneToFiftyThousand()
    {
        var tasks = Tasks(TaskSplit.Training, TaskFamily.PassKey);
        var keys = Enumerable.Range(0, 1000).Select(i => Key(tokenizer.Decode(tasks.Row(4, i, 300).Tokens))).ToList();
        Assert.All(keys, key => Assert.InRange(key, 1, 50_000));
        Assert.InRange(keys.Average(), 23_500, 26_500);

        static int Key(string text)
        {
            var start = text.IndexOf("\nThe pass key is ", StringComparison.Ordinal) + 17;
            return int.Parse(text.AsSpan(start, text.IndexOf('.', start) - start));
        }
    }

    [Theory]
    [InlineData(TaskFamily.Wording)]
    [InlineData(TaskFamily.LongAnswer)]
    public void MadeUpWordingsDifferFromRowToRow(TaskFamily family)
    {
        var made = new MadeUpWordings(["the old road to", "never had seen", "of", "a lamp in every window was"]);
        var wordings = Enumerable.Range(0, 300).Select(i => made.Draw(new CounterRandom(9, i), family).Statements[0].Source).ToList();
        Assert.InRange(wordings.Distinct().Count(), 270, 300);
        Assert.Contains(wordings, w => w.Contains("lamp in every", StringComparison.Ordinal));
    }

    [Fact]
    public void PhrasesAreRunsOfWordsOfTheText()
    {
        using var tiny = new TinyRun();
        var real = LandmarkSharp.Text.Tokenizer.Load(tiny.Tokenizer);
        const string text =
            "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals (of 3) "
            + "when it was checked by a violent gust of wind. ";
        var source = TokenSource.FromTokens(real.Encode(string.Concat(Enumerable.Repeat(text, 50))));
        var phrases = MadeUpWordings.Phrases(real, [source], 200);
        Assert.Equal(200, phrases.Count);
        Assert.All(phrases, phrase => Assert.Contains(' ' + phrase, ' ' + text, StringComparison.Ordinal));
        Assert.Contains(phrases, phrase => phrase.Contains(' ', StringComparison.Ordinal));
    }

    [Fact]
    public void HeldOutWordingsAndWordsOccurNowhereInTraining()
    {
        var trained = TrainingFacts.All.SelectMany(s => s.Wordings)
            .Concat(TrainingChains.All.SelectMany(s => s.Wordings))
            .Concat(TrainingPairs.All.SelectMany(s => s.Wordings)).ToHashSet(StringComparer.Ordinal);
        Assert.All(
            HeldOutFacts.All.SelectMany(s => s.Wordings).Concat(HeldOutChains.All.SelectMany(s => s.Wordings))
                .Concat(HeldOutPairs.All.SelectMany(s => s.Wordings)),
            wording => Assert.DoesNotContain(wording, trained));
        Assert.Empty(Lexicon.Training.OwnWords.Intersect(Lexicon.HeldOut.OwnWords));

        var text = new HashSet<string>(StringComparer.Ordinal);
        foreach (var tasks in (RetrievalTasks[])
            [Tasks(TaskSplit.Training), Tasks(TaskSplit.Training, TaskFamily.Chain), Tasks(TaskSplit.Training, TaskFamily.Pair)])
            for (var index = 0; index < 1000; index++)
            {
                var row = tokenizer.Decode(tasks.Row(5, index, 400).Tokens);
                text.UnionWith(row.Split(' ', '\n', '.', ',', '\'', ':', '?'));
            }
        Assert.DoesNotContain(Lexicon.HeldOut.OwnWords, text.Contains);
    }

    [Fact]
    public void AsidesSayWhatTheyAreAbout()
    {
        var tasks = Tasks(TaskSplit.Training, TaskFamily.Fact);
        for (var index = 0; index < 3000; index++)
            Assert.DoesNotMatch(
                @"The +of |'s +is called|are \d+ +in the|has a +,", tokenizer.Decode(tasks.Row(8, index, 400).Tokens));
    }

    [Fact]
    public void FillerOfFactsNeverSpeaksOfWhatIsAsked()
    {
        var shop = new FillerShop(tokenizer.Encoder, [], TaskSplit.Training);
        var tokens = new List<int>();
        shop.Make(FillerKind.Facts, new CounterRandom(2), ["Alice", "Bob"]).Fill(tokens, 20_000, Cut.End, ' ');
        Assert.DoesNotMatch(
            "(Alice|Bob)'s (birthday|pet|favourite colour|secret word)", tokenizer.Decode([.. tokens]));
    }

    [Theory]
    [InlineData(FillerKind.Grass)]
    [InlineData(FillerKind.Books)]
    [InlineData(FillerKind.Lines)]
    [InlineData(FillerKind.Sentences)]
    [InlineData(FillerKind.Numbers)]
    [InlineData(FillerKind.Facts)]
    [InlineData(FillerKind.Mixed)]
    public void FillersGiveTheLengthAskedFor(FillerKind kind)
    {
        var shop = new FillerShop(tokenizer.Encoder, [book], TaskSplit.Training);
        for (var count = 0; count < 200; count++)
            foreach (var cut in Enum.GetValues<Cut>())
            {
                var tokens = new List<int> { -1 };
                shop.Make(kind, new CounterRandom(1, count), []).Fill(tokens, count, cut, count % 2 == 0 ? ' ' : '\n');
                Assert.Equal(-1, tokens[0]);
                if (cut == Cut.Between) Assert.InRange(tokens.Count - 1, 0, count);
                else Assert.Equal(count, tokens.Count - 1);
            }
    }

    [Fact]
    public void RowTooShortForItsTaskIsRefused()
    {
        var tasks = Tasks(TaskSplit.Training, TaskFamily.PassKey);
        Assert.Contains("takes", Assert.Throws<LandmarkException>(() => tasks.Row(1, 1, 20)).Message);
    }

    private RetrievalTasks Tasks(TaskSplit split, TaskFamily? only = null) => new(
        tokenizer.Encoder,
        [book],
        new RetrievalTaskOptions
        {
            Split = split,
            EndOfText = WordTokenizer.EndOfText,
            Shares = only is { } family
                ? new Dictionary<TaskFamily, double> { [family] = 1 }
                : new RetrievalTaskOptions().Shares,
        });
}
