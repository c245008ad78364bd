using System.Runtime.CompilerServices;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>
/// What one rendering has done and may do. Templates come with checkpoints and are not trusted: each step and each
/// character made or looked at counts, and where there are too many the rendering ends.
/// </summary>
/// <param name="givenCharacters">How long all is that the template was given.</param>
/// <param name="clock">Where <c>strftime_now</c> has the time from.</param>
internal sealed class Meter(long givenCharacters, TimeProvider clock)
{
    // A template goes over its messages a few times; the rest is for its own text.
    private long left = 5_000_000 + (100 * givenCharacters);

    /// <summary>The line of the template that was last at work.</summary>
    public int Line { get; private set; }

    public TimeProvider Clock => clock;

    /// <summary>Counts a step of the template.</summary>
    public void Step(int line)
    {
        Line = line;
        Descend();
        Spend(1);
    }

    /// <summary>Counts work: characters or items.</summary>
    public void Spend(long work)
    {
        left -= work;
        if (left < 0) throw new JinjaException("more is to be done than for any conversation of that length; use a template that ends");
    }

    /// <summary>Counts a value that something reads through.</summary>
    public void SpendOn(object? value) => Spend(value switch
    {
        TaintedText text => text.Value.Length,
        Items items => items.Count,
        Mapping mapping => mapping.Count,
        _ => 1,
    });

    /// <summary>Counts a search, which may come to look at each place of a text as often as what is looked for is long.</summary>
    public void SpendOnSearch(TaintedText text, TaintedText wanted) => Spend(text.Value.Length * (1L + (wanted.Value.Length / 256)));

    /// <summary>Ends the rendering where macros or values are nested so deep that the stack would not hold.</summary>
    public static void Descend()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw JinjaException.Unsupported("so deep a nesting");
    }
}
