using LandmarkSharp.Models;
using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Cli;

/// <summary>A disk that is full: one sentence, nothing lost, and the same command goes on when there is room.</summary>
public sealed class FullDiskTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    // A checkpoint of the tiny model takes some 240 KB, a model for use 50 KB.
    [Theory]
    [InlineData(500_000, "--save-every 4", "optimizer/model.safetensors cannot be written: the disk is full")]
    [InlineData(110_000, "--validate-every 2", "best-00000004.partial/model.safetensors cannot be written: the disk is full")]
    [InlineData(45_000, "--report-every 1", "cannot be written: the disk is full")]
    public async Task ARunGoesOnWhenThereIsRoom(long free, string options, string part)
    {
        File.WriteAllText(tiny["recipe.json"], (Recipe with { Steps = 40 }).ToJson());
        Directory.CreateDirectory(tiny["run"]);
        string[] command = Train("run", options);
        Fails(await SmallDisk.Run(tiny["run"], free, command), part);

        var before = new TrainingCheckpoints(tiny["run"]).LatestWhole();
        Assert.Empty(Directory.EnumerateDirectories(tiny["run"], "*.partial"));
        foreach (var best in Directory.EnumerateDirectories(tiny["run"], "best-*")) Checkpoint.Load(best, CPU).Dispose();
        if (options.Contains("--validate", StringComparison.Ordinal)) Assert.Equal(2, BestModel.Of(tiny["run"])!.Step);
        Assert.Contains(RunFolder.Read(tiny["run"]).State, (RunState[])[RunState.Failed, RunState.Killed]);     // if there was room to say so
        if (options.Contains("--save", StringComparison.Ordinal)) Assert.Equal(4, before!.Value.Step);
        Assert.Equal(0, (await LandmarkTool.Run(command)).Code);
        Assert.Equal(0, (await LandmarkTool.Run(Train("whole", options))).Code);
        Assert.Equal(tiny.Metrics("whole"), tiny.Metrics("run"));
        SameModel("whole", "run");
    }

    [Fact]
    public async Task AFinishedModelIsWrittenWhenThereIsRoom()
    {
        File.WriteAllText(tiny["recipe.json"], (Recipe with { Steps = 4 }).ToJson());
        Assert.Equal(0, (await LandmarkTool.Run(Train("run", ""))).Code);
        Directory.Move(Path.Combine(tiny["run"], "model"), tiny["before"]);
        Fails(await SmallDisk.Run(tiny["run"], 30_000, Train("run", "")), "model.safetensors cannot be written: the disk is full");
        Assert.False(Directory.Exists(Path.Combine(tiny["run"], "model.partial")));
        Assert.Equal(0, (await LandmarkTool.Run(Train("run", ""))).Code);
        Assert.Equal(FolderState.Of(tiny["before"]), FolderState.Of(Path.Combine(tiny["run"], "model")));
    }

    [Fact]
    public async Task ShardsThatWereThereStay()
    {
        var before = FolderState.Of(tiny.Shards);
        string[] command =
            ["tokenizer", "shards", "--tokenizer", tiny.Tokenizer, "--out", tiny.Shards, "--source", "train=" + tiny["train.txt"]];
        Fails(await SmallDisk.Run(tiny.Shards, 40_000, command), "train.bin.partial cannot be written: the disk is full");
        Assert.Equal(before, FolderState.Of(tiny.Shards));
        Assert.Equal(0, (await LandmarkTool.Run(command)).Code);
        Assert.Equal(before, FolderState.Of(tiny.Shards));
    }

    [Fact]
    public async Task AdaptersAndMergedModelsLeaveNothing()
    {
        using var from = new BaseFolder(tiny, "llama");
        File.WriteAllText(tiny["lora.json"], BaseFolder.Recipe(more: ", \"lora\": {\"rank\": 2, \"alpha\": 4}"));
        string[] tune = ["finetune", tiny["lora.json"], "--model", from.Path, "--shards", from.Shards, "--out", tiny["tuned"]];
        Assert.Equal(0, (await LandmarkTool.Run(tune)).Code);
        var adapter = Path.Combine(tiny["tuned"], "adapter");
        var before = FolderState.Of(adapter);
        Directory.Delete(adapter, recursive: true);
        Fails(await SmallDisk.Run(tiny["tuned"], 4_096, tune), "cannot be written: the disk is full");
        Assert.False(Directory.Exists(adapter + ".partial"));
        Assert.Equal(0, (await LandmarkTool.Run(tune)).Code);
        Assert.Equal(before, FolderState.Of(adapter));

        Directory.CreateDirectory(tiny["disk"]);
        string[] merge = ["weights", "merge", "--base", from.Path, "--adapter", adapter, "--out", Path.Combine(tiny["disk"], "merged")];
        Fails(await SmallDisk.Run(tiny["disk"], 8_192, merge), "model.safetensors cannot be written: the disk is full");
        Assert.Empty(Directory.EnumerateFileSystemEntries(tiny["disk"]));
        Assert.Equal(0, (await LandmarkTool.Run(merge)).Code);
        Checkpoint.Load(Path.Combine(tiny["disk"], "merged"), CPU).Dispose();
    }

    /// <summary>What an account may write is limited likewise, and the signal that says so is not the process's end.</summary>
    [Fact]
    public async Task AFileThatMayNotBeSoLargeIsNamed()
    {
        Fails(
            await LandmarkTool.RunBy(
                ["env", "DOTNET_EnableWriteXorExecute=0", "sh", "-c", "ulimit -f 100; exec \"$@\"", "sh"],
                "weights", "diff", "--base", model.Path, "--tuned", model.Path, "--out", tiny["difference"]),
            "model.safetensors cannot be written: files that large are not allowed there");
        Assert.False(Directory.Exists(tiny["difference"]));
        Assert.False(Directory.Exists(tiny["difference.partial"]));
    }

    private static TrainingOptions Recipe => TinyRun.Recipe with { Stages = [new() { Window = 64, Rows = 2, TaskShare = 0 }], TopK = 1, WindowBlocks = 1 };

    private string[] Train(string output, string options) =>
    [
        "train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards, "--validation", tiny.Validation,
        "--sample-every", "0", "--out", tiny[output], .. options.Split(' ', StringSplitOptions.RemoveEmptyEntries),
    ];

    // Of a run, what it told before the disk was full is no matter.
    private static void Fails(ToolRun run, string part) => (run with { Output = "" }).Says(part);

    private void SameModel(string one, string other) => Assert.Equal(
        FolderState.Of(Path.Combine(tiny[one], "model")), FolderState.Of(Path.Combine(tiny[other], "model")));
}
