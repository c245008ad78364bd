using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Tests.Generation;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Evaluation;

public sealed class RetrievalTestTests
{
    /// <summary>Of a trained window of 128 positions in blocks of 5, what is left beside an answer.</summary>
    private const int Window = (128 * 4 / 5) - 48;

    [Fact]
    public void WindowOnlyReadsTheEndAndNothingElse()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        var (windowed, whole) = (new RetrievalTest(engine, windowOnly: true), new RetrievalTest(engine));
        var tail = TinyModel.Tokens(Window, seed: 1);
        int[] one = [.. TinyModel.Tokens(60, seed: 2), .. tail], other = [.. TinyModel.Tokens(60, seed: 3), .. tail];
        var trial = windowed.Recall(Prompt(one), 0);
        Assert.Equal(trial.Answer, windowed.Recall(Prompt(other), 0).Answer);
        Assert.Equal(trial.Answer, windowed.Recall(Prompt(tail), 0).Answer);
        Assert.Empty(trial.Blocks);
        Assert.Equal(one.Length, trial.Tokens);
        Assert.NotEqual(trial.Answer, windowed.Recall(Prompt([.. one[..^Window], (tail[0] + 1) % 30, .. tail[1..]]), 0).Answer);
        Assert.NotEqual(whole.Recall(Prompt(one), 0).Answer, whole.Recall(Prompt(other), 0).Answer);
        Assert.NotEmpty(whole.Recall(Prompt(one), 0).Blocks);
    }

    [Fact]
    public void AWindowShorterThanAnAnswerReadsABlock()
    {
        var config = TinyModel.Config(4);
        using var engine = TinyEngine.Create(config with { Landmark = config.Landmark! with { TrainContext = 20 } });
        var tokens = TinyModel.Tokens(60);
        var test = new RetrievalTest(engine, windowOnly: true);
        Assert.Equal(test.Recall(Prompt(tokens[^4..]), 0).Answer, test.Recall(Prompt(tokens), 0).Answer);
    }

    [Fact]
    public void ATrialIsRightWhenTheAnswerIsWhatWasExpected()
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4));
        var test = new RetrievalTest(engine);
        var tokens = TinyModel.Tokens(90);
        var said = test.Recall(Prompt(tokens, new string('x', 20)), 4);
        Assert.False(said.Correct);
        var again = test.Recall(Prompt(tokens, said.Answer.Trim()), 4);
        Assert.True(again.Correct);
        Assert.Equal((4, 90, said.Answer.Trim()), (again.Trial, again.Tokens, again.Expected));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void AMarkIsReadFirstAndNotCounted(bool windowOnly)
    {
        using var engine = TinyEngine.Create(TinyModel.Config(4), marks: true);
        int[] tokens = [.. TinyModel.Tokens(90).Select(t => t % TinyEngine.Mark)];
        var trial = new RetrievalTest(engine, windowOnly).Recall(Prompt(tokens), 0);
        Assert.Equal((90, 3..9), (trial.Tokens, Assert.Single(trial.Needles)));
        Assert.Equal([1, 2], trial.NeedleBlocks(4));
        Assert.All(trial.Blocks, b => Assert.Equal(b.Block == 0 ? (0, 3) : ((b.Block * 4) - 1, 4), (b.FirstToken, b.TokenCount)));

        using var plain = engine.Plain();
        using var session = (windowOnly ? plain : engine).NewSession();
        session.Append([TinyEngine.Mark, .. windowOnly ? tokens[^(Window - 1)..] : tokens]);
        var said = string.Concat(session.Generate(new GenerationOptions { MaxTokens = 48 }).Select(t => t.Text));
        Assert.StartsWith(trial.Answer, said);
    }

    private static RetrievalPrompt Prompt(int[] tokens, string answer = "no such answer, and long") =>
        new(TaskFamily.Fact, "?", tokens, answer, [3..9], []);
}
