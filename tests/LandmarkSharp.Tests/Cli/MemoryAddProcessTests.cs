using System.Diagnostics;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Processes that make memories: killed at any moment, and in little memory.</summary>
public sealed class MemoryAddProcessTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private const int Kills = 8;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task WhateverMomentItIsKilledTheSameCommandGoesOn()
    {
        var (memory, random, cancel) = (folder["a.memory"], new Random(5), TestContext.Current.CancellationToken);
        var text = MadeMemory.Text(60_000);
        string[] command = ["memory", "add", memory, folder.Write("long.txt", text), "--hot", "1MB", "--json", .. Model];
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "create", memory, "--block-type", "int8", .. Model])).Code);
        var (stopped, least) = (0, -1L);
        for (var kill = 0; kill < Kills && stopped == kill; kill++)
        {
            var before = Committed(memory).Sequence;
            using (var process = Start(command))
            {
                // Now in the first segment that it reads, and now after a commit.
                while (!process.HasExited && (kill % 2 == 0 ? new FileInfo(memory).Length == Committed(memory).Bytes : Committed(memory).Sequence == before))
                    await Task.Delay(1, cancel);
                await Task.Delay(random.Next(300), cancel);
                process.Kill();
                await process.WaitForExitAsync(cancel);
            }
            using var file = MemoryFile.Open(memory);
            Assert.Empty(file.Check(cancel));
            var tokens = file.Documents.Sum(d => d.Tokens);
            Assert.True(tokens >= least, $"{tokens} tokens were left of {least}.");
            least = tokens;
            if (file.Documents is not [{ Complete: true }]) stopped++;
        }
        // It has been stopped in the midst of the text, or a kill says nothing.
        Assert.True(stopped > 2 && least > 0, $"{stopped} kills left {least} tokens.");
        var made = (await LandmarkTool.Run(command)).Lines;
        using var engine = LandmarkEngine.Load(model.Path);
        Assert.Equal(engine.Tokenizer.Encode(text, addSpecial: true).Length - least, made[^1].GetProperty("new_tokens").GetInt64());
        using var whole = MemoryFile.Open(memory);
        MadeMemory.Same(engine, whole, "long.txt", text);
    }

    /// <summary>
    /// Of 390 MB of keys and values in six layers there is never more than a layer's, which a pass of a model with random weights may read
    /// all of.
    /// </summary>
    [Fact]
    public async Task BlocksTakeNoMoreMemoryThanTheyMay()
    {
        using var deep = new ToolModel(layers: 6);
        var (memory, peaks) = (folder["a.memory"], new List<long>());
        Assert.Equal(0, (await LandmarkTool.Run("memory", "create", memory, "--model", deep.Path)).Code);
        foreach (var letters in (int[])[1_000, 30_000])
        {
            string[] command = ["memory", "add", memory, folder.Write($"{letters}.txt", MadeMemory.Text(letters)), "--model", deep.Path];
            peaks.Add((await LandmarkTool.Run([.. command, "--hot", "8MiB", "--threads", "1", "--json"])).Lines[^1].GetProperty("peak_rss_mb").GetInt64());
        }
        Assert.True(new FileInfo(memory).Length > 390_000_000);
        Assert.True(peaks[1] - peaks[0] < 150, string.Join(" MB, then ", peaks));
    }

    private string[] Model => ["--model", model.Path, "--threads", "1"];

    private static (long Sequence, long Bytes) Committed(string memory)
    {
        using var file = MemoryFile.Open(memory);
        return (file.Sequence, file.Bytes);
    }

    private static Process Start(string[] arguments) => Process.Start(new ProcessStartInfo(
        "dotnet", [Path.Combine(AppContext.BaseDirectory, "landmark.dll"), .. arguments])
    {
        UseShellExecute = false,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        Environment = { ["OMP_WAIT_POLICY"] = "PASSIVE", ["OMP_NUM_THREADS"] = "1", ["DOTNET_TC_QuickJit"] = "1" },
    })!;
}
