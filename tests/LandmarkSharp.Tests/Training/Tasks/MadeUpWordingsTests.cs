using System.Text.RegularExpressions;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

/// <summary>Kinds of facts that are said in one way and asked in another.</summary>
public partial class MadeUpWordingsTests
{
    private static readonly FactSchema[] TwoWays = [.. Draw().Where(s => s.Statements.Length == 2)];

    [Fact]
    public void SomeKindsHaveTwoWays()
    {
        Assert.InRange(TwoWays.Length, 250, 600);
        Assert.All(TwoWays, s => Assert.Equal(TaskFamily.Wording, s.Family));
    }

    [Fact]
    public void TheAnswerIsInEachStatementAndEndsEachQuestion()
    {
        var random = new CounterRandom(4);
        foreach (var schema in TwoWays)
        {
            var fact = schema.Draw(random, Lexicon.Training, "");
            Assert.All(schema.Statements, s =>
            {
                var said = s.Expand(random, Lexicon.Training, fact);
                Assert.Contains(fact.Value, said, StringComparison.OrdinalIgnoreCase);
                Assert.Contains(fact.Subject, said, StringComparison.OrdinalIgnoreCase);
            });
            Assert.All(schema.Questions, q => Assert.EndsWith(
                Marks.Answer + fact.Value + Marks.End, q.Expand(random, Lexicon.Training, fact), StringComparison.Ordinal));
        }
    }

    [Fact]
    public void AStatementMayBeAskedForInOtherWords()
    {
        foreach (var schema in TwoWays)
        {
            // What stands between subject and value, in statements and in questions that have both.
            string[] said = [.. schema.Statements.Select(Link)];
            var asked = schema.Questions.Select(Link).ToHashSet(StringComparer.Ordinal);
            Assert.All(said, link => Assert.Contains(link, asked));
        }
        Assert.InRange(TwoWays.Count(s => Link(s.Statements[0]) != Link(s.Statements[1])), TwoWays.Length * 95 / 100, TwoWays.Length);
    }

    private static string Link(Template template) => Between().Match(template.Source).Groups[1].Value.Trim();

    private static IEnumerable<FactSchema> Draw()
    {
        var made = new MadeUpWordings(["the old road to", "never had seen", "of", "a lamp in every window was"]);
        return Enumerable.Range(0, 1000).Select(i => made.Draw(new CounterRandom(6, i), TaskFamily.Wording));
    }

    [GeneratedRegex(@"\{\^?S\}(?!.*\{\^?S\})(.*?)\{[VA]\}")]
    private static partial Regex Between();
}
