using System.CommandLine;
using LandmarkSharp.Evaluation;
using TorchSharp;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench decode</c>: what a new token's attention costs at a length.</summary>
internal sealed class BenchDecodeCommand : LandmarkCommand
{
    private readonly Option<int[]> tokens = new("--tokens")
    {
        Description = "Positions that are held, landmarks counted; several lengths are measured one after another.",
        DefaultValueFactory = _ => [32768],
        AllowMultipleArgumentsPerToken = true,
        HelpName = "N",
    };
    private readonly DecodeCaseOptions shape = new("float32");
    private readonly Option<string?> blockType = new("--block-type")
    {
        Description = "Type of past keys and values: float32, bfloat16 or int8; as --dtype when not given.",
        HelpName = "TYPE",
    };
    private readonly Option<int?> dropped = new("--dropped")
    {
        Description = "Key-value heads for which a context-miss token drops the retrieval; no such token when not given.",
        HelpName = "N",
    };
    private readonly Option<double?> mass = new("--mass")
    {
        Description = "Reads fewer than k blocks where fewer have this share of the landmarks' mass; of sharp queries.",
        HelpName = "X",
    };
    private readonly Option<bool> hostBlocks = new("--host-blocks") { Description = "Keys and values lie in this machine's memory, pinned, and a card reads them over the bus." };
    private readonly Option<int> repeats = BenchOptions.Number("--repeats", 200, "Steps that are measured; on a GPU their average counts, on the CPU their median.");
    private readonly Option<bool> noDense = new("--no-dense") { Description = "Leave out libtorch's attention over all positions." };
    private readonly DeviceOptions device = new();

    public BenchDecodeCommand()
        : base(
            "decode", "Measures a new token's attention in one layer beside libtorch's over all positions.",
            "bench decode", "bench decode --tokens 4096 32768 --heads 8 --kv-heads 2 --head-dim 64 --json",
            "bench decode --tokens 131072 --dropped 4", "bench decode --tokens 131072 --mass 0.9", "bench decode --tokens 32768 131072 1048576 --dtype bfloat16 --device cuda")
    {
        Options.Add(tokens);
        shape.AddTo(this);
        foreach (var option in (IEnumerable<Option>)[blockType, hostBlocks, dropped, mass, repeats, noDense])
            Options.Add(option);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var (count, lengths) = (parsed.GetValue(repeats), parsed.GetValue(tokens)!);
        BenchOptions.Check(count, lengths);
        var on = device.Device(parsed);
        var asked = shape.Read(parsed, ModelOptions.BlockType(parsed.GetValue(blockType))) with
        {
            Dropped = parsed.GetValue(dropped),
            Mass = parsed.GetValue(mass),
            HostBlocks = parsed.GetValue(hostBlocks),
        };
        var benchmark = new DecodeBenchmark(on);
        DecodeTiming[] timings = [.. lengths.Select(n =>
        {
            cancel.ThrowIfCancellationRequested();
            return benchmark.Run(asked, n, count, !parsed.GetValue(noDense), cancel);
        })];
        // A row must fit 80 columns.
        output.Table(["tokens", "back end", "us", "queueing", "GB/s", "of peak", "dense us", "GB/s"],
            timings.Select(t => new[]
            {
                $"{t.Tokens:N0}", t.Backend, Micro(t.Retrieved.Seconds), t.Retrieved.IsHostBound ? Micro(t.Retrieved.HostSeconds) : "-",
                $"{t.Retrieved.Bandwidth / 1e9:N0}", $"{100 * t.Retrieved.OfPeak:F0} %",
                t.Dense is { } d ? Micro(d.Seconds) : "-", t.Dense is { } e ? $"{e.Bandwidth / 1e9:N0}" : "-",
            }));
        var peaks = string.Join(", ", timings.Select(t => $"{t.Retrieved.PeakBandwidth / 1e9:N0}"));
        output.Line($"Peak: {peaks} GB/s, by the sum of a large tensor; on the CPU read in turns with the steps.");
        if (asked.Mass is not null)
            output.Line($"Read: {string.Join(", ", timings.Select(t => $"{t.BlocksRead:F1}"))} blocks of {asked.TopK} for each key-value head.");
        output.Event(new
        {
            device = on.ToString(),
            threads = torch.get_num_threads(),
            asked.Heads,
            kv_heads = asked.KeyValueHeads,
            asked.HeadDim,
            asked.TopK,
            asked.Block,
            dtype = shape.Type(parsed),
            block_type = parsed.GetValue(blockType) ?? shape.Type(parsed),
            host_blocks = asked.HostBlocks,
            dropped = asked.Dropped,
            mass = asked.Mass,
            repeats = count,
            timings = timings.Select(t => new
            {
                t.Tokens,
                backend = t.Backend,
                microseconds = t.Retrieved.Seconds * 1e6,
                queueing_microseconds = t.Retrieved.HostSeconds * 1e6,
                gb_per_second = t.Retrieved.Bandwidth / 1e9,
                peak_gb_per_second = t.Retrieved.PeakBandwidth / 1e9,
                percent_of_peak = 100 * t.Retrieved.OfPeak,
                blocks_read = t.BlocksRead,
                dense_microseconds = t.Dense?.Seconds * 1e6,
                dense_gb_per_second = t.Dense?.Bandwidth / 1e9,
            }),
        });
        return Tool.Success;
    }

    private static string Micro(double seconds) => $"{seconds * 1e6:N1}";
}
