using System.CommandLine;
using LandmarkSharp.Tensors;

namespace LandmarkSharp.Cli.Commands;

/// <summary><c>landmark info</c>: what this machine offers.</summary>
internal sealed class InfoCommand : LandmarkCommand
{
    private readonly Option<string?> libtorch =
        new("--libtorch") { Description = "Folder of another libtorch, such as an installed PyTorch's lib.", HelpName = "DIR" };

    public InfoCommand()
        : base("info", "Shows what was found: processor, memory, libtorch, devices.", "info", "info --libtorch /opt/pytorch/lib --json") =>
        Options.Add(libtorch);

    protected override int Run(ParseResult parsed, Output output, CancellationToken cancel)
    {
        if (parsed.GetValue(libtorch) is { } folder) LibTorch.Load(folder);
        var report = SystemReport.Collect();
        output.Event(report);
        List<string[]> rows =
        [
            ["landmark", typeof(LandmarkException).Assembly.GetName().Version!.ToString(3)],
            ["system", report.OperatingSystem],
            ["processor", $"{report.Processor}, {report.Processors} threads"],
            ["instruction sets", string.Join(" ", report.InstructionSets)],
            ["memory", $"{report.MemoryBytes / 1e9:F1} GB, {report.AvailableMemoryBytes / 1e9:F1} GB free"],
            [".NET", report.DotNet],
            ["libtorch", report.LibTorch is { } version ? $"{version}, {report.Threads} threads" : $"none: {report.LibTorchProblem}"],
            ["libtorch's folder", report.LibTorchFolder ?? "-"],
            ["CUDA driver", report.CudaDriver?.ToString() ?? "none"],
            .. report.CudaDevices.Select(d => new[]
            {
                $"cuda:{d.Index}",
                $"{d.Name}, {d.MemoryBytes / 1e9:F1} GB, compute capability {d.ComputeCapability}, {d.Multiprocessors} processors",
            }),
        ];
        if (report.CudaProblem is { } problem) rows.Add(["CUDA", $"not used: {problem}"]);
        else rows.Add(["CUDA kernels", report.KernelCompiler ?? $"not used: {report.KernelProblem}"]);
        output.Table(["", ""], rows);
        return Tool.Success;
    }
}
