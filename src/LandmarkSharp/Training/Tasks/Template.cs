using System.Text;

namespace LandmarkSharp.Training.Tasks;

/// <summary>The values that a template's own slots take.</summary>
/// <param name="Thing">What is asked for, as "door code": slot T.</param>
/// <param name="Subject">Whose or of what: slot S.</param>
/// <param name="Value">What must be remembered: slot V, E where it is said again, A where it is the answer.</param>
internal readonly record struct Binding(string Thing, string Subject, string Value);

/// <summary>
/// A wording: text with choices <c>[this|that]</c>, which nest, and slots in braces: T, S, V, E and A of the
/// <see cref="Binding"/>, or a category of the <see cref="Lexicon"/>; <c>{^S}</c> is the slot with a capital letter.
/// </summary>
internal sealed class Template
{
    private readonly Node root;

    private Template(string source)
    {
        Source = source;
        var position = 0;
        root = Sequence(ref position, isChoice: false);
    }

    public string Source { get; }

    public static implicit operator Template(string source) => new(source);

    public string Expand(CounterRandom random, Lexicon lexicon, Binding binding)
    {
        var output = new StringBuilder();
        root.Expand(new Expansion(random, lexicon, binding, output));
        return output.ToString();
    }

    private Parts Sequence(ref int position, bool isChoice)
    {
        var nodes = new List<Node>();
        var literal = new StringBuilder();
        while (position < Source.Length && !(isChoice && Source[position] is ('|' or ']')))
        {
            var c = Source[position++];
            if (c is not ('[' or '{'))
            {
                literal.Append(c);
                continue;
            }
            if (literal.Length > 0) nodes.Add(new Literal(literal.ToString()));
            literal.Clear();
            nodes.Add(c == '[' ? Choices(ref position) : SlotAt(ref position));
        }
        if (literal.Length > 0) nodes.Add(new Literal(literal.ToString()));
        return new Parts([.. nodes]);
    }

    private Choice Choices(ref int position)
    {
        var options = new List<Node>();
        do
        {
            options.Add(Sequence(ref position, isChoice: true));
            if (position == Source.Length) throw new FormatException($"'{Source}' has an open '['.");
        }
        while (Source[position++] == '|');
        return new Choice([.. options]);
    }

    private Slot SlotAt(ref int position)
    {
        var end = Source.IndexOf('}', position);
        if (end < 0) throw new FormatException($"'{Source}' has an open '{{'.");
        var name = Source[position..end];
        position = end + 1;
        return name[0] == '^' ? new Slot(name[1..], true) : new Slot(name, false);
    }

    private readonly record struct Expansion(
        CounterRandom Random, Lexicon Lexicon, Binding Binding, StringBuilder Output);

    private abstract record Node
    {
        public abstract void Expand(in Expansion e);
    }

    private sealed record Literal(string Text) : Node
    {
        public override void Expand(in Expansion e) => e.Output.Append(Text);
    }

    private sealed record Parts(Node[] Nodes) : Node
    {
        public override void Expand(in Expansion e)
        {
            foreach (var node in Nodes) node.Expand(e);
        }
    }

    private sealed record Choice(Node[] Options) : Node
    {
        public override void Expand(in Expansion e) => e.Random.Pick(Options).Expand(e);
    }

    private sealed record Slot(string Name, bool Capital) : Node
    {
        public override void Expand(in Expansion e)
        {
            var text = Name switch
            {
                "T" => e.Binding.Thing,
                "S" => e.Binding.Subject,
                "V" => e.Binding.Value,
                "E" => Marks.Echo + e.Binding.Value + Marks.End,
                "A" => Marks.Answer + e.Binding.Value + Marks.End,
                _ => e.Lexicon.Resolve(Name, e.Random)
                    ?? throw new FormatException($"'{{{Name}}}' is no slot and no category of words."),
            };
            e.Output.Append(Capital ? Lexicon.Capitalised(text) : text);
        }
    }
}

/// <summary>Characters put around the parts of a text whose tokens are of a kind of their own.</summary>
internal static class Marks
{
    public const string Answer = "\u0001";
    public const string Echo = "\u0002";
    public const string End = "\u0003";

    public static string Remove(string marked) =>
        marked.Replace(Answer, "", StringComparison.Ordinal)
            .Replace(Echo, "", StringComparison.Ordinal)
            .Replace(End, "", StringComparison.Ordinal);
}
