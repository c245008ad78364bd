using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Tests.Training.Tasks;

public class LookalikeTests
{
    [Theory]
    [InlineData("{person}")]
    [InlineData("{name}")]
    [InlineData("{object}")]
    [InlineData("the {adjective} {animal}")]
    [InlineData("{invented}")]
    [InlineData("{noun} {small}")]
    [InlineData("{code}")]
    [InlineData("{digits}")]
    [InlineData("a")]
    [InlineData("of a {noun}")]
    public void IsMostlyAnotherSubjectAndSharesAPart(string subject)
    {
        Template template = subject;
        var (same, count) = (0, 2000);
        for (var i = 0; i < count; i++)
        {
            var random = new CounterRandom(3, i);
            var model = template.Expand(random, Lexicon.Training, default);
            var other = template.Expand(random, Lexicon.Training, default);
            var made = Lookalike.Of(random, model, other);
            Assert.All(made.Split(' '), word => Assert.NotEqual("", word));
            Assert.Equal(model.Split(' ').Length, made.Split(' ').Length);
            // At least its first letter or digit, or else its last ones, or a whole word.
            Assert.True(
                made[0] == model[0] || made[^1] == model[^1] || made.Split(' ').Intersect(model.Split(' ')).Any(),
                $"{model}, {other}: {made}");
            if (made == model) same++;
        }
        // A single letter has no part to change, and the word before the last may be everyone's.
        Assert.InRange(same, 0, subject == "a" ? count : count * 2 / 5);
    }

    [Theory]
    [InlineData("Ann Lee", "Bob Ray")]
    [InlineData("Bo", "Al")]
    [InlineData("x", "y z")]
    [InlineData("A1", "B2")]
    [InlineData("7", "8")]
    public void ShortSubjectsStayWhole(string model, string other)
    {
        for (var i = 0; i < 200; i++)
            Assert.All(Lookalike.Of(new CounterRandom(i), model, other).Split(' '), word => Assert.NotEqual("", word));
    }

    [Fact]
    public void AWordStandsInForOneOfItsKind()
    {
        var made = Enumerable.Range(0, 200)
            .Select(i => Lookalike.Of(new CounterRandom(i), "red lamp", "blue boat"))
            .ToHashSet(StringComparer.Ordinal);
        Assert.Contains("red boat", made);
        Assert.Contains("blue lamp", made);
        Assert.DoesNotContain("boat lamp", made);
        Assert.DoesNotContain("blue boat", made);
    }

    [Fact]
    public void OfANumberOneDigitIsAnother() => Assert.All(
        Enumerable.Range(0, 200).Select(i => Lookalike.Of(new CounterRandom(i), "48213", "99999")),
        made => Assert.InRange(made.Zip("48213").Count(p => p.First != p.Second), 0, 1));
}
