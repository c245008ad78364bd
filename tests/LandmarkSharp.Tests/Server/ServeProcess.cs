using System.Diagnostics;
using LandmarkSharp.Tests.Cli;

namespace LandmarkSharp.Tests.Server;

/// <summary><c>landmark serve</c> as a process of its own.</summary>
internal sealed class ServeProcess : IAsyncDisposable
{
    private readonly Process process;
    private readonly Task<string> notes;

    private ServeProcess(Process process)
    {
        (this.process, notes) = (process, process.StandardError.ReadToEndAsync());
        var listening = ToolRun.Parse(process.StandardOutput.ReadLine()!);
        Address = new Uri(listening.GetProperty("address").GetString()!);
        Memories = listening.TryGetProperty("memories", out var folder) ? folder.GetString() : null;
    }

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>The process's number.</summary>
    public int Id => process.Id;

    /// <summary>Where its memories are; null where it has none.</summary>
    public string? Memories { get; }

    /// <summary>Starts it on a port that is free, for a user who has no keys and memories but those given.</summary>
    public static ServeProcess Start(params string[] options) =>
        StartFor("/nowhere", [.. options.Contains("--memories") ? [] : (string[])["--memories", "none"], .. options]);

    /// <summary>Starts it on a port that is free, for a user whose data are in a folder.</summary>
    public static ServeProcess StartFor(string data, params string[] options) => new(Process.Start(
        new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "landmark"), ["serve", "--port", "0", "--json", .. options])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["OMP_WAIT_POLICY"] = "PASSIVE", ["DOTNET_TC_QuickJit"] = "1", ["XDG_CONFIG_HOME"] = "/nowhere", ["XDG_DATA_HOME"] = data,
            },
        })!);

    /// <summary>Asks it to stop, and waits until it has.</summary>
    /// <returns>Its exit code, and what it noted.</returns>
    public async Task<(int Code, string Notes)> Stop()
    {
        using (var kill = Process.Start("sh", ["-c", $"kill -TERM {process.Id}"])) await kill.WaitForExitAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(1));
        return (process.ExitCode, await notes);
    }

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
