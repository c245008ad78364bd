using System.CommandLine;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Text;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark perplexity</c>: loss per regular token, overall and by position.</summary>
internal sealed class PerplexityCommand : LandmarkCommand
{
    private readonly Option<string> text =
        new("--text") { Description = "Text file, or a folder of *.txt files.", Required = true, HelpName = "PATH" };
    private readonly Option<int?> context =
        new("--context") { Description = "Tokens of a context; each text is cut into such. Whole texts when not given.", HelpName = "N" };
    private readonly Option<bool> plain = new("--plain") { Description = "Feed the model its whole context at once, without retrieval." };
    private readonly Option<int?> contexts = new("--contexts") { Description = "Contexts of each text at most.", HelpName = "N" };
    private readonly ModelOptions model = new();

    public PerplexityCommand()
        : base(
            "perplexity", "Measures how well a model predicts texts: loss and perplexity per token, by position.",
            "perplexity --text books/validation --context 16384", "perplexity --text book.txt --context 4096 --plain --json")
    {
        foreach (var option in (IEnumerable<Option>)[text, context, contexts, plain]) Options.Add(option);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (path, length, most, isPlain) =
            (parsed.GetValue(text)!, parsed.GetValue(context), parsed.GetValue(contexts), parsed.GetValue(plain));
        if (length is < 2) throw new LandmarkException($"A context of {length} tokens predicts nothing; --context must be at least 2.");
        if (most is < 1) throw new LandmarkException($"The number of contexts is {most}; it must be at least 1.");
        if (isPlain) model.RefuseRetrieval(parsed, "--plain");
        var files = TextInput.Files(path);
        using var engine = model.Load(parsed);
        foreach (var file in files) TextInput.RequireRoom(engine, file, length ?? long.MaxValue);
        var all = Contexts(engine, files, length, most);
        var about = most is { } m && length is { } n ? (long)files.Count * m * n : files.Sum(TextInput.TokensAbout);
        var result = output.Progress(
            "Scoring", about, progress => Perplexity.Score(isPlain ? engine.Plain() : engine, all, progress, cancel));
        if (result.Tokens == 0) throw new LandmarkException($"'{path}' has too few tokens to predict any; give a longer text.");
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
            plain = isPlain,
            miss_cutoff = isPlain ? null : engine.Retrieval?.MissCutoff,
            dropped_retrievals = result.DroppedShare,
            by_position = result.Buckets.Select(b => new { b.From, b.To, b.Tokens, b.Loss, perplexity = Finite(b.Perplexity) }),
        });
        return Tool.Success;
    }

    /// <summary>JSON knows no infinity, which a loss above 709 makes.</summary>
    private static double? Finite(double x) => double.IsFinite(x) ? x : null;

    private static IEnumerable<int[]> Contexts(LandmarkEngine engine, IReadOnlyList<string> files, int? length, int? most)
    {
        foreach (var file in files)
        {
            using var reader = TextFile.Open(file);
            foreach (var context in Perplexity.Contexts(engine.Tokenizer, reader, length).Take(most ?? int.MaxValue)) yield return context;
        }
    }
}
