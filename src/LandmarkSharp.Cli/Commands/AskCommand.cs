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
    private readonly Argument<string> question = new("QUESTION") { Description = "The question." };
    private readonly Option<string?> text =
        new("--text") { Description = "The text file; standard input when not given.", HelpName = "FILE" };
    private readonly Option<int> passages =
        new("--passages") { Description = "Passages to show.", DefaultValueFactory = _ => 4, HelpName = "N" };
    private readonly Option<bool> cite = new("--cite")
    {
        Description = "Show these passages in full, each with its place in the text, in tokens and in bytes.",
    };
    private readonly AnswerTrace trace = new();
    private readonly SamplingOptions sampling = new(64);
    private readonly ModelOptions model = new();

    public AskCommand()
        : base(
            "ask", "Answers a question about a text, and shows the passages it read.",
            "ask --text notes.txt \"What is the code of the archive?\"", "ask \"Who owns the lighthouse?\" --json < notes.txt",
            "ask --text notes.txt \"What is the code of the archive?\" --cite --trace archive.jsonl")
    {
        Arguments.Add(question);
        Options.Add(text);
        Options.Add(passages);
        Options.Add(cite);
        trace.AddTo(this);
        sampling.AddTo(this);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var asked = parsed.GetValue(question)!.Trim();
        var (shown, cited) = (parsed.GetValue(passages), parsed.GetValue(cite));
        if (shown < 0) throw new LandmarkException($"The number of passages is {shown}; it must be 0 or more.");
        if (cited && shown == 0) throw new LandmarkException("--passages 0 shows none, so --cite would do nothing; leave one of them out.");
        if (asked.Length == 0) throw new LandmarkException("The question is empty; write it in quotes.");
        var options = sampling.Read(parsed, "\n");
        trace.Read(parsed);
        var (path, folder) = (parsed.GetValue(text), model.Folder(parsed));
        using var source = new PlacedText(path);
        using var engine = model.Load(parsed);
        if (cited) AnswerTrace.RequireLandmarks(engine, folder, cite);
        options = trace.Begin(options, engine, folder);
        TextInput.RequireRoom(engine, path);
        using var session = engine.NewSession();

        var clock = Stopwatch.StartNew();
        output.Progress("Reading", TextInput.TokensAbout(path), progress =>
        {
            session.Append(source.Reader, progress, cancel);
            return 0;
        });
        var read = session.Tokens.Count;
        if (read == 0) throw new LandmarkException("The text is empty; give a text to ask about.");
        // The form in which models of ours are trained to be asked.
        var prompt = $"\n\nQuestion: {asked}\nAnswer:";
        session.Append(prompt, cancel: cancel);
        var seconds = clock.Elapsed.TotalSeconds;
        var answer = new StringBuilder();
        foreach (var token in session.Generate(options, cancel))
        {
            trace.Add(token);
            var piece = answer.Length == 0 ? token.Text.TrimStart() : token.Text;
            answer.Append(piece);
            output.Text(piece);
            if (piece.Length > 0) output.Event(new { @event = "token", text = piece });
        }
        output.Text("\n\n");
        var sources = Sources.Of(
            [.. session.Trace.Blocks.Take(shown)],
            blocks => cited ? source.Passages(engine, session.Tokens, read, blocks) : engine.Passages(session.Tokens, blocks));
        if (cited) Sources.Cite(sources, read, output);
        else Sources.Tell(sources, output);
        if (cited && sources.Any(s => s.Passage.FirstByte is null))
            Tool.Warn(
                "The tokens do not spell the text byte for byte, so passages have no place in bytes; text in UTF-8 has one with most tokenizers.",
                parsed);
        output.Line($"[grey]{session.Trace.WindowMass,6:P1}  the last tokens and the question[/]");
        if (session.Trace.DroppedShare is { } dropped)
            output.Line($"[grey]{dropped,6:P1}  of the answer's retrievals were dropped for the context-miss token[/]");
        output.Line($"[grey]{read:N0} tokens read in {seconds:F1} s[/]");
        var traced = trace.Write(engine, session, folder, source, TextInput.IsFile(path) ? path : null, read, prompt, answer.ToString().Trim());
        if (traced is not null) output.Line($"[grey]The account of every token is in {Markup.Escape(traced)}; 'landmark trace' shows it[/]");
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
            passages = sources.Select(s => Sources.Told(s, cited)),
            trace = traced,
        });
        return Tool.Success;
    }
}
