using System.Text.Json;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Generation;

namespace LandmarkSharp.Tests.Cli;

/// <summary>Memory files made and looked after by the tool.</summary>
public sealed class MemoryCommandTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string Memory => folder["a.memory"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task DocumentsComeAndGo()
    {
        Has((await Create("--block-type", "int8", "--json")).Json, "file", "type");
        Assert.Equal(0, (await List()).GetProperty("documents").GetArrayLength());
        var (one, two) = (folder.Write("one.txt", "The key is in box 7. "), folder.Write("more/two.txt", File.ReadAllText(model.Text)));
        var lines = (await Add(one, folder["more"], "--json")).Lines;
        Assert.Equal(["document", "document", "memory"], lines.Select(l => l.GetProperty("event").GetString()));
        Has(lines[0], "event", "name", "tokens", "blocks", "bytes", "new_tokens", "verbatim", "seconds");
        Has(lines[2], "event", "documents", "new_tokens", "seconds", "tokens_per_second", "file_bytes", "peak_rss_mb");
        Assert.Equal(new FileInfo(Memory).Length, lines[2].GetProperty("file_bytes").GetInt64());
        Assert.Equal(["one.txt", "two.txt"], await Names());
        var listed = (await List()).GetProperty("documents")[1];
        Has(listed, "name", "complete", "tokens", "blocks", "bytes");
        Assert.Equal(new FileInfo(two).Length, listed.GetProperty("bytes").GetInt64());

        var piped = (await LandmarkTool.RunOn("A note.", ["memory", "add", Memory, "-", "--name", "notes", "--json", .. Model])).Lines[0];
        Assert.Equal(("notes", 7), (piped.GetProperty("name").GetString(), piped.GetProperty("bytes").GetInt64()));
        // The same again: nothing is read.
        Assert.Equal(0, (await Add(one, two, "--json")).Lines[^1].GetProperty("new_tokens").GetInt64());
        File.WriteAllText(one, "The key is in box 8. And more.");
        (await Add(one)).Says("There is another text by the name 'one.txt'");
        Assert.Equal(0, (await Add(one, "--replace")).Code);
        Has((await Run("remove", Memory, "notes", "--json")).Json, "removed", "removed_sessions", "documents", "sessions", "free_bytes");
        Assert.Equal(["one.txt", "two.txt"], await Names());

        using (var engine = LandmarkEngine.Load(model.Path))
        using (var file = MemoryFile.Open(Memory, engine.MemoryModel()))
        {
            MadeMemory.Same(engine, file, "one.txt", File.ReadAllText(one));
            MadeMemory.Same(engine, file, "two.txt", File.ReadAllText(two));
        }
        var before = (await Run("info", Memory, "--json")).Json;
        Has(before, "sequence", "type", "model", "documents", "sessions", "tokens", "file_bytes", "used_bytes", "free_bytes", "bytes");
        Assert.Equal(
            before.GetProperty("used_bytes").GetInt64(), before.GetProperty("bytes").EnumerateObject().Sum(p => p.Value.GetInt64()));
        Assert.True(before.GetProperty("free_bytes").GetInt64() > 0);
        var compacted = (await Run("compact", Memory, "--json")).Json;
        Assert.Equal(
            (before.GetProperty("file_bytes").GetInt64(), before.GetProperty("used_bytes").GetInt64(), new FileInfo(Memory).Length),
            (compacted.GetProperty("before_bytes").GetInt64(), compacted.GetProperty("after_bytes").GetInt64(), compacted.GetProperty("after_bytes").GetInt64()));
        Assert.True((await Run("check", Memory, "--json")).Json.GetProperty("whole").GetBoolean());
    }

    [Fact]
    public async Task PeopleReadWhatThereIs()
    {
        Assert.Contains("'landmark memory add' reads", (await Create()).Output, StringComparison.Ordinal);
        Assert.Contains("There is nothing in it", (await Run("list", Memory)).Output, StringComparison.Ordinal);
        Assert.Matches(@"text\.txt +\d+ +\d+ +\d+ bytes[\s\S]*tokens read in", (await Add(model.Text)).Output);
        Assert.Matches(@"text\.txt +\d+ +\d+ +\d+ bytes", (await Run("list", Memory)).Output);
        Assert.Matches(@"2 layers, 4 key-value heads of 64, blocks of 15 tokens[\s\S]*float32[\s\S]*1 document of", (await Run("info", Memory)).Output);
        Assert.Contains("are as they were written", (await Run("check", Memory)).Output, StringComparison.Ordinal);
        Assert.Contains("1 document removed", (await Run("remove", Memory, "text.txt")).Output, StringComparison.Ordinal);
        Assert.Matches("before, .* now", (await Run("compact", Memory)).Output);
    }

    [Fact]
    public async Task WhatIsDamagedIsNamed()
    {
        await Create();
        var (one, two) = (folder.Write("one.txt", "The key is in box 7. "), folder.Write("two.txt", "The door is blue. "));
        await Add(one, two);
        using (var file = File.OpenHandle(Memory, FileMode.Open, FileAccess.ReadWrite))
        {
            long at;
            using (var memory = MemoryFile.Open(Memory)) at = memory.Documents[1].Segments[0].Offset - 5000;      // the end of the first one
            var bytes = new byte[1];
            RandomAccess.Read(file, bytes, at);
            RandomAccess.Write(file, [(byte)(bytes[0] ^ 4)], at);
        }
        var told = await Run("check", Memory, "--json");
        Assert.Equal((1, ""), (told.Code, told.Error));
        var damage = Assert.Single(ToolRun.Parse(told.Output).GetProperty("damage").EnumerateArray());
        Has(damage, "owner", "part");
        Assert.Equal("one.txt", damage.GetProperty("owner").GetString());
        var shown = await Run("check", Memory);
        Assert.Equal(1, shown.Code);
        Assert.Matches("Damaged: keys and values, in layer 1, of block 1 of 'one.txt'[\\s\\S]*Remove or replace one.txt, or restore", shown.Output);
        Assert.Equal(0, (await Add(one, "--replace")).Code);
        Assert.Equal(0, (await Run("check", Memory)).Code);
    }

    [Fact]
    public async Task WhatCannotBeDoneIsRefused()
    {
        var (one, two) = (folder.Write("one.txt", "The key is in box 7. "), folder.Write("more/one.txt", "The door is blue. "));
        foreach (var command in (string[])["list", "info", "check", "compact"])
            (await Run(command, Memory)).Says($"There is no memory file {Memory}; check the path");
        (await Run("remove", Memory, "one.txt")).Says($"There is no memory file {Memory}");
        (await Add(one)).Says($"There is no memory file {Memory}; make one by 'landmark memory create'");
        (await Run("info", one)).Says("is no memory file");
        (await Run("list", "")).Says("A memory file needs a path");
        (await LandmarkTool.Run(["memory", "create", "", .. Model])).Says("A memory file needs a path");
        (await Create("--block-type", "int4")).Says("--block-type takes float32, bfloat16 or int8");
        await Create();
        (await Create("--json")).SaysAsJson("There is something at");
        (await Add(one, "--index", "none")).Says("The index 'none' is not known");
        (await Add(one, "--index-effort", "2")).Says("Without an index its effort does nothing");
        (await Add(one, "--index", "hierarchical", "--index-effort", "0")).Says("The effort of an index is 0");
        (await Add(one, two)).Says("2 documents would have the name 'one.txt'; add them one by one, with --name");
        (await Add(one, two, "--name", "both")).Says("--name is one document's, and there are 2");
        (await LandmarkTool.RunOn("text", ["memory", "add", Memory, "-", .. Model])).Says("Standard input has no name; give one by --name");
        (await LandmarkTool.RunOn("", ["memory", "add", Memory, "-", "--name", "a", .. Model])).Says("'Standard input' is empty");
        (await Add(folder["nothing.txt"], "--json")).SaysAsJson("nothing.txt'; check the path");
        (await Add(one, folder.Write("binary.txt", [1, 0, 2]))).Says("is not text: byte 1 is NUL");
        foreach (var hot in (string[])["much", "-1", "1.5.5", "9999999999999TiB", "9999999999999999999TiB"])
            (await Add(one, $"--hot={hot}")).Says($"'{hot}' is no number of bytes; --hot takes such as 67108864, 64MiB or 1.5GB");
        (await Run("remove", Memory, "one.txt", "no")).Says("There is no document 'one.txt' in the memory");
        (await LandmarkTool.Run("memory", "add", Memory, one)).Says($"{Memory} holds the memory of another model");
        using (MemoryFileWriter.Open(Memory))
            (await Add(one)).Says("is being written by another writer");
        Assert.Empty(await Names());
    }

    /// <summary>Of documents that are added together, those before one that is refused are there.</summary>
    [Fact]
    public async Task WhatWasReadBeforeARefusalStays()
    {
        await Create();
        string[] texts = [.. Enumerable.Range(0, 3).Select(i => folder.Write($"{i}.txt", $"The key is in box {i}. "))];
        Assert.Equal(0, (await Add(texts[1])).Code);
        File.WriteAllText(texts[1], "Another text.");
        (await Add(texts)).Says("There is another text by the name '1.txt'");
        Assert.Equal(["1.txt", "0.txt"], await Names());
        Assert.Equal(0, (await Run("check", Memory)).Code);
    }

    [Fact]
    public async Task AFullDiskLeavesWhatWasThereAndTheSameCommandGoesOn()
    {
        Directory.CreateDirectory(folder["disk"]);
        var (memory, one) = (Path.Combine(folder["disk"], "a.memory"), folder.Write("one.txt", "The key is in box 7. "));
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "create", memory, .. Model])).Code);
        Assert.Equal(0, (await LandmarkTool.Run(["memory", "add", memory, one, .. Model])).Code);
        var large = folder.Write("large.txt", string.Concat(Enumerable.Repeat(File.ReadAllText(model.Text), 5)));
        string[] command = ["memory", "add", memory, large, .. Model];
        (await SmallDisk.Run(folder["disk"], 6_000_000, command)).Says("a.memory cannot be written: the disk is full");
        using (var file = MemoryFile.Open(memory))
        {
            Assert.Equal(file.Bytes, new FileInfo(memory).Length);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
            Assert.Equal("one.txt", file.Documents[0].Name);
        }
        Assert.Equal(0, (await LandmarkTool.Run(command)).Code);
        using var engine = LandmarkEngine.Load(model.Path);
        using var whole = MemoryFile.Open(memory);
        MadeMemory.Same(engine, whole, "large.txt", File.ReadAllText(large));
    }

    private string[] Model => ["--model", model.Path, "--threads", "1"];

    private Task<ToolRun> Create(params string[] options) => LandmarkTool.Run(["memory", "create", Memory, .. options, .. Model]);

    private Task<ToolRun> Add(params string[] arguments) => LandmarkTool.Run(["memory", "add", Memory, .. arguments, .. Model]);

    private static Task<ToolRun> Run(params string[] arguments) => LandmarkTool.Run(["memory", .. arguments]);

    private async Task<JsonElement> List() => (await Run("list", Memory, "--json")).Json;

    private async Task<string[]> Names() =>
        [.. (await List()).GetProperty("documents").EnumerateArray().Select(d => d.GetProperty("name").GetString()!)];

    private static void Has(JsonElement told, params string[] names) => Assert.Equal(
        names.Order(), told.EnumerateObject().Select(p => p.Name).Order());
}
