using System.Text;

namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>Puts a text together from pieces, within the work that a rendering may do.</summary>
internal sealed class TextBuilder(Meter meter)
{
    private readonly StringBuilder text = new();
    private readonly List<Stretch> given = [];

    public TextBuilder Append(string piece, bool isGiven = false)
    {
        meter.Spend(piece.Length);
        if (isGiven && piece.Length > 0)
        {
            var (start, end) = (text.Length, text.Length + piece.Length);
            if (given.Count > 0 && given[^1].End == start) given[^1] = given[^1] with { End = end };
            else given.Add(new Stretch(start, end));
        }
        text.Append(piece);
        return this;
    }

    public TextBuilder Append(TaintedText piece)
    {
        foreach (var (part, isGiven) in piece.Runs()) Append(part, isGiven);
        return this;
    }

    public TaintedText ToText() => TaintedText.With(text.ToString(), given);
}
