using System.Diagnostics;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Cli;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>What other processes do with a memory file; each is one of these, run alone by the tests' own program.</summary>
public sealed class MemoryChild
{
    private const string PathVariable = "LANDMARK_TEST_MEMORY", CommitVariable = "LANDMARK_TEST_COMMIT";

    internal const ScalarType Type = ScalarType.Int8;

    private static string File => Environment.GetEnvironmentVariable(PathVariable)!;

    private static long Commit => long.Parse(Environment.GetEnvironmentVariable(CommitVariable)!);

    /// <summary>The life of the file that all of them know.</summary>
    internal static MemoryScript Script => new(MemoryScript.SmallModel, Type, 77);

    /// <summary>Where a writer tells which commit it has made.</summary>
    internal static string Told(string path) => path + ".told";

    /// <summary>Goes on with the file's life up to a commit.</summary>
    [Fact(Explicit = true)]
    public void Writes()
    {
        var script = Script;
        using var told = System.IO.File.OpenHandle(Told(File), FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        using var writer = MemoryFileWriter.Open(File);
        while (writer.Sequence < Commit)
        {
            script.Next(writer);
            RandomAccess.Write(told, BitConverter.GetBytes(writer.Sequence), 0);
        }
    }

    /// <summary>Reads all of every commit that it meets, up to the last.</summary>
    [Fact(Explicit = true)]
    public void Reads()
    {
        var (script, file, met) = (Script, MemoryFile.Open(File), 0);
        while (true)
        {
            script.At(file.Sequence).Same(file);
            met++;
            if (file.Sequence >= Commit) break;
            MemoryFile newer;
            while (ReferenceEquals(newer = file.Refreshed(), file)) Thread.Yield();
            Assert.True(newer.Sequence > file.Sequence);
            file.Dispose();
            file = newer;
        }
        file.Dispose();
        Assert.True(met > 10, $"{met}");
    }

    /// <summary>Would write, and may not.</summary>
    [Fact(Explicit = true)]
    public void IsRefused() => Refusals.Says(() => MemoryFileWriter.Open(File), "is being written by another writer");

    /// <summary>Adds until the disk is full, looks at what is left, and goes on when there is room again.</summary>
    [Fact(Explicit = true)]
    public void FillsTheDisk()
    {
        using var writer = MemoryFileWriter.Open(File);
        var (store, commit) = (Script.At(writer.Sequence), writer.Sequence);
        Refusals.Says(() => Add("large", 1 << 20, writer), "the disk is full");           // within a segment
        using (var file = MemoryFile.Open(File)) store.Same(file);
        Add("lost", 0, writer);
        Refusals.Says(() => Commits(writer), "the disk is full");
        using (var file = MemoryFile.Open(File))
        {
            Assert.True(file.Sequence > commit);
            Assert.Equal((writer.Sequence, new FileInfo(File).Length), (file.Sequence, file.Bytes));
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
        }
        Refusals.Says(() => writer.Compact(), "the disk is full");
        Assert.False(System.IO.File.Exists(File + ".partial"));
        System.IO.File.Delete(Path.Combine(Path.GetDirectoryName(File)!, "ballast"));
        writer.Documents.Remove("lost0");
        writer.Compact();
        using var after = MemoryFile.Open(File);
        Assert.Empty(after.Check(TestContext.Current.CancellationToken));
        Assert.DoesNotContain(after.Documents, d => d.Name == "lost0");
    }

    // A name in the catalog takes room too, so that a commit comes to be what finds none.
    private static void Commits(MemoryFileWriter writer)
    {
        for (var i = 0; ; i++)
        {
            writer.Documents.Add($"lost{i}");
            writer.Commit();
        }
    }

    private static void Add(string name, int bytes, MemoryFileWriter writer)
    {
        writer.Documents.Add(name);
        writer.Documents.Append(name, new SegmentText([1], [0], new byte[bytes]), _ => { });
    }

    /// <summary>Starts a process that does one of these.</summary>
    /// <param name="what">The name of the method.</param>
    /// <param name="path">The memory file.</param>
    /// <param name="commit">Up to which commit.</param>
    /// <param name="program">What it is to be run by, if by anything.</param>
    internal static Process Start(string what, string path, long commit = 0, params string[] program)
    {
        string[] command =
        [
            .. program, Path.Combine(AppContext.BaseDirectory, "LandmarkSharp.Tests"),
            "--explicit", "only", "--filter-method", $"*.{nameof(MemoryChild)}.{what}",
        ];
        return Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { [PathVariable] = path, [CommitVariable] = $"{commit}", ["DOTNET_TC_QuickJit"] = "1" },
        })!;
    }

    /// <summary>Waits for its end.</summary>
    internal static async Task<ToolRun> End(Process process)
    {
        using (process)
        {
            var cancel = TestContext.Current.CancellationToken;
            var (output, error) = (process.StandardOutput.ReadToEndAsync(cancel), process.StandardError.ReadToEndAsync(cancel));
            await process.WaitForExitAsync(cancel);
            return new ToolRun(process.ExitCode, await output, await error);
        }
    }
}
