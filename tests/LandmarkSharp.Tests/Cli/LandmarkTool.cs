using System.Diagnostics;
using System.Text;

namespace LandmarkSharp.Tests.Cli;

/// <summary>The built tool, run as people run it: a process of its own.</summary>
internal static class LandmarkTool
{
    /// <summary>Far more than any run takes: one that hangs is to fail, not to hang the tests.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>Runs it on nothing to read.</summary>
    public static Task<ToolRun> Run(params string[] arguments) => RunOn([], arguments);

    /// <summary>Runs it with a text on its standard input.</summary>
    public static Task<ToolRun> RunOn(string input, params string[] arguments) => RunOn(Encoding.UTF8.GetBytes(input), arguments);

    /// <summary>Runs it with bytes on its standard input.</summary>
    public static Task<ToolRun> RunOn(byte[] input, params string[] arguments) => Run([], input, arguments);

    /// <summary>Runs it by another program, which gets the command as its last arguments.</summary>
    public static Task<ToolRun> RunBy(string[] program, params string[] arguments) => Run(program, [], arguments);

    private static async Task<ToolRun> Run(string[] program, byte[] input, string[] arguments)
    {
        string[] command = [.. program, "dotnet", Path.Combine(AppContext.BaseDirectory, "landmark.dll"), .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["OMP_WAIT_POLICY"] = "PASSIVE",
                ["OMP_NUM_THREADS"] = "1",
                ["DOTNET_TC_QuickJit"] = "1",                   // runs this short do not earn back the tool's careful compilation
                ["DOTNET_GCHeapHardLimit"] = "0x18000000",      // a large text does not fit in it: what should be read in pieces is
            },
        };
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(Patience);
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(patience.Token);
            var error = process.StandardError.ReadToEndAsync(patience.Token);
            await Give(process, input);
            await process.WaitForExitAsync(patience.Token);
            return new ToolRun(process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private static async Task Give(Process process, byte[] input)
    {
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading on, as it may.
        }
    }
}
