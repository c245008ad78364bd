using LandmarkSharp.Generation;
using Spectre.Console;

namespace LandmarkSharp.Cli;

/// <summary>The passages an answer was read from, the most read first.</summary>
internal static class Sources
{
    private const int ShortCharacters = 160;

    /// <summary>Pairs the most read blocks with their passages.</summary>
    /// <param name="blocks">Blocks and masses, the most read first.</param>
    /// <param name="find">Gives the passages of blocks.</param>
    public static (double Mass, Passage Passage)[] Of(BlockMass[] blocks, Func<IEnumerable<long>, IReadOnlyList<Passage>> find)
    {
        var passages = find(blocks.Select(b => b.Block)).ToDictionary(p => p.Block);
        return [.. blocks.Select(b => (b.Mass, passages[b.Block]))];
    }

    /// <summary>Tells people: a line of each.</summary>
    /// <param name="sources">The passages.</param>
    /// <param name="ofSeveral">Whether they are of several memories, so that it is told of which.</param>
    /// <param name="output">Where to.</param>
    public static void Tell(IEnumerable<(double Mass, Passage Passage)> sources, bool ofSeveral, Output output)
    {
        foreach (var (mass, passage) in sources)
            output.Line($"[grey]{mass,6:P1}  {Place(passage, ofSeveral)}[/]  {Markup.Escape(Short(passage.Text))}");
    }

    /// <summary>Tells people in full: each numbered, where it stands, and its whole text.</summary>
    /// <param name="sources">The passages.</param>
    /// <param name="ofSeveral">Whether they are of several memories, so that it is told of which.</param>
    /// <param name="isBeyond">Whether one reaches into what was asked after the text.</param>
    /// <param name="output">Where to.</param>
    public static void Cite(IEnumerable<(double Mass, Passage Passage)> sources, bool ofSeveral, Func<Passage, bool> isBeyond, Output output)
    {
        foreach (var (i, (mass, passage)) in sources.Index())
        {
            var bytes = passage.FirstByte is { } first ? $", bytes {first:N0} to {Math.Max(first, first + passage.Bytes - 1):N0}" : "";
            var beyond = isBeyond(passage) ? ", past the text's end" : "";
            output.Line($"[bold][[{i + 1}]][/] [grey]{mass:P1}, {Place(passage, ofSeveral)}{bytes}{beyond}[/]");
            foreach (var line in passage.Text.Trim().Split('\n')) output.Text($"    {line.TrimEnd()}\n");
            output.Text("\n");
        }
    }

    /// <summary>What programs are told of one.</summary>
    /// <param name="source">The passage.</param>
    /// <param name="cited">Whether its place in bytes is told too, where it is known.</param>
    public static object Told((double Mass, Passage Passage) source, bool cited) => new
    {
        source.Passage.Block,
        source.Mass,
        source.Passage.Document,
        memory = source.Passage.File,
        first_token = source.Passage.FirstToken,
        tokens = source.Passage.Tokens,
        first_byte = cited ? source.Passage.FirstByte : null,
        bytes = cited && source.Passage.FirstByte is not null ? source.Passage.Bytes : (int?)null,
        source.Passage.Text,
    };

    /// <summary>A document by its name, for people; with its memory's where it is one of several.</summary>
    public static string Named(string document, string? memory, bool ofSeveral) => Markup.Escape(ofSeveral ? $"{memory}: {document}" : document);

    private static string Place(Passage passage, bool ofSeveral) =>
        (passage.Document is { } name ? $"{Named(name, passage.File, ofSeveral)}, " : "") + $"tokens {passage.FirstToken:N0} to {passage.FirstToken + passage.Tokens - 1:N0}";

    private static string Short(string passage)
    {
        var line = string.Join(' ', passage.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length <= ShortCharacters ? line : line[..ShortCharacters] + "…";
    }
}
