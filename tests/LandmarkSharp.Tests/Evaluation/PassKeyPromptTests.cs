using LandmarkSharp.Evaluation;
using LandmarkSharp.Tests.Training;

namespace LandmarkSharp.Tests.Evaluation;

public class PassKeyPromptTests
{
    private readonly WordTokenizer tokenizer = new();

    [Fact]
    public void PromptIsThePapersFiveLines()
    {
        var prompt = PassKeyPrompt.Create(tokenizer.Encoder, 1024, seed: 1);
        var lines = prompt.Text.Split('\n');
        Assert.Equal(5, lines.Length);
        Assert.Equal(
            "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. "
            + "I will quiz you about the important information there.", lines[0]);
        Assert.Equal($"The pass key is {prompt.Key}. Remember it. {prompt.Key} is the pass key.", lines[2]);
        Assert.Equal("What is the pass key? The pass key is", lines[4]);
        const string round =
            "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
        var filler = string.Concat(Enumerable.Repeat(round, 100));
        Assert.StartsWith(lines[1], filler);
        Assert.StartsWith(lines[3], filler);
        Assert.EndsWith(".", lines[1]);
    }

    [Fact]
    public void PromptsHaveExactlyTheTokensAskedForAndTheNeedleIsWhereTheySay()
    {
        var least = Least();
        foreach (var tokens in Enumerable.Range(least, 120).Concat([1000, 1024, 4096, 4097, 16384]))
            for (var trial = 0; trial < 3; trial++)
            {
                var prompt = PassKeyPrompt.Create(tokenizer.Encoder, tokens, 5, trial);
                Assert.Equal(tokens, prompt.Tokens.Length);
                Assert.Equal(tokenizer.Encode(prompt.Text), prompt.Tokens);
                Assert.InRange(prompt.Key, 1, 50_000);
                Assert.Equal(
                    $"The pass key is {prompt.Key}. Remember it. {prompt.Key} is the pass key.",
                    tokenizer.Decode(prompt.Tokens.AsSpan(prompt.Needle)));
            }
    }

    [Fact]
    public void PlacesAreUniformAndKeysToo()
    {
        var prompts = Enumerable.Range(0, 400)
            .Select(t => PassKeyPrompt.Create(tokenizer.Encoder, 2000, 9, t)).ToList();
        var places = prompts.Select(p => p.Needle.Start.Value / 2000.0).ToList();
        for (var fifth = 0; fifth < 5; fifth++)
            Assert.InRange(places.Count(p => p >= fifth * 0.2 && p < fifth * 0.2 + 0.2), 50, 110);
        Assert.InRange(prompts.Average(p => p.Key), 22_500, 27_500);
    }

    [Fact]
    public void DepthDecidesThePlace()
    {
        int Place(double depth) => PassKeyPrompt.Create(tokenizer.Encoder, 3000, 1, 0, depth).Needle.Start.Value;
        Assert.InRange(Place(0), 30, 60);
        Assert.InRange(Place(0.5), 1450, 1550);
        Assert.InRange(Place(1), 2920, 2970);
        Assert.Throws<LandmarkException>(() => Place(1.5));
        Assert.Throws<LandmarkException>(() => Place(double.NaN));
    }

    [Fact]
    public void TooFewTokensNameTheLeast()
    {
        var least = Least();
        Assert.True(least > 40);
        Assert.Equal(least, PassKeyPrompt.Create(tokenizer.Encoder, least, 1).Tokens.Length);
    }

    [Theory]
    [InlineData(" 1234.", true)]
    [InlineData("1234 1", true)]
    [InlineData(": it is 1234", true)]
    [InlineData(" 12345", false)]
    [InlineData(" 3, not 1234", false)]
    [InlineData("none", false)]
    [InlineData("99999999999999999999999", false)]
    public void FirstIntegerDecides(string continuation, bool right) =>
        Assert.Equal(right, new PassKeyPrompt("", [], 1234, default).IsAnswered(continuation));

    private int Least()
    {
        var error = Assert.Throws<LandmarkException>(() => PassKeyPrompt.Create(tokenizer.Encoder, 10, 1));
        return int.Parse(error.Message.Split(' ')[^1].TrimEnd('.'));
    }
}
