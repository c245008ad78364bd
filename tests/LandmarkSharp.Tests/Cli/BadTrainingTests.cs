using LandmarkSharp.Tests.Training;
using LandmarkSharp.Training;

namespace LandmarkSharp.Tests.Cli;

/// <summary><c>landmark train</c> and <c>landmark tokenizer shards</c> given what does not fit: nothing that was there is lost.</summary>
public sealed class BadTrainingTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task ABrokenRecipeIsRefused()
    {
        await Fails("""{"steps": 1""", "is not JSON");
        await Fails("", "is not JSON");
        await Fails("null", "is empty");
        await Fails("""{"sources": {"train": 1}, "stages": [{}], "stepz": 5}""", "has a field 'stepz' that is unknown");
        await Fails("""{"sources": {"train": 1}, "stages": [{}], "steps": "many"}""", "'steps'");
        await Fails("""{"sources": {"train": 1}, "stages": []}""", "from_step 0");
        await Fails("""{"sources": {"elsewhere": 1}, "stages": [{"task_share": 0}]}""", "The token shards have no source 'elsewhere'");

        // A tenth of an exabyte; and retrieval tasks that need a longer window.
        await Fails((TinyRun.Recipe with { HiddenSize = 100_000_000, IntermediateSize = 100_000_000 }).ToJson(), "not enough memory");
        await Fails((TinyRun.Recipe with { Stages = [new TrainingStage { Window = 64, Rows = 2, TaskShare = 1 }] }).ToJson(),
            "a retrieval task needs 256");

        async Task Fails(string recipe, string part)
        {
            File.WriteAllText(tiny["recipe.json"], recipe);
            (await Train("new", "--json")).SaysAsJson(part);
            Assert.False(Directory.Exists(Path.Combine(tiny["new"], "model")));
        }
    }

    [Fact]
    public async Task WhatIsNotThereOrDoesNotFitIsNamed()
    {
        File.WriteAllText(tiny["recipe.json"], TinyRun.Recipe.ToJson());
        (await LandmarkTool.Run("train", tiny["nowhere.json"], "--tokenizer", tiny.Tokenizer,
            "--shards", tiny.Shards, "--out", tiny["new"])).Says("There is no recipe");
        (await LandmarkTool.Run("train", tiny["recipe.json"], "--tokenizer", tiny["nowhere"],
            "--shards", tiny.Shards, "--out", tiny["new"])).Says("There is no tokenizer");
        (await LandmarkTool.Run("train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer,
            "--shards", tiny["nowhere"], "--out", tiny["new"])).Says("There are no token shards");
        (await LandmarkTool.Run(
            "train", tiny["recipe.json"], "--tokenizer", ShippedModel.Folder,
            "--shards", tiny.Shards, "--out", tiny["new"]))
            .Says("were made with another tokenizer");
        (await Train("new", "--validation", tiny["nowhere"])).Says("There are no token shards");
        (await Train("new", "--from", tiny["nowhere"])).Says("is no model folder");
        (await Train("new", "--from", model.Path)).Says("has num_key_value_heads");
        (await Train("new", "--from", ShippedModel.Folder))
            .Says("was trained with another tokenizer");
        (await Train("new", "--limit", "-1")).Says("The limit is -1 seconds");
        (await Train("new", "--limit", "NaN")).Says("The limit is NaN seconds");
        (await Train("new", "--limit", "1e300")).Says("The limit is 1E+300 seconds");
        File.WriteAllText(Path.Combine(tiny.Shards, "train.bin"), "short");
        (await Train("new")).Says("make the shards again");
        File.WriteAllText(Path.Combine(tiny.Shards, "tokens.json"),
            """{"vocabulary": "v", "layout": 2, "bytes_per_token": 2, "end_of_text": 2, "sources": [{}]}""");
        (await Train("new")).Says("does not describe token shards");
        Assert.False(Directory.Exists(tiny["new"]));
    }

    [Fact]
    public async Task DamagedShardsAreNamed()
    {
        File.WriteAllText(tiny["recipe.json"], (TinyRun.Recipe with { Documents = DocumentPacking.Separate }).ToJson());
        var (tokens, starts) = (Path.Combine(tiny.Shards, "train.bin"), Path.Combine(tiny.Shards, "train.docs"));
        var (ids, places) = (File.ReadAllBytes(tokens), File.ReadAllBytes(starts));

        File.WriteAllBytes(tokens, [.. ids.Select(_ => (byte)0xff)]);
        Fails(await Train("new"), "has one that is not among the tokenizer's");
        File.WriteAllBytes(tokens, ids);
        File.WriteAllBytes(starts, [.. places.Select(_ => (byte)0xff)]);
        Fails(await Train("new"), "would start at token -1 of");
        File.Delete(starts);
        Fails(await Train("new"), "train.docs has gone");
        Directory.CreateDirectory(starts);
        Fails(await Train("new"), "train.docs has gone");
        Directory.Delete(starts);
        File.WriteAllBytes(starts, places);

        File.Delete(tokens);
        Directory.CreateDirectory(tokens);
        Fails(await Train("new"), "train.bin has gone");
        Directory.Delete(tokens);
        File.WriteAllBytes(tokens, ids);
        File.Delete(Path.Combine(tiny.Shards, "tokens.json"));
        Directory.CreateDirectory(Path.Combine(tiny.Shards, "tokens.json"));
        Fails(await Train("new"), "check the permissions");

        // The run's first line may have been written by then.
        static void Fails(ToolRun run, string part) => (run with { Output = "" }).Says(part);
    }

    [Fact]
    public async Task FoldersWhereFilesAreToBeAreNamed()
    {
        File.WriteAllText(tiny["recipe.json"], TinyRun.Recipe.ToJson());
        foreach (var (name, part) in ((string, string)[])[
            ("metrics.jsonl", "metrics.jsonl cannot be written: "), ("run.json", "run.json' is denied; check the permissions")])
        {
            Directory.CreateDirectory(Path.Combine(tiny["run"], name));
            (await Train("run") with { Output = "" }).Says(part);
            Directory.Delete(Path.Combine(tiny["run"], name));
        }
        File.WriteAllText(tiny["file"], "");
        (await Train("file") with { Output = "" }).Says("cannot be written: ");
    }

    [Fact]
    public async Task AFolderOfAnotherRunIsLeftAsItIs()
    {
        using (var trainer = new Trainer(TinyRun.Recipe, tiny.Into("run") with { SaveEvery = 6 }))
            Assert.True(trainer.Run(cancel: TestContext.Current.CancellationToken));
        var run = tiny["run"];
        var newest = Directory.EnumerateDirectories(run, "step-*").Max()!;
        var before = FolderState.Of(run);

        await Fails("The run was begun with layers 2 and cannot go on with 3", TinyRun.Recipe with { Layers = 3 });
        await Fails("is no checkpoint of a run: it has no recipe.json", TinyRun.Recipe,
            () => File.Delete(Path.Combine(newest, "recipe.json")));
        await Fails("is not a whole safetensors file", TinyRun.Recipe,
            () => File.WriteAllText(Path.Combine(newest, "model.safetensors"), "short"));
        await Fails("There is no folder", TinyRun.Recipe, () => Directory.Delete(Path.Combine(newest, "optimizer"), recursive: true));
        await Fails("was trained with another tokenizer", TinyRun.Recipe, () =>
        {
            var config = Path.Combine(newest, "config.json");
            File.WriteAllText(config, File.ReadAllText(config).Replace(
                "\"tokenizer_fingerprint\": \"", "\"tokenizer_fingerprint\": \"0123456789ab", StringComparison.Ordinal));
        });
        await Fails("has a finished model and no checkpoint to go on from", TinyRun.Recipe, () =>
        {
            foreach (var step in Directory.EnumerateDirectories(run, "step-*")) Directory.Delete(step, recursive: true);
        });

        async Task Fails(string part, TrainingOptions recipe, Action? spoil = null)
        {
            using var aside = new TemporaryFolder();
            FolderState.Copy(run, aside.Path);
            spoil?.Invoke();
            var spoilt = FolderState.Of(run);
            File.WriteAllText(tiny["recipe.json"], recipe.ToJson());
            (await Train("run")).Says(part);
            Assert.Equal(spoilt, FolderState.Of(run));
            Directory.Delete(run, recursive: true);
            FolderState.Copy(aside.Path, run);
            Assert.Equal(before, FolderState.Of(run));
        }
    }

    [Fact]
    public async Task ShardsAreReplacedAtOnceOrNotAtAll()
    {
        var before = FolderState.Of(tiny.Shards);
        await Fails("nowhere.txt'; check the path", "train=" + tiny["validation.txt"], "more=" + tiny["nowhere.txt"]);
        File.WriteAllBytes(tiny["binary.txt"], [1, 0, 2]);
        await Fails("is not text: byte 1 is NUL", "train=" + tiny["validation.txt"], "more=" + tiny["binary.txt"]);
        await Fails("There are several sources named 'train'", "train=" + tiny["validation.txt"], "train=" + tiny["train.txt"]);
        await Fails("The source's name '../train' is no file name", "../train=" + tiny["validation.txt"]);
        await Fails("The source's name '.train' is no file name", ".train=" + tiny["validation.txt"]);

        var built = await LandmarkTool.Run(
            "tokenizer", "shards", "--tokenizer", tiny.Tokenizer, "--out", tiny.Shards,
            "--source", "train=" + tiny["validation.txt"], "--json");
        Assert.Equal(1, built.Json.GetProperty("sources")[0].GetProperty("documents").GetInt32());
        Assert.Equal(before.Keys.Order(), FolderState.Of(tiny.Shards).Keys.Order());
        using var shards = TokenShards.Open(tiny.Shards);
        Assert.Equal(new FileInfo(tiny["validation.txt"]).Length + 2, shards["train"].Count);

        async Task Fails(string part, params string[] sources)
        {
            (await LandmarkTool.Run(["tokenizer", "shards", "--tokenizer", tiny.Tokenizer, "--out", tiny.Shards,
                .. sources.SelectMany(s => (string[])["--source", s])])).Says(part);
            Assert.Equal(before, FolderState.Of(tiny.Shards));
        }
    }

    private Task<ToolRun> Train(string output, params string[] more) => LandmarkTool.Run(
        ["train", tiny["recipe.json"], "--tokenizer", tiny.Tokenizer, "--shards", tiny.Shards,
            "--out", tiny[output], "--threads", "1", .. more]);
}
