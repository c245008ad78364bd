namespace LandmarkSharp.Training.Tasks;

/// <summary>Where a stretch of filler may be cut to have the length asked for.</summary>
internal enum Cut
{
    /// <summary>Its last sentence is cut off: exactly the length asked for.</summary>
    End,

    /// <summary>Its first sentence is cut off: exactly the length asked for.</summary>
    Start,

    /// <summary>Whole sentences only: at most the length asked for.</summary>
    Between,
}

/// <summary>Irrelevant text in any length. One belongs to one row and goes on where it stopped.</summary>
internal abstract class Filler
{
    /// <summary>What stands between its sentences: a space or a newline.</summary>
    public char Separator { get; init; } = ' ';

    /// <summary>
    /// Appends a stretch of <paramref name="count"/> tokens, or fewer with <see cref="Cut.Between"/>, that begins with
    /// <paramref name="lead"/>, a space or a newline.
    /// </summary>
    public virtual void Fill(List<int> tokens, int count, Cut cut, char lead)
    {
        Begin();
        var start = tokens.Count;
        var end = start + count;
        while (tokens.Count < end)
        {
            var before = tokens.Count;
            AppendSentence(tokens, before == start ? lead : Separator);
            if (cut != Cut.Between || tokens.Count <= end) continue;
            tokens.RemoveRange(before, tokens.Count - before);
            return;
        }
        tokens.RemoveRange(cut == Cut.Start ? start : end, tokens.Count - end);
    }

    /// <summary>A new stretch begins.</summary>
    protected virtual void Begin() { }

    protected abstract void AppendSentence(List<int> tokens, char lead);
}

/// <summary>The same few sentences, again and again; each stretch begins with the first, or goes on.</summary>
internal sealed class RepeatedFiller(FragmentEncoder encoder, IReadOnlyList<string> sentences, bool restarts) : Filler
{
    private int next;

    protected override void Begin()
    {
        if (restarts) next = 0;
    }

    protected override void AppendSentence(List<int> tokens, char lead)
    {
        encoder.Append(lead + sentences[next], tokens);
        next = (next + 1) % sentences.Count;
    }
}

/// <summary>Sentences made anew each time.</summary>
internal sealed class MadeFiller(FragmentEncoder encoder, Func<string> sentence) : Filler
{
    protected override void AppendSentence(List<int> tokens, char lead) => encoder.Append(lead + sentence(), tokens);
}

/// <summary>A passage of real text, cut anywhere.</summary>
internal sealed class BookFiller(FragmentEncoder encoder, TokenSource source, CounterRandom random) : Filler
{
    private readonly int[] newline = encoder.Continue("\n");
    private long position = random.Next(source.Count);

    public override void Fill(List<int> tokens, int count, Cut cut, char lead)
    {
        if (lead == '\n' && count > newline.Length)
        {
            tokens.AddRange(newline);
            count -= newline.Length;
        }
        Span<int> window = stackalloc int[256];
        while (count > 0)
        {
            var size = (int)Math.Min(Math.Min(count, window.Length), source.Count - position);
            source.Window(position, window[..size]);
            tokens.AddRange(window[..size]);
            count -= size;
            position = (position + size) % source.Count;
        }
    }

    protected override void AppendSentence(List<int> tokens, char lead) => Fill(tokens, 32, Cut.End, lead);
}

/// <summary>Several fillers in turn.</summary>
internal sealed class MixedFiller(IReadOnlyList<Filler> fillers, CounterRandom random) : Filler
{
    private Filler current = random.Pick(fillers);

    protected override void AppendSentence(List<int> tokens, char lead)
    {
        if (random.Chance(0.15)) current = random.Pick(fillers);
        current.Fill(tokens, random.Between(10, 30), Cut.End, lead);
    }
}
