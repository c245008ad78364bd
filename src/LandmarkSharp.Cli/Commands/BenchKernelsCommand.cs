using System.CommandLine;
using LandmarkSharp.Evaluation;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench kernels</c>: how long the first use of a model on a card waits for its kernels.</summary>
internal sealed class BenchKernelsCommand : LandmarkCommand
{
    private readonly Option<int> heads = BenchOptions.Number("--heads", 32, "Query heads.");
    private readonly Option<int> groups = BenchOptions.Number("--kv-heads", 8, "Key-value heads.");
    private readonly Option<int> width = BenchOptions.Number("--head-dim", 128, "Width of a head.");
    private readonly Option<int> topK = BenchOptions.Number("--top-k", 16, "Blocks read before the window.");
    private readonly Option<int> block = BenchOptions.Number("--block", 64, "Positions of a block, its landmark counted.");
    private readonly Option<string> type =
        new("--dtype") { Description = "Type of the tensors.", DefaultValueFactory = _ => "bfloat16", HelpName = "TYPE" };
    private readonly DeviceOptions device = new();

    public BenchKernelsCommand()
        : base(
            "kernels", "Makes ready all kernels that training, reading and decoding need, and says how long it took: compiled, or from the cache (an empty LANDMARK_CACHE folder has none).",
            "bench kernels", "bench kernels --head-dim 64 --block 51 --dtype float16 --json")
    {
        type.AcceptOnlyFromAmong(BenchOptions.Types.Keys.ToArray());
        foreach (var option in (IEnumerable<Option>)[heads, groups, width, topK, block, type])
            Options.Add(option);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var on = device.Device(parsed);
        var prepared = KernelBenchmark.Run(
            new DecodeCase(
                parsed.GetValue(heads), parsed.GetValue(groups), parsed.GetValue(width), parsed.GetValue(topK), parsed.GetValue(block),
                BenchOptions.Types[parsed.GetValue(type)!]),
            on);
        output.Table(["source", "made", "ms"], prepared.Select(p => new[]
        {
            p.Source, p.IsCompiled ? "compiled" : "from the cache", $"{p.Time.TotalMilliseconds:N0}",
        }));
        var total = prepared.Sum(p => p.Time.TotalSeconds);
        output.Line($"Together: {total:F2} s.");
        output.Event(new
        {
            device = on.ToString(),
            seconds = total,
            sources = prepared.Select(p => new { p.Source, compiled = p.IsCompiled, seconds = p.Time.TotalSeconds }),
        });
        return Tool.Success;
    }
}
