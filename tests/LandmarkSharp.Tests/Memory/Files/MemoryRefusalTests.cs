using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>What cannot be opened, written or read is said in one sentence, and leaves all as it was.</summary>
public sealed class MemoryRefusalTests : IDisposable
{
    private static readonly MemoryModel Model = MemoryScript.SmallModel;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void WhatIsNoMemoryFileIsNotOpened()
    {
        (string Path, string Part)[] files =
        [
            (folder["none"], "There is no memory file"),
            (folder.Path, "it is a folder"),
            (folder.Write("empty", ""), "is no memory file"),
            (folder.Write("text", "Call me Ishmael."), "is no memory file"),
            (folder.Write("zeros", new byte[100_000]), "is no memory file"),
        ];
        foreach (var (path, part) in files)
        {
            Refusals.Says(() => MemoryFile.Open(path), part);
            Refusals.Says(() => MemoryFileWriter.Open(path), part);
            Assert.False(File.Exists(path + ".lock"));
        }
        Refusals.Says(() => MemoryFileWriter.Create(folder["text"], Model, ScalarType.Float32), "There is something at");
        Assert.Equal("Call me Ishmael.", File.ReadAllText(folder["text"]));
        Assert.False(File.Exists(folder["text"] + ".lock"));
        Refusals.Says(() => MemoryFileWriter.Create(folder["no/folder"], Model, ScalarType.Float32), "cannot be written");
        Refusals.Says(() => MemoryFileWriter.Create(folder["half"], Model, ScalarType.Float16), "cannot keep blocks as Float16");
        Refusals.Says(() => MemoryFileWriter.Create(folder["half"], Model with { Heads = 0 }, ScalarType.Int8), "sizes of at least 1");
        Refusals.Says(() => MemoryFileWriter.Create(folder["half"], Model with { Tokenizer = new string('x', 5000) }, ScalarType.Int8), "shorter fingerprints");
        Assert.False(File.Exists(folder["half"]));
    }

    [Fact]
    public void AnotherModelsMemoryIsNotOpened()
    {
        var path = Made();
        (MemoryModel Model, string Part)[] others =
        [
            (Model with { Fingerprint = "other" }, "another model: its fingerprint is model, and this one's other"),
            (Model with { Tokenizer = "0123456789abcdef" }, "another tokenizer: its fingerprint is tokenizer, and this one's 0123456789ab…"),
            (Model with { Layers = 3 }, "it has 2 layers, 2 key-value heads of 4 and blocks of 3 tokens, and this one 3 layers"),
            (Model with { Heads = 1 }, "another model"),
            (Model with { HeadDim = 8 }, "another model"),
            (Model with { BlockTokens = 4 }, "another model"),
        ];
        foreach (var (model, part) in others)
        {
            Refusals.Says(() => MemoryFile.Open(path, model), part);
            Refusals.Says(() => MemoryFileWriter.Open(path, model), part);
        }
    }

    [Fact]
    public void AnotherVersionIsNotOpened()
    {
        var path = Made();
        var bytes = File.ReadAllBytes(path);
        bytes[8] = 1;
        System.IO.Hashing.XxHash3.Hash(bytes.AsSpan(0, 4088)).Reverse().ToArray().CopyTo(bytes, 4088);
        File.WriteAllBytes(path, bytes);
        Refusals.Says(() => MemoryFile.Open(path), "has version 1 of the format, and this program reads 2");
    }

    [Fact]
    public void ASecondWriterIsToldSo()
    {
        var path = Made();
        File.CreateSymbolicLink(folder["link"], path);
        using (MemoryFileWriter.Open(path))
        {
            Refusals.Says(() => MemoryFileWriter.Open(path), "is being written by another writer");
            Refusals.Says(() => MemoryFileWriter.Open(folder["link"]), "is being written by another writer");
        }
        using (var writer = MemoryFileWriter.Open(folder["link"])) writer.Compact();
        Assert.NotNull(new FileInfo(folder["link"]).LinkTarget);
        using var file = MemoryFile.Open(path);
        Assert.Equal(3, file.Sequence);
    }

    [Fact]
    public void WhatDoesNotFitIsNotWritten()
    {
        var path = Made();
        using var writer = MemoryFileWriter.Open(path);
        var documents = writer.Documents;
        Refusals.Says(() => documents.Add("d"), "There is a document 'd' already");
        Refusals.Says(() => documents.Add(""), "needs a name");
        Refusals.Says(() => documents.Add("\ud800"), "no valid text");
        Refusals.Says(() => writer.Sessions.Remove("d\n"), "There is no session 'd·'");
        Refusals.Says(() => Append("none", 3), "There is no document 'none'");
        Refusals.Says(() => Append("d", 4), "4 tokens are no whole blocks of 3");
        Refusals.Says(() => Append("d", 0), "needs a token");
        Refusals.Says(() => documents.Append("d", new SegmentText([1], [], []), _ => { }), "starts for 0");
        Refusals.Says(() => documents.Append("d", new SegmentText([1], [1], [1, 2]), _ => { }), "at 0");
        Refusals.Says(() => documents.Append("d", new SegmentText([1, 1], [0, 3], [1, 2]), _ => { }), "starts at byte 3 and ends at 2");
        Refusals.Says(() => documents.Append("d", new SegmentText([1, 1, 1], [0, 2, 1], [1, 2]), _ => { }), "must rise");
        Refusals.Says(() => Append("d", 3, s => s.WriteBlocks(0, 1, new byte[192], [])), "There are no 1 blocks from block 1 on in layer 0");
        Refusals.Says(() => Append("d", 3, s => s.WriteBlocks(2, 0, new byte[192], [])), "in layer 2");
        Refusals.Says(() => Append("d", 3, s => s.WriteBlocks(0, 0, new byte[96], [])), "no whole blocks");
        Refusals.Says(() => Append("d", 3, s => s.WriteBlocks(0, 0, new byte[192], new float[12])), "no whole blocks");
        Refusals.Says(() => Append("d", 3, s => s.WriteLandmarks(0, new float[4])), "given 4 numbers");
        Refusals.Says(() => Append("d", 3, s => s.WriteLandmarks(1, new float[8])), "not everything was written");
        Refusals.Says(() => Append("d", 3, _ => documents.Append("d", new SegmentText([1], [0], []), _ => { })), "A segment is being written");
        Assert.Throws<InvalidOperationException>(() => Append("d", 3, _ => throw new InvalidOperationException()));
        documents.Complete("d");
        Refusals.Says(() => Append("d", 3), "is complete");
        writer.Rollback();
        using var file = MemoryFile.Open(path);
        Assert.Equal((file.Bytes, 2), (new FileInfo(path).Length, file.Sequence));
        Assert.Equal(file.Documents[0].Segments, Assert.Single(documents.All).Segments);

        void Append(string name, int tokens, Action<SegmentWriter>? write = null) =>
            documents.Append(name, new SegmentText(new int[tokens], new int[tokens], []), write ?? (_ => { }));
    }

    [Fact]
    public void WhatIsNotThereIsNotRead()
    {
        using var file = MemoryFile.Open(Made());
        var segment = file.Documents[0].Segments[0];
        Refusals.Says(() => file.ReadLandmarks(2, [segment], new float[8]), "There is no layer 2 in a memory of 2");
        Refusals.Says(() => file.ReadLandmarks(0, [segment], new float[4]), "room for 4");
        Refusals.Says(() => file.ReadLandmarks(0, [segment], new float[10]), "room for 10");
        Refusals.Says(() => file.ReadBlocks(segment, 0, 1, new byte[192], []), "There are no 1 blocks from block 1 on");
        Refusals.Says(() => file.ReadBlocks(segment, 0, 0, new byte[191], []), "give buffers of that size");
        Refusals.Says(() => file.ReadBlocks(segment, 0, 0, new byte[192], new float[1]), "give buffers of that size");
        Refusals.Says(() => file.ReadHead(segment, 0, 0, 2, new byte[96], []), "There is no head 2");
        Refusals.Says(() => file.ReadHead(segment, 0, 0, 0, new byte[95], []), "give buffers of that size");
        Refusals.Says(() => file.MapBlock(segment, 0, -1), "There are no 1 blocks from block -1 on");
        Refusals.Says(() => file.MapHead(segment, -1, 0, 0), "There is no layer -1");
        Refusals.Says(() => file.ReadText(segment with { Offset = 0 }), "has no such segment");
    }

    /// <summary>A file with a document "d" of one block, at commit 2.</summary>
    private string Made()
    {
        using var writer = MemoryFileWriter.Create(folder["made"], Model, ScalarType.Float32);
        writer.Documents.Add("d");
        writer.Documents.Append("d", new SegmentText([1, 2, 3], [0, 1, 2], "abc"u8.ToArray()), segment =>
        {
            for (var layer = 0; layer < Model.Layers; layer++)
            {
                segment.WriteBlocks(layer, 0, new byte[192], []);
                segment.WriteLandmarks(layer, new float[8]);
            }
        });
        writer.Commit();
        return folder["made"];
    }
}
