using System.CommandLine;
using System.Diagnostics;
using System.Text;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark generate</c>: goes on with a text.</summary>
internal sealed class GenerateCommand : LandmarkCommand
{
    private readonly Argument<string?> prompt = new("PROMPT") { Description = "The text to go on with.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> text = new("--text")
    {
        Description = "A file to go on with; standard input when neither is given. The prompt follows it.",
        HelpName = "FILE",
    };
    private readonly AnswerTrace trace = new();
    private readonly SamplingOptions sampling = new(128);
    private readonly ModelOptions model = new();

    public GenerateCommand()
        : base(
            "generate", "Goes on with a text.",
            "generate \"It was a dark night, and\" --temperature 0.8 --top-p 0.95 --seed 3", "generate --text book.txt --max-tokens 200")
    {
        Arguments.Add(prompt);
        Options.Add(text);
        trace.AddTo(this);
        sampling.AddTo(this);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var options = sampling.Read(parsed);
        var (begin, path) = (parsed.GetValue(prompt), parsed.GetValue(text));
        trace.Read(parsed);
        using var source = path is not null || begin is null ? new PlacedText(path) : null;
        if (source is null && string.IsNullOrWhiteSpace(begin))
            throw new LandmarkException("The text is empty; give something to go on with.");
        using var engine = model.Load(parsed);
        options = trace.Begin(options, engine, model.Folder(parsed));
        if (source is not null) TextInput.RequireRoom(engine, path);
        using var session = engine.NewSession();
        var clock = Stopwatch.StartNew();
        if (source is not null)
        {
            output.Progress("Reading", TextInput.TokensAbout(path), progress =>
            {
                session.Append(source.Reader, progress, cancel);
                return 0;
            });
        }
        var ofText = session.Tokens.Count;
        if (!string.IsNullOrEmpty(begin)) session.Append(begin, cancel: cancel);
        if (session.Tokens.Count == 0) throw new LandmarkException("The text is empty; give something to go on with.");
        var (read, prefill) = (session.Tokens.Count, clock.Elapsed.TotalSeconds);
        var said = new StringBuilder();
        Generation.FinishReason? finish = null;
        foreach (var token in session.Generate(options, cancel))
        {
            trace.Add(token);
            finish = token.Finish;
            said.Append(token.Text);
            output.Text(token.Text);
            if (token.Text.Length > 0) output.Event(new { @event = "token", text = token.Text });
        }
        output.Text("\n");
        var generated = session.Tokens.Count - read;
        var traced = trace.Write(
            engine, session, model.Folder(parsed),
            blocks => source?.Passages(engine, session.Tokens, ofText, blocks)
                ?? [.. engine.Passages(session.Tokens, blocks).Select(p => p with { FirstByte = null, FirstCharacter = null })],
            TextInput.IsFile(path) ? path : null, ofText, begin ?? "", said.ToString());
        output.Event(new
        {
            @event = "end",
            text = said.ToString(),
            finish = finish?.ToString().ToLowerInvariant(),
            prompt_tokens = read,
            generated_tokens = generated,
            prefill_seconds = Math.Round(prefill, 3),
            decode_seconds = Math.Round(clock.Elapsed.TotalSeconds - prefill, 3),
            peak_rss_mb = ProcessMemory.PeakResidentBytes / 1_000_000,
            trace = traced,
        });
        return Tool.Success;
    }
}
