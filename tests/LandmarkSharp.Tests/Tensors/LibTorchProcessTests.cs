using System.Diagnostics;
using LandmarkSharp.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Tensors;

/// <summary>What happens in a fresh process: a libtorch can be chosen there.</summary>
public sealed class LibTorchProcessTests
{
    [Fact]
    public async Task TheEnvironmentsLibTorchIsLoadedAndNoOther()
    {
        using var folder = new TemporaryFolder();
        var lib = Directory.CreateDirectory(folder["lib"]).FullName;
        foreach (var file in Directory.EnumerateFiles(LibTorch.Location))
            File.CreateSymbolicLink(Path.Combine(lib, Path.GetFileName(file)), file);
        var (code, output) = await Run(nameof(FreshProcess), folder.Path);
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task TorchSharpAloneFindsLibTorchToo()
    {
        var (code, output) = await Run(nameof(FreshProcessWithoutLoad), "");
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task TheFirstFailureGivesTheLinkersReason()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["libtorch_cpu.so"], "");
        File.WriteAllText(folder["libc10.so"], "no library");
        var (code, output) = await Run(nameof(FreshProcessWithBrokenLibrary), folder.Path);
        Assert.True(code == 0, output);
    }

    [Fact(Explicit = true)]
    public void FreshProcessWithBrokenLibrary()
    {
        var e = Assert.Throws<LandmarkException>(() => LibTorch.Load());
        Assert.Contains("libc10.so: file too short", e.Message, StringComparison.Ordinal);
    }

    [Fact(Explicit = true)]
    public void FreshProcess()
    {
        var wanted = Environment.GetEnvironmentVariable(LibTorch.DirectoryVariable)!;
        LibTorch.Load();
        Assert.Equal(6f, Aten.RmsNorm(ones(2, 3), ones(3), 0).sum().item<float>(), 1e-6);
        Assert.Equal(Path.Combine(wanted, "lib"), LibTorch.Location);
        CheckOneCopy();
    }

    [Fact(Explicit = true)]
    public void FreshProcessWithoutLoad()
    {
        Assert.Equal(4f, ones(2, 2).sum().item<float>());
        LibTorch.Load();
        Assert.Equal(LibTorchFolders.BesideProgram(), LibTorch.Location);
        CheckOneCopy();
    }

    private static void CheckOneCopy() =>
        Assert.Single(File.ReadLines("/proc/self/maps")
            .Where(line => line.EndsWith("/libtorch_cpu.so", StringComparison.Ordinal))
            .Select(line => line[line.IndexOf('/', StringComparison.Ordinal)..])
            .Distinct(StringComparer.Ordinal));

    private static async Task<(int Code, string Output)> Run(string method, string directory)
    {
        var program = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "LandmarkSharp.Tests"))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { [LibTorch.DirectoryVariable] = directory },
            ArgumentList = { "--explicit", "only", "--filter-method", $"*.{nameof(LibTorchProcessTests)}.{method}" },
        };
        using var process = Process.Start(program)!;
        var output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output + await error);
    }
}
