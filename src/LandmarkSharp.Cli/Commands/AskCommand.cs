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
        new("--text") { Description = "The text: a text file, HTML, EPUB or PDF; standard input when not given.", HelpName = "FILE" };
    private readonly Option<string[]> memory = new("--memory")
    {
        Description = "A memory file to ask in place of a text, as 'landmark memory' makes them; several are read one after the other.",
        HelpName = "FILE",
    };
    private readonly Option<string?> hot = new("--hot")
    {
        Description = "Bytes of the memory's blocks kept in RAM, such as 64MiB; as many as the system likes when not given.",
        HelpName = "BYTES",
    };
    private readonly Option<int[]> focus = new("--focus")
    {
        Description = $"Find the N blocks of the memory that the question reads most, and answer from these alone; {MemoryFocus.Blocks} of more than "
            + $"{MemoryFocus.LongFrom} blocks when not given, and 0 for all. Of several memories, once for all or once for each.",
        HelpName = "N",
    };
    private readonly Option<int> passages =
        new("--passages") { Description = "Passages to show.", DefaultValueFactory = _ => 4, HelpName = "N" };
    private readonly Option<bool> cite = new("--cite")
    {
        Description = "Show these passages in full, each with its place in the text, in tokens and in bytes.",
    };
    private readonly KeptSession kept = new();
    private readonly AnswerTrace trace = new();
    private readonly SamplingOptions sampling = new(64);
    private readonly ModelOptions model = new(asksMemories: true);

    public AskCommand()
        : base(
            "ask", "Answers a question about a text or a memory file, and shows the passages it read.",
            "ask --text notes.txt \"What is the code of the archive?\"", "ask \"Who owns the lighthouse?\" --json < notes.txt",
            "ask --memory books.memory \"Who owns the lighthouse?\" --cite --hot 64MiB",
            "ask --memory library.memory \"Who owns the lighthouse?\" --focus 64",
            "ask --memory books.memory \"And who lived there before?\" --session lighthouses",
            "ask --text notes.txt \"What is the code of the archive?\" --cite --trace archive.jsonl")
    {
        Arguments.Add(question);
        Options.Add(text);
        Options.Add(memory);
        Options.Add(hot);
        Options.Add(focus);
        Options.Add(passages);
        Options.Add(cite);
        kept.AddTo(this);
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
        var folder = model.Folder(parsed);
        // The form in which models of ours are trained to be asked.
        var prompt = $"\n\nQuestion: {asked}\nAnswer:";
        using var about = About(parsed, prompt);
        using var loaded = model.Load(parsed, forFiles: about is ReadMemory);
        var engine = about.Reading(loaded);
        if (cited) AnswerTrace.RequireLandmarks(engine, folder, cite);
        options = trace.Begin(options, engine, folder);

        var clock = Stopwatch.StartNew();
        using var session = about.Begin(engine, output, cancel);
        var whole = session.Blocks - (engine.Config.Landmark is { } l && session.Tokens.Count % l.BlockTokens > 0 ? 1 : 0);
        session.Append(prompt, cancel: cancel);
        var (seconds, first) = (clock.Elapsed.TotalSeconds, (double?)null);
        var (answer, generated) = (new StringBuilder(), 0);
        foreach (var token in session.Generate(options, cancel))
        {
            first ??= clock.Elapsed.TotalSeconds;
            generated++;
            trace.Add(token);
            var piece = answer.Length == 0 ? token.Text.TrimStart() : token.Text;
            answer.Append(piece);
            output.Text(piece);
            if (piece.Length > 0) output.Event(new { @event = "token", text = piece });
        }
        var decoding = clock.Elapsed.TotalSeconds - first;
        output.Text("\n\n");
        // What reaches into the question is read for that, and comes after what is the text's alone.
        var sources = Sources.Of([.. session.Trace.Blocks.OrderBy(b => b.Block >= whole).Take(shown)], blocks => about.Passages(engine, session, blocks, cited));
        if (cited) Sources.Cite(sources, about.IsSeveral, about.IsBeyond, output);
        else Sources.Tell(sources, about.IsSeveral, output);
        if (cited && about is ReadText && sources.Any(s => s.Passage.FirstByte is null))
            Tool.Warn(
                "The tokens do not spell the text byte for byte, so passages have no place in bytes; text in UTF-8 has one with most tokenizers.",
                parsed);
        output.Line($"[grey]{session.Trace.WindowMass,6:P1}  the last tokens and the question[/]");
        if (session.Trace.DroppedShare is { } dropped)
            output.Line($"[grey]{dropped,6:P1}  of the answer's retrievals were dropped for the context-miss token[/]");
        output.Line($"[grey]{about.Tokens:N0} tokens read in {seconds:F1} s[/]");
        if (about.Found is { } found) output.Line($"[grey]answered from the {found:N0} blocks that the question is most about; --focus 0 answers from all[/]");
        var traced = trace.Write(
            engine, session, folder, blocks => about.Passages(engine, session, blocks, placed: true), about.Name, about.Tokens, prompt,
            answer.ToString().Trim());
        if (traced is not null) output.Line($"[grey]The account of every token is in {Markup.Escape(traced)}; 'landmark trace' shows it[/]");
        output.Event(new
        {
            @event = "answer",
            answer = answer.ToString().Trim(),
            tokens = about.Tokens,
            focus = about.Found,
            top_k = engine.Retrieval?.TopK,
            prefill_seconds = Math.Round(seconds, 3),
            first_token_seconds = first is { } time ? Math.Round(time, 3) : (double?)null,
            decode_ms_per_token = generated > 1 ? Math.Round(decoding!.Value * 1e3 / (generated - 1), 3) : (double?)null,
            window_mass = session.Trace.WindowMass,
            keep_blocks = session.Trace.KeepBlocks,
            dropped_retrievals = session.Trace.DroppedShare,
            peak_rss_mb = ProcessMemory.PeakResidentBytes / 1_000_000,
            documents = about is ReadMemory ? session.Rank(passages: 0).Select(d => new { d.Name, memory = d.File, d.Mass }) : null,
            passages = sources.Select(s => Sources.Told(s, cited)),
            trace = traced,
        });
        kept.Save(session, output);
        return Tool.Success;
    }

    /// <summary>The text or the memory that is asked about.</summary>
    private AskedText About(ParseResult parsed, string prompt)
    {
        var (path, paths, again) = (parsed.GetValue(text), parsed.GetValue(memory) ?? [], parsed.GetValue(focus) ?? []);
        kept.Read(parsed, paths);
        if (paths.Length == 0)
            return parsed.GetValue(hot) is not null
                ? throw new LandmarkException("--hot bounds what is kept of a memory file, and a text is kept whole; leave it out, or give --memory.")
                : again.Length > 0 ? throw new LandmarkException("--focus is of a memory file; leave it out, or give --memory.")
                : new ReadText(path);
        if (path is not null) throw new LandmarkException("A question is about a text or a memory; leave out --text or --memory.");
        if (again.Any(n => n < (again.Length > 1 ? 1 : 0)))
            throw new LandmarkException($"--focus {again.Min()} is no number of blocks; give one, or a single 0 to answer from all.");
        if (again.Length > 1 && again.Length != paths.Length)
            throw new LandmarkException($"--focus is given {again.Length} times, and --memory {paths.Length} times; give it once for all, or once for each.");
        if (again is [> 0, ..] && kept.IsAsked) throw new LandmarkException("A session that is kept has read all of the memory; leave out --focus or --session.");
        return new ReadMemory(
            paths, parsed.GetValue(hot) is { } bytes ? ByteSize.Parse(bytes, hot) : null,
            (engine, memory) => kept.IsAsked || again is [0] ? null
                : again.Length > 0 ? engine.Focus(memory, prompt, again)
                : MemoryFocus.Unasked(memory.Blocks) is { } most ? engine.Focus(memory, prompt, most) : null,
            (engine, memory) => kept.Begin(engine, memory, parsed)).Checked();
    }
}
