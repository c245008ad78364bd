using System.CommandLine;
using LandmarkSharp.Generation;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark trace</c>: what an answer was read from, from the file that <c>--trace</c> wrote.</summary>
internal sealed class TraceCommand : LandmarkCommand
{
    private readonly Argument<string> file =
        new("FILE") { Description = "The file that 'landmark ask --trace' or 'landmark generate --trace' wrote." };
    private readonly Option<string?> html = new("--html")
    {
        Description = "Write a page that shows it in a browser, with all that it needs in it.",
        HelpName = "OUT",
    };
    private readonly Option<int> passages =
        new("--passages") { Description = "Passages to show.", DefaultValueFactory = _ => 4, HelpName = "N" };

    public TraceCommand()
        : base(
            "trace", "Shows what an answer was read from: passages, layers, and a page to look through.", "trace archive.jsonl",
            "trace archive.jsonl --html archive.html")
    {
        Arguments.Add(file);
        Options.Add(html);
        Options.Add(passages);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (path, shown) = (parsed.GetValue(file)!, parsed.GetValue(passages));
        if (shown < 0) throw new LandmarkException($"The number of passages is {shown}; it must be 0 or more.");
        var page = parsed.GetValue(html) is { } to ? OutputFile.Checked(to) : null;
        if (page is not null && Path.GetFullPath(page) == Path.GetFullPath(path))
            throw new LandmarkException($"The page would replace the trace '{path}'; give --html another file.");
        var trace = TraceFile.Load(path);
        var header = trace.Header;
        ReadSum Sum(int? layer = null) => ReadSum.Of(header.BlockTokens, trace.Tokens.Select(t => t.Reads), layer);
        var whole = Sum();
        var layers = Enumerable.Range(0, header.Layers).Select(l => (Layer: l, Sum: Sum(l))).ToArray();
        var sources = Sources.Of([.. whole.Blocks.Take(shown)], _ => header.Passages);
        if (page is not null) trace.SavePage(page);

        output.Text($"{header.Answer}\n\n");
        var several = header.Passages.Select(p => p.File).OfType<string>().Distinct().Count() > 1;
        Sources.Cite(sources, several, p => p.Document is null && p.FirstToken + p.Tokens > header.TextTokens, output);
        output.Line(
            $"[grey]{whole.WindowMass:P1} in the window; "
            + $"{header.Passages.Count:N0} of {header.BlockCount:N0} blocks read for {header.Generated:N0} tokens[/]");
        output.Table(["layer", "from memory", "most read", "its share"], layers.Select(l => (string[])
        [
            $"{l.Layer}", $"{1 - l.Sum.WindowMass:P1}",
            .. l.Sum.Blocks is [var most, ..] ? (string[])[$"block {most.Block}", $"{most.Mass:P1}"] : ["-", "-"],
        ]));
        if (page is not null) output.Line($"The page is {Markup.Escape(page)}.");
        output.Event(new
        {
            header.Model,
            header.Text,
            header.Prompt,
            header.Answer,
            header.TextTokens,
            header.BlockCount,
            header.Generated,
            window_mass = whole.WindowMass,
            blocks_read = header.Passages.Count,
            passages = sources.Select(s => Sources.Told(s, cited: true)),
            layers = layers.Select(l => new
            {
                l.Layer,
                window_mass = l.Sum.WindowMass,
                blocks = l.Sum.Blocks.Take(shown).Select(b => new { b.Block, b.Mass }),
            }),
            html = page,
        });
        return Tool.Success;
    }
}
