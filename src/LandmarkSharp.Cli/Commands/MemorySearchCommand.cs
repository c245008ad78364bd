using System.CommandLine;
using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark memory search</c>: documents ranked by the landmarks that a question scores highest.</summary>
internal sealed class MemorySearchCommand : LandmarkCommand
{
    private readonly Argument<string> text =
        new("TEXT") { Description = "A question, or the beginning of a sentence that a document goes on with." };
    private readonly Argument<string[]> files = new("FILE") { Description = "Memory files.", Arity = ArgumentArity.OneOrMore };
    private readonly Option<int> top = new("--top") { Description = "Documents to show.", DefaultValueFactory = _ => 5, HelpName = "N" };
    private readonly Option<int> passages =
        new("--passages") { Description = "Passages of each to show.", DefaultValueFactory = _ => 1, HelpName = "N" };
    private readonly Option<int?> layer = new("--layer")
    {
        Description = "The layer alone that ranks, from 0; the last third of them when not given.",
        HelpName = "N",
    };
    private readonly Option<int?> head = new("--head") { Description = "The query head alone that ranks, from 0; all when not given.", HelpName = "N" };
    private readonly MemoryModelOptions model = new(reads: true);

    public MemorySearchCommand()
        : base(
            "search", "Ranks documents of memory files by the landmarks that a text's last tokens score highest.",
            "memory search \"Who owns the lighthouse?\" books.memory", "memory search \"The lighthouse is owned by\" books.memory --top 3 --passages 2 --json")
    {
        Arguments.Add(text);
        Arguments.Add(files);
        foreach (var option in (IEnumerable<Option>)[top, passages, layer, head]) Options.Add(option);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (asked, paths, shown) = (parsed.GetValue(text)!, parsed.GetValue(files)!, parsed.GetValue(top));
        var several = paths.Length > 1;
        if (shown < 1) throw new LandmarkException($"The number of documents is {shown}; it must be 1 or more.");
        ReadMemory.Check(paths);
        using var engine = model.LoadEngine(parsed);
        var clock = Stopwatch.StartNew();
        using var memory = engine.OpenMemory(paths);
        var options = new SearchOptions { Passages = parsed.GetValue(passages), Layer = parsed.GetValue(layer), Head = parsed.GetValue(head) };
        RankedDocument[] found = [.. engine.Search(memory, asked, options, cancel).Take(shown)];
        foreach (var (i, document) in found.Index())
        {
            output.Line($"[bold][[{i + 1}]][/] {Sources.Named(document.Name, document.File, several)} [grey]{document.Mass:P1}[/]");
            Sources.Tell(document.Passages.Select(p => (p.Mass, p.Passage)), several, output);
        }
        if (found.Length == 0) output.Line("Nothing was read of the documents.");
        output.Event(new
        {
            documents = found.Select(d => new { d.Name, memory = d.File, d.Mass, passages = d.Passages.Select(p => Sources.Told((p.Mass, p.Passage), cited: true)) }),
            of = memory.Documents.Count,
            seconds = Math.Round(clock.Elapsed.TotalSeconds, 3),
        });
        return Tool.Success;
    }
}
