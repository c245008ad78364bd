using System.Diagnostics;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Cli;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>Memory files in several processes: killed ones, readers beside a writer, a second writer, a full disk.</summary>
public sealed class MemoryProcessTests : IDisposable
{
    private const int Kills = 36;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task NothingIsLostWheneverItIsKilled()
    {
        var (path, random, script, unfinished) = (Created(), new Random(3), MemoryChild.Script, 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            var before = Told(path);
            using (var writer = MemoryChild.Start(nameof(MemoryChild.Writes), path, long.MaxValue))
            {
                while (Told(path) == before && !writer.HasExited) Thread.Yield();
                for (var (clock, later) = (Stopwatch.StartNew(), TimeSpan.FromMicroseconds(random.Next(40_000))); clock.Elapsed < later;) Thread.Yield();
                writer.Kill();
                var end = await MemoryChild.End(writer);
                Assert.True(end.Code == 128 + 9, end.Output + end.Error);
            }
            using var file = MemoryFile.Open(path, MemoryScript.SmallModel);
            Assert.True(file.Sequence - Told(path) is 0 or 1, $"{file.Sequence} was found, and {Told(path)} told.");
            script.At(file.Sequence).Same(file);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
            if (new FileInfo(path).Length > file.Bytes || File.Exists(path + ".partial")) unfinished++;
        }
        // It was killed within segments, catalogs and compactions too.
        Assert.True(unfinished > Kills / 6, $"{unfinished}");
        using (var writer = MemoryFileWriter.Open(path)) script.Next(writer);
        Assert.Equal(
            ["a.memory", "a.memory.lock", "a.memory.told"], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName).Order());
    }

    [Fact]
    public async Task ReadersReadWhileAWriterWrites()
    {
        const int last = 400;
        var path = Created();
        var readers = Enumerable.Range(0, 3).Select(_ => MemoryChild.Start(nameof(MemoryChild.Reads), path, last)).ToArray();
        Process[] all = [.. readers, MemoryChild.Start(nameof(MemoryChild.Writes), path, last)];
        foreach (var end in await Task.WhenAll(all.Select(MemoryChild.End))) Assert.True(end.Code == 0, end.Output + end.Error);
        using var file = MemoryFile.Open(path);
        MemoryChild.Script.At(last).Same(file);
    }

    [Fact]
    public async Task AWriterInAnotherProcessIsToldSo()
    {
        var path = Created();
        using (MemoryFileWriter.Open(path)) await Ends(MemoryChild.Start(nameof(MemoryChild.IsRefused), path));
        await Ends(MemoryChild.Start(nameof(MemoryChild.Writes), path, 3));
    }

    [Theory]
    [InlineData(30_000)]
    [InlineData(70_000)]
    public async Task AFullDiskLeavesTheLastCommit(long free)
    {
        var path = Created();
        using (var writer = MemoryFileWriter.Open(path))
            for (var script = MemoryChild.Script; writer.Sequence < 12;) script.Next(writer);
        folder.Write("ballast", new byte[200_000]);
        var end = await SmallDisk.Run(
            folder.Path, free, program => MemoryChild.End(MemoryChild.Start(nameof(MemoryChild.FillsTheDisk), path, 0, program)));
        Assert.True(end.Code == 0, end.Output + end.Error);
        using var file = MemoryFile.Open(path);
        Assert.Empty(file.Check(TestContext.Current.CancellationToken));
    }

    private string Created()
    {
        MemoryFileWriter.Create(folder["a.memory"], MemoryScript.SmallModel, MemoryChild.Type).Dispose();
        return folder["a.memory"];
    }

    private static async Task Ends(Process process)
    {
        var end = await MemoryChild.End(process);
        Assert.True(end.Code == 0, end.Output + end.Error);
    }

    private static long Told(string path)
    {
        var bytes = new byte[sizeof(long)];
        if (!File.Exists(MemoryChild.Told(path))) return 1;
        using var told = File.OpenHandle(MemoryChild.Told(path), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return RandomAccess.Read(told, bytes, 0) == bytes.Length ? BitConverter.ToInt64(bytes) : 1;
    }
}
