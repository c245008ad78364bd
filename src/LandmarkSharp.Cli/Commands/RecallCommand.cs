using System.CommandLine;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Text;
using LandmarkSharp.Training;
using LandmarkSharp.Training.Tasks;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark recall</c>: facts asked back in wordings that no model of ours was trained on.</summary>
internal sealed class RecallCommand : LandmarkCommand
{
    private readonly ModelOptions model = new();
    private readonly TrialOptions trials = new(tokens: 32768, trials: 10);
    private readonly Option<string?> text =
        new("--text") { Description = "Text file or folder for the filler; the grass-is-green line when not given.", HelpName = "PATH" };

    private readonly Option<string[]> family = new("--family")
    {
        Description = $"What is asked: {Names}; may be given several times. All but chain and pair when not given.",
        HelpName = "NAME",
    };

    public RecallCommand()
        : base(
            "recall", "Hides a fact among others of its kind in a long text and asks for it, in wordings kept out of training.",
            "recall --tokens 32768 --trials 50", "recall --tokens 4096 --text books/validation --json",
            "recall --tokens 32768 --trials 60 --family chain")
    {
        trials.AddTo(this);
        Options.Add(text);
        Options.Add(family);
        model.AddTo(this);
    }

    /// <summary>The families that have kinds kept out of training, by the names that recipes have for them.</summary>
    private static Dictionary<string, TaskFamily> Families { get; } =
        RetrievalPrompt.Families(TaskSplit.HeldOut).ToDictionary(TrialReport.Name, StringComparer.Ordinal);

    private static string Names => $"{string.Join(", ", Families.Keys.SkipLast(1))} or {Families.Keys.Last()}";

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var asked = trials.Read(parsed);
        if (asked.WindowOnly) model.RefuseRetrieval(parsed, "--window-only");
        TaskFamily[]? families = parsed.GetValue(family) is { Length: > 0 } names ? [.. names.Select(Family)] : null;
        var files = parsed.GetValue(text) is { } path ? TextInput.Files(path) : null;
        using var engine = model.Load(parsed);
        var encoder = new FragmentEncoder(t => engine.Tokenizer.Encode(t));
        using var filler = files is null ? null : TokenSource.FromTokens(Tokens(engine.Tokenizer, files));
        var tasks = new RetrievalTasks(encoder, filler is null ? [] : [filler], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        var test = new RetrievalTest(engine, asked.WindowOnly);
        return TrialReport.Run(output, engine, asked, (trial, progress) =>
        {
            var prompt = RetrievalPrompt.Create(
                tasks, asked.Tokens, asked.Seed, trial, filler is null ? FillerKind.Grass : FillerKind.Books, asked.Depth, families);
            return test.Recall(prompt, trial, progress, cancel);
        });
    }

    private static TaskFamily Family(string name) => Families.TryGetValue(name, out var found)
        ? found
        : throw new LandmarkException($"No facts of the family '{name}' are kept out of training; --family takes {Names}.");

    /// <summary>The filler's tokens: of more text than this, trials see a small part, and reading it takes minutes.</summary>
    private static int[] Tokens(Tokenizer tokenizer, IReadOnlyList<string> files)
    {
        const int most = 1 << 24;
        List<int> tokens = [];
        foreach (var file in files)
        {
            using var reader = TextFile.Open(file);
            foreach (var piece in tokenizer.EncodePieces(reader).TakeWhile(_ => tokens.Count < most)) tokens.AddRange(piece);
        }
        return [.. tokens];
    }
}
