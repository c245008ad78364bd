using System.CommandLine;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Text;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark perplexity</c>: loss per regular token, overall and by position.</summary>
internal sealed class PerplexityCommand : LandmarkCommand
{
    private readonly Option<string?> text = new("--text") { Description = "Text file, or a folder of *.txt files.", HelpName = "PATH" };
    private readonly Option<string?> shards =
        new("--shards") { Description = "Token shards in place of texts; a source is one text, its documents one after the other.", HelpName = "DIR" };
    private readonly Option<string?> source = new("--source") { Description = "The one source of the shards; all when not given.", HelpName = "NAME" };
    private readonly Option<int?> context =
        new("--context") { Description = "Tokens of a context; each text is cut into such. Whole texts when not given.", HelpName = "N" };
    private readonly Option<bool> plain = new("--plain") { Description = "Feed the model its whole context at once, without retrieval." };
    private readonly Option<int?> contexts = new("--contexts") { Description = "Contexts of each text at most.", HelpName = "N" };
    private readonly ModelOptions model = new();

    public PerplexityCommand()
        : base(
            "perplexity", "Measures how well a model predicts texts: loss and perplexity per token, by position.",
            "perplexity --text books/validation --context 16384", "perplexity --text book.txt --context 4096 --plain --json",
            "perplexity --shards tokens/validation --source books --context 2048 --top-k 4 --window 5 --keep-blocks 20")
    {
        foreach (var option in (IEnumerable<Option>)[text, shards, source, context, contexts, plain]) Options.Add(option);
        model.AddTo(this);
        Validators.Add(result =>
        {
            if (result.GetResult(text) is null == result.GetResult(shards) is null)
                result.AddError("Texts come by '--text' or as token shards by '--shards'; give one of them");
            else if (result.GetResult(source) is not null && result.GetResult(shards) is null)
                result.AddError("'--source' names a source of '--shards'; give these, or leave it out");
        });
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (length, most, isPlain) = (parsed.GetValue(context), parsed.GetValue(contexts), parsed.GetValue(plain));
        if (length is < 2) throw new LandmarkException($"A context of {length} tokens predicts nothing; --context must be at least 2.");
        if (most is < 1) throw new LandmarkException($"The number of contexts is {most}; it must be at least 1.");
        if (isPlain) model.RefuseRetrieval(parsed, "--plain");
        var files = parsed.GetValue(text) is { } path ? TextInput.Files(path) : [];
        using var engine = model.Load(parsed);
        using var held = parsed.GetValue(shards) is { } folder ? TokenShards.Open(folder, engine.Tokenizer.Fingerprint) : null;
        TokenSource[] sources = held is null ? []
            : parsed.GetValue(source) is { } name ? [held[name]] : [.. held.Meta.Sources.Select(s => held[s.Name])];
        foreach (var file in files) TextInput.RequireRoom(engine, file, length ?? long.MaxValue);
        foreach (var tokens in sources) engine.RequireRoom(Math.Min(length ?? long.MaxValue, tokens.Count));
        var all = files.Select(f => Contexts(engine, f, length)).Concat(sources.Select(s => Perplexity.Contexts(s, length)))
            .SelectMany(text => text.Take(most ?? int.MaxValue));
        var about = most is { } m && length is { } n ? ((long)files.Count + sources.Length) * m * n
            : files.Sum(TextInput.TokensAbout) + sources.Sum(s => s.Count);
        var result = output.Progress(
            "Scoring", about, progress => Perplexity.Score(isPlain ? engine.Plain() : engine, all, progress, cancel));
        if (result.Tokens == 0)
            throw new LandmarkException(
                $"'{parsed.GetValue(text) ?? parsed.GetValue(shards)}' has too few tokens to predict any; give a longer text.");
        output.Table(["positions", "tokens", "loss", "perplexity"],
            result.Buckets.Select(b => new[] { $"{b.From:N0} to {b.To - 1:N0}", $"{b.Tokens:N0}", $"{b.Loss:F4}", $"{b.Perplexity:F2}" }));
        output.Line($"{result.Tokens:N0} tokens: loss {result.Loss:F4}, perplexity [bold]{result.Value:F2}[/]");
        if (result.DroppedShare is { } share) output.Line($"{share:P1} of the retrievals were dropped for the context-miss token");
        output.Event(new
        {
            result.Tokens,
            result.Loss,
            perplexity = Finite(result.Value),
            context = length,
            top_k = isPlain ? null : engine.Retrieval?.TopK,
            mass = isPlain ? null : engine.Retrieval?.Mass,
            window_blocks = isPlain ? null : engine.Retrieval?.WindowBlocks,
            keep_blocks = engine.Retrieval?.KeepBlocks,
            plain = isPlain,
            miss_cutoff = isPlain ? null : engine.Retrieval?.MissCutoff,
            dropped_retrievals = result.DroppedShare,
            by_position = result.Buckets.Select(b => new { b.From, b.To, b.Tokens, b.Loss, perplexity = Finite(b.Perplexity) }),
        });
        return Tool.Success;
    }

    /// <summary>JSON knows no infinity, which a loss above 709 makes.</summary>
    private static double? Finite(double x) => double.IsFinite(x) ? x : null;

    private static IEnumerable<int[]> Contexts(LandmarkEngine engine, string file, int? length)
    {
        using var reader = TextFile.Open(file);
        foreach (var context in Perplexity.Contexts(engine.Tokenizer, reader, length)) yield return context;
    }
}
