using System.CommandLine;
using LandmarkSharp.Evaluation;
using LandmarkSharp.Training;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench training</c>: how fast a recipe trains here.</summary>
internal sealed class BenchTrainingCommand : LandmarkCommand
{
    private readonly Option<string> recipe =
        new("--recipe") { Description = "The recipe, a JSON file; its first stage is measured, without tasks.", Required = true, HelpName = "FILE" };
    private readonly Option<int> vocabulary = BenchOptions.Number("--vocabulary", 50257, "Tokens of the tokenizer; GPT-2's when not given.");
    private readonly Option<int?> rows = new("--rows") { Description = "Rows of a batch; as the recipe says when not given.", HelpName = "N" };
    private readonly Option<int?> accumulate =
        new("--accumulate") { Description = "Batches of a step; as the recipe says when not given.", HelpName = "N" };
    private readonly Option<int?> baseBits = new("--base-bits")
    {
        Description = "Bits of the frozen weights of a recipe with lora, 16, 8 or 4; as the recipe says when not given.",
        HelpName = "N",
    };
    private readonly Option<int> steps = BenchOptions.Number("--steps", 20, "Steps that are measured, after as many that are not.");
    private readonly Option<bool> noPlain = new("--no-plain") { Description = "Leave out the same model without landmarks." };
    private readonly DeviceOptions device = new();

    public BenchTrainingCommand()
        : base(
            "training", "Measures whole training steps of a recipe, with random weights and tokens, beside those of the same model without landmarks.",
            "bench training --recipe models/paper-202m.json --device cuda",
            "bench training --recipe models/paper-202m.json --rows 64 --accumulate 1 --device cuda --json",
            "bench training --recipe models/lora-1b.json --vocabulary 32000 --base-bits 4 --steps 5 --device cuda",
            "bench training --recipe recipe.json --vocabulary 4096 --rows 2 --steps 3 --no-plain")
    {
        foreach (var option in (IEnumerable<Option>)[recipe, vocabulary, rows, accumulate, baseBits, steps, noPlain])
            Options.Add(option);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (count, tokens) = (parsed.GetValue(steps), parsed.GetValue(vocabulary));
        if (count < 1 || tokens < 1) throw new LandmarkException($"There are {count} steps and {tokens} tokens; --steps and --vocabulary must be at least 1.");
        var on = device.Device(parsed);
        var read = TrainingOptions.Load(parsed.GetValue(recipe)!);
        var first = read.Stages[0];
        var bits = parsed.GetValue(baseBits);
        if (bits is not null && read.Lora is null)
            throw new LandmarkException("--base-bits is for weights beside an adapter, and the recipe has no lora; add the field, or leave the option out.");
        var options = read with
        {
            Lora = bits is null ? read.Lora : read.Lora! with { BaseBits = bits.Value },
            Stages = [first with { TaskShare = 0, Rows = parsed.GetValue(rows) ?? first.Rows, Accumulate = parsed.GetValue(accumulate) ?? first.Accumulate }],
        };
        var stage = options.Stages[0];
        var own = TrainingBenchmark.Run(options, tokens, count, on, cancel);
        // Memory that was reserved once stays so: of the second model there is nothing to tell. There is no adapter without landmarks.
        var plain = parsed.GetValue(noPlain) || options.BlockTokens == 0 || options.Lora is not null
            ? null
            : TrainingBenchmark.Run(Plain(options), tokens, count, on, cancel);
        (string Name, TrainingTiming Timing)[] timings =
            plain is null ? [(options.BlockTokens == 0 ? "plain" : "landmark", own)] : [("landmark", own), ("plain", plain)];

        var adapter = options.Lora is { } lora ? $" (an adapter of {own.Trained / 1e6:F1} M beside weights in {lora.BaseBits} bits)" : "";
        output.Line($"{own.Parameters / 1e6:F1} M parameters{adapter}, {stage.Accumulate} x {stage.Rows} rows of {stage.Window} positions a step, on {on}");
        // A row must fit 80 columns.
        output.Table(["model", "ms", "positions/s", "TFLOP/s", "of peak", "forward", "backward", "AdamW"],
            timings.Select(t => new[]
            {
                t.Name, $"{t.Timing.Seconds * 1e3:N1}", $"{t.Timing.PositionsPerSecond:N0}", $"{t.Timing.FlopsPerSecond / 1e12:G3}",
                t.Timing.Peak is { } peak ? $"{t.Timing.FlopsPerSecond / peak:P0}" : "-",
                Milliseconds(t.Timing.Parts.Forward), Milliseconds(t.Timing.Parts.Backward), Milliseconds(t.Timing.Parts.Optimizer),
            }));
        output.Line($"Memory: {own.Bytes / 1e9:N2} GB. Forward, backward and AdamW are milliseconds of a step, each waited for.");
        output.Event(new
        {
            device = on.ToString(),
            threads = torch.get_num_threads(),
            own.Parameters,
            own.Trained,
            base_bits = options.Lora?.BaseBits,
            stage.Rows,
            stage.Window,
            stage.Accumulate,
            steps = count,
            memory_bytes = own.Bytes,
            timings = timings.Select(t => new
            {
                model = t.Name,
                step_ms = t.Timing.Seconds * 1e3,
                positions_per_second = t.Timing.PositionsPerSecond,
                tflops_per_second = t.Timing.FlopsPerSecond / 1e12,
                percent_of_peak = 100 * t.Timing.FlopsPerSecond / t.Timing.Peak,
                forward_ms = t.Timing.Parts.Forward * 1e3,
                backward_ms = t.Timing.Parts.Backward * 1e3,
                optimizer_ms = t.Timing.Parts.Optimizer * 1e3,
            }),
        });
        return Tool.Success;
    }

    private static TrainingOptions Plain(TrainingOptions options) =>
        options with { BlockTokens = 0, Documents = DocumentPacking.Joined, PositionJump = 0, GroupDropout = 0, ContextMiss = 0 };

    private static string Milliseconds(double seconds) => $"{seconds * 1e3:N1}";
}
