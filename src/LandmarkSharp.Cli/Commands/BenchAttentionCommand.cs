using System.CommandLine;
using LandmarkSharp.Attention;
using LandmarkSharp.Evaluation;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench attention</c>: landmark attention beside causal attention.</summary>
internal sealed class BenchAttentionCommand : LandmarkCommand
{
    private readonly Option<int[]> tokens = new("--tokens")
    {
        Description = "Positions of the sequence, landmarks counted; several lengths are measured one after another.",
        DefaultValueFactory = _ => [2048],
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly Option<int> heads = BenchOptions.Number("--heads", 8, "Query heads.");
    private readonly Option<int?> groups =
        new("--kv-heads") { Description = "Key-value heads; as many as query heads when not given.", HelpName = "N" };
    private readonly Option<int> width = BenchOptions.Number("--head-dim", 64, "Width of a head.");
    private readonly Option<int> block = BenchOptions.Number("--block", 64, "Positions of a block, its landmark counted.");
    private readonly Option<string> type =
        new("--dtype") { Description = "Type of the tensors.", DefaultValueFactory = _ => "float32", HelpName = "TYPE" };
    private readonly Option<string?> backend =
        new("--backend") { Description = "What computes landmark attention; the fastest when not given.", HelpName = "NAME" };
    private readonly Option<int> repeats = BenchOptions.Number("--repeats", 10, "Runs of each, of which the best counts; on a GPU a run is the mean of ten that are queued.");
    private readonly Option<bool> backward = new("--backward") { Description = "Measure the backward pass too." };
    private readonly Option<bool> errors = new("--errors")
    {
        Description = "Measure no times, but errors against float64, beside those of causal attention in the same type.",
    };
    private readonly DeviceOptions device = new();

    public BenchAttentionCommand()
        : base(
            "attention", "Measures dense landmark attention beside libtorch's causal attention, in turns.",
            "bench attention", "bench attention --tokens 1024 4096 --backward --json", "bench attention --backend Reference",
            "bench attention --tokens 8192 --heads 32 --kv-heads 8 --head-dim 128 --dtype bfloat16 --device cuda",
            "bench attention --tokens 2048 --dtype bfloat16 --backward --errors")
    {
        type.AcceptOnlyFromAmong(BenchOptions.Types.Keys.ToArray());
        backend.AcceptOnlyFromAmong(Enum.GetNames<AttentionBackend>());
        foreach (var option in (IEnumerable<Option>)[tokens, heads, groups, width, block, type, backend, repeats, backward, errors])
            Options.Add(option);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (count, lengths) = (parsed.GetValue(repeats), parsed.GetValue(tokens)!);
        BenchOptions.Check(count, lengths);
        var on = device.Device(parsed);
        var asked = new AttentionCase(
            parsed.GetValue(heads), parsed.GetValue(groups) ?? parsed.GetValue(heads), parsed.GetValue(width), parsed.GetValue(block),
            BenchOptions.Types[parsed.GetValue(type)!],
            parsed.GetValue(backend) is { } name ? Enum.Parse<AttentionBackend>(name) : null);
        var backward = parsed.GetValue(this.backward);
        if (parsed.GetValue(errors))
        {
            if (parsed.GetResult(repeats) is { Implicit: false })
                throw new LandmarkException("--errors measures each result once, so --repeats would do nothing; leave one of them out.");
            Tell([.. lengths.SelectMany(n => AttentionErrors.Run(asked, n, backward, on, cancel))], asked, on, output);
        }
        else
        {
            Tell([.. lengths.SelectMany(n => AttentionBenchmark.Run(asked, n, count, backward, on, cancel))], asked, count, on, output);
        }
        return Tool.Success;
    }

    private static void Tell(AttentionError[] errors, AttentionCase asked, torch.Device on, Output output)
    {
        output.Table(["tokens", "back end", "result", "error", "causal", "ratio"],
            errors.Select(e => new[]
            {
                $"{e.Tokens:N0}", e.Backend.ToString(), e.Result, $"{e.Landmark:G3}", $"{e.Causal:G3}", $"{e.Ratio:F2}",
            }));
        output.Event(new
        {
            device = on.ToString(),
            asked.Heads,
            kv_heads = asked.KeyValueHeads,
            asked.HeadDim,
            asked.Block,
            dtype = TypeName(asked),
            errors = errors.Select(e => new { e.Tokens, backend = e.Backend.ToString(), e.Result, e.Landmark, e.Causal, e.Ratio }),
        });
    }

    private static void Tell(AttentionTiming[] timings, AttentionCase asked, int repeats, torch.Device on, Output output)
    {
        // A row must fit 80 columns.
        output.Table(["tokens", "back end", "pass", "ms", "causal", "ratio", "TFLOP/s", "of peak"],
            timings.Select(t => new[]
            {
                $"{t.Tokens:N0}", t.Backend.ToString(), Pass(t), $"{t.Landmark * 1e3:F2}", $"{t.Causal * 1e3:F2}", $"{t.Ratio:F2}",
                $"{t.Flops / t.Landmark / 1e12:G3}", $"{t.Flops / t.Landmark / t.Peak:P0}",
            }));
        output.Event(new
        {
            device = on.ToString(),
            threads = torch.get_num_threads(),
            asked.Heads,
            kv_heads = asked.KeyValueHeads,
            asked.HeadDim,
            asked.Block,
            dtype = TypeName(asked),
            repeats,
            timings = timings.Select(t => new
            {
                t.Tokens,
                backend = t.Backend.ToString(),
                pass = Pass(t),
                landmark_ms = t.Landmark * 1e3,
                causal_ms = t.Causal * 1e3,
                t.Ratio,
                landmark_gflops = t.Flops / t.Landmark / 1e9,
                causal_gflops = t.Flops / t.Causal / 1e9,
                peak_gflops = t.Peak / 1e9,
            }),
        });
    }

    private static string TypeName(AttentionCase asked) => BenchOptions.Types.First(t => t.Value == asked.Type).Key;

    private static string Pass(AttentionTiming timing) => timing.Backward ? "backward" : "forward";
}
