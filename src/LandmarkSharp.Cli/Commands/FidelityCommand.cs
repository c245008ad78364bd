using System.CommandLine;
using LandmarkSharp.Attention;
using LandmarkSharp.Cli.Charts;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Generation;
using LandmarkSharp.Text;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark fidelity</c>: what reading k blocks loses on a text against reading all of it.</summary>
internal sealed class FidelityCommand : LandmarkCommand
{
    private readonly Option<string> text =
        new("--text") { Description = "Text file, or a folder of *.txt files.", Required = true, HelpName = "PATH" };
    private readonly Option<int[]> topK = new("--top-k")
    {
        Description = "Numbers of blocks read per token, each of which is compared with all blocks.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [1, 2, 4, 8],
        HelpName = "K",
    };
    private readonly Option<int> tokens =
        new("--tokens") { Description = "Tokens of the text that are read, at most.", DefaultValueFactory = _ => 16384, HelpName = "N" };
    private readonly Option<int?> context = new("--context")
    {
        Description = "Tokens of a context; the text is cut into such. As many as the model was trained on when not given.",
        HelpName = "N",
    };
    private readonly Option<double> target = new("--target")
    {
        Description = "The share of the mass, and of the likeliest tokens, for which the smallest k is told.",
        DefaultValueFactory = _ => 0.95,
        HelpName = "X",
    };
    private readonly Option<string?> svg = new("--svg") { Description = "Write the mass by layer as an SVG.", HelpName = "FILE" };
    private readonly ModelOptions model = new(ownTopK: true);

    public FidelityCommand()
        : base(
            "fidelity", "Measures what reading k blocks loses against reading all of a text: attention mass, outputs, predictions.",
            "fidelity --text book.txt", "fidelity --text book.txt --top-k 1 2 4 8 16 --target 0.9 --svg mass.svg",
            "fidelity --text books/validation --context 2048 --select token --json")
    {
        foreach (var option in (IEnumerable<Option>)[text, topK, tokens, context, target, svg]) Options.Add(option);
        model.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (most, given, share) = (parsed.GetValue(tokens), parsed.GetValue(topK)!, parsed.GetValue(target));
        if (most < 2) throw new LandmarkException($"A text of {most} tokens predicts nothing; --tokens must be at least 2.");
        if (parsed.GetValue(context) is < 2 and var n)
            throw new LandmarkException($"A context of {n} tokens predicts nothing; --context must be at least 2.");
        if (share is not (> 0 and <= 1)) throw new LandmarkException($"A share is above 0 and at most 1; --target was given {share}.");
        foreach (var k in given) new RetrievalOptions { TopK = k }.Checked();
        var picture = parsed.GetValue(svg) is { } path ? OutputFile.Checked(path) : null;
        var files = TextInput.Files(parsed.GetValue(text)!);
        using var engine = model.Load(parsed);
        var length = Math.Min(most, parsed.GetValue(context) ?? Trained(engine));
        Warn(engine, length, given.Max(), parsed);
        var fidelity = output.Progress(
            "Reading", most * (1L + given.Distinct().Count()),
            progress => Fidelity.Measure(engine, Contexts(engine, files, length, most), given, progress, cancel));
        var told = new FidelityReport(fidelity, engine, length, share);
        told.Show(output);
        if (picture is not null)
        {
            File.WriteAllText(picture, SvgPlot.Draw(told.Chart));
            output.Text($"Drawn in {picture}.\n");
        }
        return Tool.Success;
    }

    /// <summary>Tokens of the positions that the model was trained on, or of two windows where these take more.</summary>
    private static int Trained(LandmarkEngine engine)
    {
        if (engine.Config.Landmark is not { } landmark) return int.MaxValue;        // it will be refused
        var positions = Math.Max(landmark.TrainContext, 2L * engine.Retrieval!.WindowBlocks * landmark.BlockLength);
        return (int)Math.Min(int.MaxValue, positions * landmark.BlockTokens / landmark.BlockLength) - (engine.Tokenizer.AddsBos ? 1 : 0);
    }

    private static void Warn(LandmarkEngine engine, int length, int mostK, ParseResult parsed)
    {
        if (engine.Config.Landmark is not { } landmark) return;
        var positions = LandmarkStream.CountWithLandmarks(length, landmark.BlockTokens);
        if (positions <= landmark.TrainContext) return;
        Tool.Warn(
            $"Contexts of {length:N0} tokens take {positions:N0} positions, and the model was trained on {landmark.TrainContext:N0}; "
            + "dense attention may read badly there, and to differ from it is then no loss.", parsed);
        ModelOptions.WarnOfSpan(landmark, engine.Retrieval! with { TopK = mostK, KeepBlocks = null }, parsed);
    }

    /// <summary>The texts in contexts, so many tokens of them in all.</summary>
    private static IEnumerable<int[]> Contexts(LandmarkEngine engine, IReadOnlyList<string> files, int length, int most)
    {
        foreach (var file in files)
        {
            using var reader = TextFile.Open(file);
            foreach (var whole in Perplexity.Contexts(engine.Tokenizer, reader, length))
            {
                var some = whole[..Math.Min(most, whole.Length)];
                yield return some;
                if ((most -= some.Length) == 0) yield break;
            }
        }
    }
}
