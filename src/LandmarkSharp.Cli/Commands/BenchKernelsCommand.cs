using System.CommandLine;
using LandmarkSharp.Evaluation;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark bench kernels</c>: how long the first use of a model on a card waits for its kernels.</summary>
internal sealed class BenchKernelsCommand : LandmarkCommand
{
    private readonly DecodeCaseOptions shape = new("bfloat16");
    private readonly DeviceOptions device = new();

    public BenchKernelsCommand()
        : base(
            "kernels", "Makes ready all kernels that training, reading and decoding need, and says how long it took: compiled, or from the cache (an empty LANDMARK_CACHE folder has none).",
            "bench kernels", "bench kernels --head-dim 64 --block 51 --dtype float16 --json")
    {
        shape.AddTo(this);
        device.AddTo(this);
    }

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        var on = device.Device(parsed);
        var prepared = KernelBenchmark.Run(shape.Read(parsed), on);
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
