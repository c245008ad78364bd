using LandmarkSharp.Evaluation;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Evaluation;

public class RetrievalPromptTests
{
    private readonly WordTokenizer tokenizer = new();

    [Theory]
    [InlineData(TaskSplit.Training, FillerKind.Grass)]
    [InlineData(TaskSplit.HeldOut, FillerKind.Grass)]
    [InlineData(TaskSplit.HeldOut, FillerKind.Books)]
    public void PromptsAskForWhatTheirNeedleSays(TaskSplit split, FillerKind filler)
    {
        var text = string.Concat(Enumerable.Repeat("once upon a time ", 500));
        var book = TokenSource.FromTokens(tokenizer.Encode(text));
        var tasks = new RetrievalTasks(tokenizer.Encoder, [book], new RetrievalTaskOptions { Split = split });
        for (var trial = 0; trial < 2 * RetrievalPrompt.Kinds(split); trial++)
        {
            var prompt = RetrievalPrompt.Create(tasks, 1000 + trial, 3, trial, filler);
            Assert.Equal(1000 + trial, prompt.Tokens.Length);
            var needle = Assert.Single(prompt.Needles);
            Assert.Contains(prompt.Answer, tokenizer.Decode(prompt.Tokens.AsSpan(needle)), StringComparison.OrdinalIgnoreCase);
            Assert.EndsWith(prompt.Question, tokenizer.Decode(prompt.Tokens));
            Assert.True(needle.End.Value < prompt.Tokens.Length);
            foreach (var distractor in prompt.Distractors)
                Assert.NotEqual(needle.Start, distractor.Start);
            Assert.True(prompt.IsAnswered($" {prompt.Answer}\nand more"));
            Assert.False(prompt.IsAnswered($" {prompt.Answer}0"));
            Assert.False(prompt.IsAnswered(" something else"));
        }
    }

    [Theory]
    [InlineData("chest and 4821", " chest and 4821.", true)]
    [InlineData("chest and 4821", " the chest and 4821\n", true)]
    [InlineData("22307 and Horace", " 22307 ducats and Horace", true)]
    [InlineData("York and gilded harp", " York and the gilded harp", true)]
    [InlineData("4821 and 977", " 977 and 4821.", false)]
    [InlineData("4821 and 977", " 4821 and 9772.", false)]
    [InlineData("4821 and 977", " 48210 and 977.", false)]
    [InlineData("4821 and 977", " 4821.", false)]
    [InlineData("4821 and 977", " 4821, 313 and 977.", false)]
    [InlineData("4821 and 977", " 4821 or Anna and 977.", false)]
    public void APairsAnswerHoldsBothInTheirOrder(string answer, string said, bool right) =>
        Assert.Equal(right, new RetrievalPrompt(TaskFamily.Pair, "?", [], answer, [], []).IsAnswered(said));

    [Fact]
    public void OnlyTheFamiliesAskedForAreAsked()
    {
        var tasks = new RetrievalTasks(
            tokenizer.Encoder, [], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        var all = RetrievalPrompt.Families(TaskSplit.HeldOut);
        Assert.Equal(
            [TaskFamily.Key, TaskFamily.Keys, TaskFamily.Fact, TaskFamily.Record, TaskFamily.Sentence, TaskFamily.Chain, TaskFamily.Pair], all);
        Assert.Equal(all.SkipLast(2), Asked(null, RetrievalPrompt.Kinds(TaskSplit.HeldOut)));
        Assert.Equal(all, Asked(all, RetrievalPrompt.Kinds(TaskSplit.HeldOut, all)));
        foreach (var family in all) Assert.Equal([family], Asked([family], 10));
        Assert.Contains("ask for some of Key, ", Assert.Throws<LandmarkException>(() => Asked([TaskFamily.Quote], 1)).Message);

        IEnumerable<TaskFamily> Asked(IReadOnlyList<TaskFamily>? families, int trials) => Enumerable.Range(0, trials)
            .Select(t => RetrievalPrompt.Create(tasks, 1000, 1, t, FillerKind.Grass, families: families).Family).Distinct().ToList();
    }

    [Fact]
    public void TooFewTokensNameTheLeastAndDepthIsChecked()
    {
        var tasks = new RetrievalTasks(
            tokenizer.Encoder, [], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        Assert.Contains("at least", Assert.Throws<LandmarkException>(
            () => RetrievalPrompt.Create(tasks, 10, 1, 0, FillerKind.Grass)).Message);
        Assert.Throws<LandmarkException>(() => RetrievalPrompt.Create(tasks, 500, 1, 0, FillerKind.Grass, depth: 2));
        Assert.InRange(
            RetrievalPrompt.Create(tasks, 500, 1, 0, FillerKind.Grass, depth: 0).Needles[0].Start.Value, 0, 5);
    }
}
