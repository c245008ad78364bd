using System.CommandLine;
using System.Diagnostics;
using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Tensors;
using Spectre.Console;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark ask</c>: a question about a text of any length, and the passages the answer was read from.</summary>
internal sealed class AskCommand : LandmarkCommand
{
    private const int PassageCharacters = 160;

    private readonly Argument<string> question = new("QUESTION") { Description = "The question." };
    private readonly Option<string?> text =
        new("--text") { Description = "The text file; standard input when not given.", HelpName = "FILE" };
    private readonly Option<int> passages =
        new("--passages") { Description = "Passages to show.", DefaultValueFactory = _ => 4, HelpName = "N" };
    private readonly SamplingOptions sampling = new(64);
    private readonly ModelOptions model = new();

    public AskCommand()
        : base(
            "ask", "Answers a question about a text, and shows the passages it read.",
            "ask --text notes.txt \"What is the code of the archive?\"", "ask \"Who owns the lighthouse?\" --json < notes.txt")
    {
        Arguments.Add(question);
        Options.Add(text);
        Options.Add(passages);
        sampling.AddTo(this);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var asked = parsed.GetValue(question)!.Trim();
        var shown = parsed.GetValue(passages);
        if (shown < 0) throw new LandmarkException($"The number of passages is {shown}; it must be 0 or more.");
        if (asked.Length == 0) throw new LandmarkException("The question is empty; write it in quotes.");
        var options = sampling.Read(parsed, "\n");
        var path = parsed.GetValue(text);
        using var reader = TextInput.Open(path);
        using var engine = model.Load(parsed);
        TextInput.RequireRoom(engine, path);
        using var session = engine.NewSession();

        var clock = Stopwatch.StartNew();
        output.Progress("Reading", TextInput.TokensAbout(path), progress =>
        {
            session.Append(reader, progress, cancel);
            return 0;
        });
        var read = session.Tokens.Count;
        if (read == 0) throw new LandmarkException("The text is empty; give a text to ask about.");
        // The form in which models of ours are trained to be asked.
        session.Append($"\n\nQuestion: {asked}\nAnswer:", cancel: cancel);
        var seconds = clock.Elapsed.TotalSeconds;
        var answer = new StringBuilder();
        foreach (var token in session.Generate(options, cancel))
        {
            var piece = answer.Length == 0 ? token.Text.TrimStart() : token.Text;
            answer.Append(piece);
            output.Text(piece);
            if (piece.Length > 0) output.Event(new { @event = "token", text = piece });
        }
        output.Text("\n\n");
        var sources = session.Trace.Blocks.Take(shown).Select(b => (Block: b, Text: Passage(engine, session, b))).ToArray();
        foreach (var (block, passage) in sources)
            output.Line(
                $"[grey]{block.Mass,6:P1}  "
                + $"tokens {block.FirstToken:N0} to {block.FirstToken + block.TokenCount - 1:N0}[/]  {Markup.Escape(Short(passage))}");
        output.Line($"[grey]{session.Trace.WindowMass,6:P1}  the last tokens and the question[/]");
        if (session.Trace.DroppedShare is { } dropped)
            output.Line($"[grey]{dropped,6:P1}  of the answer's retrievals were dropped for the context-miss token[/]");
        output.Line($"[grey]{read:N0} tokens read in {seconds:F1} s[/]");
        output.Event(new
        {
            @event = "answer",
            answer = answer.ToString().Trim(),
            tokens = read,
            prefill_seconds = Math.Round(seconds, 3),
            window_mass = session.Trace.WindowMass,
            keep_blocks = session.Trace.KeepBlocks,
            dropped_retrievals = session.Trace.DroppedShare,
            peak_rss_mb = ProcessMemory.PeakResidentBytes / 1_000_000,
            passages = sources.Select(
                s => new { s.Block.Block, s.Block.Mass, first_token = s.Block.FirstToken, tokens = s.Block.TokenCount, s.Text }),
        });
        return Tool.Success;
    }

    private static string Passage(LandmarkEngine engine, Session session, BlockMass block) =>
        engine.Tokenizer.Decode(session.Tokens.Skip((int)block.FirstToken).Take(block.TokenCount).ToArray());

    private static string Short(string passage)
    {
        var line = string.Join(' ', passage.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length <= PassageCharacters ? line : line[..PassageCharacters] + "…";
    }
}
