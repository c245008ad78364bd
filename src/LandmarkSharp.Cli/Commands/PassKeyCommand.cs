using System.CommandLine;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Training;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark passkey</c>: the paper's test, a key in a text of any length.</summary>
internal sealed class PassKeyCommand : LandmarkCommand
{
    private readonly ModelOptions model = new();
    private readonly TrialOptions trials = new(tokens: 32768, trials: 1);

    public PassKeyCommand()
        : base(
            "passkey", "Hides a pass key in a long text and asks for it.",
            "passkey --tokens 32768", "passkey --tokens 4096 --trials 50 --json", "passkey --tokens 131072 --depth 0.25 --seed 7",
            "passkey --tokens 16384 --trials 50 --window-only")
    {
        trials.AddTo(this);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var asked = trials.Read(parsed);
        if (asked.WindowOnly) model.RefuseRetrieval(parsed, "--window-only");
        using var engine = model.Load(parsed);
        var encoder = new FragmentEncoder(text => engine.Tokenizer.Encode(text));
        var test = new RetrievalTest(engine, asked.WindowOnly);
        return TrialReport.Run(output, engine, asked, (trial, progress) =>
            test.PassKey(encoder, asked.Tokens, asked.Seed, trial, asked.Depth, progress, cancel));
    }
}
