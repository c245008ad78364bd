using System.Diagnostics;
using System.Text;

namespace LandmarkSharp.Tests.Training.Distributed;

/// <summary>The built tool in several processes, started by <c>mpirun</c>.</summary>
internal sealed class Mpirun
{
    /// <summary>Far more than any run takes: processes that wait for each other forever are to fail, not to hang the tests.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process process;

    private Mpirun(Process process) => this.process = process;

    /// <summary>Skips a test where there is no Open MPI.</summary>
    public static void Needed() => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, "mpirun"))),
        "mpirun is not there: install openmpi-bin.");

    /// <summary>Runs two processes alike.</summary>
    /// <param name="onLine">Told each line of output.</param>
    /// <param name="arguments">The tool's.</param>
    public static Task<(int Code, string Output, string Error)> Two(Action<string, Mpirun>? onLine, params string[] arguments) =>
        Run(onLine, ["-np", "2", Tool, .. arguments]);

    /// <summary>Runs two processes that are given something else each.</summary>
    public static Task<(int Code, string Output, string Error)> Each(string[] first, string[] second) =>
        Run(null, ["-np", "1", Tool, .. first, ":", "-np", "1", Tool, .. second]);

    /// <summary>Sends one of the processes a signal.</summary>
    /// <param name="signal">Its name, as in TERM.</param>
    /// <param name="rank">The process's number.</param>
    public void Signal(string signal, int rank)
    {
        var place = $"OMPI_COMM_WORLD_RANK={rank}";
        var found = Directory.EnumerateDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _)).Single(IsIt);
        using var kill = Process.Start("sh", ["-c", $"kill -{signal} {Path.GetFileName(found)}"]);
        kill.WaitForExit();

        bool IsIt(string folder)
        {
            try
            {
                // "pid (name) state parent …", and variables with zeros between.
                var parent = File.ReadAllText(Path.Combine(folder, "stat")).Split(')')[^1].Split(' ')[2];
                return parent == $"{process.Id}" && File.ReadAllText(Path.Combine(folder, "environ")).Split('\0').Contains(place);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;       // gone, or not ours
            }
        }
    }

    private static string Tool => Path.Combine(AppContext.BaseDirectory, "landmark");

    private static async Task<(int Code, string Output, string Error)> Run(Action<string, Mpirun>? onLine, string[] arguments)
    {
        var start = new ProcessStartInfo("mpirun")
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["OMP_NUM_THREADS"] = "1",
                ["OMPI_ALLOW_RUN_AS_ROOT"] = "1",
                ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1",
            },
        };
        // Other tests run beside.
        foreach (var argument in (string[])["--oversubscribe", "--bind-to", "none", .. arguments])
            start.ArgumentList.Add(argument);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(Patience);
        using var process = Process.Start(start)!;
        try
        {
            process.StandardInput.Close();
            var error = process.StandardError.ReadToEndAsync(patience.Token);
            var output = new StringBuilder();
            while (await process.StandardOutput.ReadLineAsync(patience.Token) is { } line)
            {
                output.AppendLine(line);
                onLine?.Invoke(line, new Mpirun(process));
            }
            await process.WaitForExitAsync(patience.Token);
            return (process.ExitCode, output.ToString(), await error);
        }
        finally
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
        }
    }
}
