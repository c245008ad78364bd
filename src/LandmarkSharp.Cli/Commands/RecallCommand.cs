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

    public RecallCommand()
        : base(
            "recall", "Hides a fact among others of its kind in a long text and asks for it, in wordings kept out of training.",
            "recall --tokens 32768 --trials 50", "recall --tokens 4096 --text books/validation --json")
    {
        trials.AddTo(this);
        Options.Add(text);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var asked = trials.Read(parsed);
        if (asked.WindowOnly) model.RefuseRetrieval(parsed, "--window-only");
        var files = parsed.GetValue(text) is { } path ? TextInput.Files(path) : null;
        using var engine = model.Load(parsed);
        var encoder = new FragmentEncoder(t => engine.Tokenizer.Encode(t));
        using var filler = files is null ? null : TokenSource.FromTokens(Tokens(engine.Tokenizer, files));
        var tasks = new RetrievalTasks(encoder, filler is null ? [] : [filler], new RetrievalTaskOptions { Split = TaskSplit.HeldOut });
        var test = new RetrievalTest(engine, asked.WindowOnly);
        return TrialReport.Run(output, engine, asked, (trial, progress) =>
        {
            var prompt = RetrievalPrompt.Create(
                tasks, asked.Tokens, asked.Seed, trial, filler is null ? FillerKind.Grass : FillerKind.Books, asked.Depth);
            return test.Recall(prompt, trial, progress, cancel);
        });
    }

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
