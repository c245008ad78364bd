using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

public class TemplateTests
{
    [Fact]
    public void ChoicesNestAndSlotsAreFilled()
    {
        Template template = "[a|b[1|2]] | {^S}: {T} {V}{E}{A}";
        var random = new CounterRandom(1);
        var texts = Enumerable.Range(0, 100)
            .Select(_ => template.Expand(random, Lexicon.Training, new Binding("t", "sub", "v"))).Distinct().Order();
        const string end = " | Sub: t v\u0002v\u0003\u0001v\u0003";
        Assert.Equal(["a" + end, "b1" + end, "b2" + end], texts);
    }

    [Theory]
    [InlineData("[a|b")]
    [InlineData("{S")]
    [InlineData("{nothing of the kind}")]
    public void BrokenTemplatesAreRefused(string source) => Assert.Throws<FormatException>(
        () => ((Template)source).Expand(new CounterRandom(1), Lexicon.Training, default));

    [Fact]
    public void EveryTemplateExpandsAndEveryQuestionEndsInItsAnswer()
    {
        var random = new CounterRandom(1);
        foreach (var split in Enum.GetValues<TaskSplit>())
            foreach (var schema in FactSchema.Of(split))
                for (var i = 0; i < 20; i++)
                {
                    var lexicon = Lexicon.Of(split);
                    var fact = schema.Draw(random, lexicon, schema.Thing.Expand(random, lexicon, default));
                    Assert.NotEqual("", fact.Subject);
                    foreach (var statement in schema.Statements)
                        Assert.Contains(
                            fact.Value, statement.Expand(random, lexicon, fact), StringComparison.OrdinalIgnoreCase);
                    foreach (var question in schema.Questions)
                        Assert.EndsWith(Marks.Answer + fact.Value + Marks.End, question.Expand(random, lexicon, fact));
                }
    }

    [Fact]
    public void TokensKnowWhatTheyAre()
    {
        var tokenizer = new WordTokenizer();
        var piece = Piece.Encode(tokenizer.Encoder, "\nIt is \u000112\u0003\nThen \u000247\u0003, or \u0001a b\u0003.");
        Assert.Equal("\nIt is 12\nThen 47, or a b.", tokenizer.Decode([.. piece.Tokens]));
        // The line's end after 12 ends the number, and so belongs to the answer.
        Assert.Equal(" 12\n a b.", Of(TokenKind.Answer));
        Assert.Equal(" 47,", Of(TokenKind.Echo));

        string Of(TokenKind kind) =>
            tokenizer.Decode([.. piece.Tokens.Where((_, i) => piece.Kinds[i] == kind)]);
    }
}
