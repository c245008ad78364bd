using System.Diagnostics;

namespace LandmarkSharp.Tests.Cli;

/// <summary>The tool at work in a folder that is a disk of its own, as small as a test needs.</summary>
internal static class SmallDisk
{
    // The disk is the process's alone and goes with it: what the folder has is copied onto it, and what is left copied back.
    private const string Script = """
        folder=$1; size=$2; shift 2
        mkdir "$folder.aside" && cp -a "$folder/." "$folder.aside" && mount -t tmpfs -o size="$size" none "$folder" || exit 99
        cp -a "$folder.aside/." "$folder" || exit 99
        "$@"
        code=$?
        rm -rf "$folder.aside" && cp -a "$folder" "$folder.aside" && exit $code
        exit 99
        """;

    /// <summary>Runs the tool while a folder is a disk.</summary>
    /// <param name="folder">The folder, which is there.</param>
    /// <param name="free">Bytes that are free beside what the folder has.</param>
    /// <param name="arguments">The tool's.</param>
    public static Task<ToolRun> Run(string folder, long free, params string[] arguments) =>
        Run(folder, free, program => LandmarkTool.RunBy(program, arguments));

    /// <summary>Runs any program while a folder is a disk.</summary>
    /// <param name="folder">The folder, which is there.</param>
    /// <param name="free">Bytes that are free beside what the folder has.</param>
    /// <param name="run">Runs it by another program, which gets the command as its last arguments.</param>
    public static async Task<ToolRun> Run(string folder, long free, Func<string[], Task<ToolRun>> run)
    {
        if (!await MayMount()) Assert.Skip("This machine lets no user mount a disk of his own.");
        var size = free + FileBytes(folder);
        var done = await run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", Script, "sh", folder, $"{size}"]);
        Assert.NotEqual(99, done.Code);
        Directory.Delete(folder, recursive: true);
        Directory.Move(folder + ".aside", folder);
        return done;
    }

    // In pages, and one for each folder.
    private static long FileBytes(string folder) => new DirectoryInfo(folder).EnumerateFileSystemInfos("*", SearchOption.AllDirectories)
        .Sum(e => e is FileInfo file ? (file.Length + 4095) / 4096 * 4096 : 0) + (1 << 14);

    private static async Task<bool> MayMount()
    {
        using var test = new TemporaryFolder();
        using var process = Process.Start(
            "unshare", ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", test.Path]);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return process.ExitCode == 0;
    }
}
