using CsCheck;
using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>Memory files of any shape hold what a plain store does, however they are opened and changed.</summary>
public sealed class MemoryFileTests
{
    private static readonly ScalarType[] Types = [ScalarType.Float32, ScalarType.BFloat16, ScalarType.Int8];

    private static readonly Gen<MemoryModel> Models = Gen.Select(
        Gen.Int[1, 3], Gen.Int[1, 3], Gen.Int[1, 9], Gen.Int[1, 7],
        (layers, heads, headDim, block) => new MemoryModel("model", "tokenizer", layers, heads, headDim, block));

    [Fact]
    public void EveryCommitIsWhatAPlainStoreHolds() =>
        Gen.Select(Models, Gen.Int[0, 2], Gen.Int[0, 1_000_000]).Sample(
            (model, kind, seed) =>
            {
                using var folder = new TemporaryFolder();
                var type = Types[kind];
                var (path, script) = (folder["a.memory"], new MemoryScript(model, type, seed));
                var writer = MemoryFileWriter.Create(path, model, type);
                for (var i = 0; i < 10; i++)
                {
                    using (var file = MemoryFile.Open(path, model))
                    {
                        Assert.Equal((model, type, writer.Sequence), (file.Model, file.Type, file.Sequence));
                        script.At(file.Sequence).Same(file);
                        Assert.Empty(file.Check(TestContext.Current.CancellationToken));
                        Assert.Equal(new FileInfo(path).Length, file.Bytes);
                    }
                    if (seed % (i + 2) == 0)
                    {
                        writer.Dispose();
                        writer = MemoryFileWriter.Open(path, model);
                    }
                    script.Next(writer);
                }
                writer.Dispose();
                Assert.Equal(["a.memory", "a.memory.lock"], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName).Order());
            },
            iter: 60, threads: 1);

    [Fact]
    public void CompactingFreesWhatWasRemovedAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        var (path, script) = (folder["a.memory"], new MemoryScript(MemoryScript.SmallModel, ScalarType.Int8, 4));
        using var writer = MemoryFileWriter.Create(path, MemoryScript.SmallModel, ScalarType.Int8);
        while (writer.Sequence < 60) script.Next(writer);
        writer.Commit();
        var store = script.At(60);
        using var before = MemoryFile.Open(path);
        Assert.True(before.UsedBytes < before.Bytes);
        Assert.Throws<OperationCanceledException>(() => writer.Compact(new CancellationToken(canceled: true)));
        Assert.Equal(["a.memory", "a.memory.lock"], Directory.EnumerateFiles(folder.Path).Select(Path.GetFileName).Order());
        writer.Compact(TestContext.Current.CancellationToken);
        using var after = before.Refreshed();
        Assert.Equal((62, before.UsedBytes, before.UsedBytes), (after.Sequence, after.UsedBytes, after.Bytes));
        store.Same(after);
        store.Same(before);                     // the old file lives as long as it is read
    }

    [Fact]
    public void AReaderSeesItsCommitUntilItIsRefreshed()
    {
        using var folder = new TemporaryFolder();
        var (path, script) = (folder["a.memory"], new MemoryScript(MemoryScript.SmallModel, ScalarType.BFloat16, 9));
        using var writer = MemoryFileWriter.Create(path, MemoryScript.SmallModel, ScalarType.BFloat16);
        while (writer.Sequence < 5) script.Next(writer);
        using var old = MemoryFile.Open(path);
        Assert.Same(old, old.Refreshed());
        var store = script.At(5);
        Parallel.For(0, 8, _ => store.Same(old));
        while (writer.Sequence < 30)
        {
            script.Next(writer);
            store.Same(old);
            using var now = old.Refreshed();
            script.At(writer.Sequence).Same(now);
            var stale = now.Documents.SelectMany(d => d.Segments).FirstOrDefault(s => !old.Documents.SelectMany(d => d.Segments).Contains(s));
            if (stale is not null) Refusals.Says(() => old.ReadText(stale), "has no such segment at its commit 5");
        }
    }

    [Fact]
    public void ATailGoesWhenItsTextGoesOn()
    {
        using var folder = new TemporaryFolder();
        using var writer = MemoryFileWriter.Create(folder["a.memory"], MemoryScript.SmallModel, ScalarType.Float32);
        writer.Documents.Add("d");
        writer.Documents.Append("d", Text("ab"), _ => { });
        Assert.Equal((0, 2, 2), (writer.Documents.All[0].Blocks, writer.Documents.All[0].Tokens, writer.Documents.All[0].Bytes));
        writer.Documents.Append("d", Text("abc"), segment =>
        {
            for (var layer = 0; layer < 2; layer++)
            {
                segment.WriteBlocks(layer, 0, new byte[2 * 2 * 3 * 4 * 4], []);
                segment.WriteLandmarks(layer, new float[2 * 4]);
            }
        });
        writer.Documents.Append("d", Text("d"), _ => { });
        writer.Documents.Complete("d");
        writer.Commit();
        using var file = MemoryFile.Open(folder["a.memory"]);
        Assert.Equal((1, 4, true), (file.Documents[0].Blocks, file.Documents[0].Tokens, file.Documents[0].Complete));
        Assert.Equal("abcd"u8.ToArray(), file.Documents[0].Segments.SelectMany(s => file.ReadText(s).Text));
    }

    [Fact]
    public void ALastBlockMayBeFilledUp()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(3);
        using (var writer = MemoryFileWriter.Create(folder["a.memory"], MemoryScript.SmallModel, ScalarType.Int8))
        {
            writer.Documents.Add("d");
            writer.Documents.Append("d", Text("abcde"), segment => Write(segment, 2), filled: true);
            Refusals.Says(() => writer.Documents.Append("d", Text("f"), _ => { }), "last block of the document 'd' was filled up");
            writer.Documents.Add("whole");
            writer.Documents.Append("whole", Text("abc"), segment => Write(segment, 1), filled: true);
            writer.Documents.Append("whole", Text("d"), segment => Write(segment, 1), filled: true);
            writer.Commit();
        }
        using var file = MemoryFile.Open(folder["a.memory"], MemoryScript.SmallModel);
        Assert.Equal([(2, 5), (1, 3), (1, 1)], file.Documents.SelectMany(d => d.Segments).Select(s => (s.Blocks, s.Tokens)));
        Assert.Equal([true, false, true], file.Documents.SelectMany(d => d.Segments).Select(s => s.IsFilled(file.Model)));
        var text = file.ReadText(file.Documents[0].Segments[0]);
        Assert.Equal("abcde"u8.ToArray(), text.Text);
        Assert.Equal(3..5, text.BlockBytes(1, 3));
        Assert.Empty(file.Check(TestContext.Current.CancellationToken));

        void Write(SegmentWriter segment, int blocks)
        {
            Assert.Equal(blocks, segment.Blocks);
            for (var layer = 0; layer < 2; layer++)
            {
                var numbers = new byte[blocks * 2 * 2 * 3 * 4];
                random.NextBytes(numbers);
                segment.WriteBlocks(layer, 0, numbers, new float[blocks * 2 * 2 * 3]);
                segment.WriteLandmarks(layer, new float[blocks * 2 * 4]);
            }
        }
    }

    [Fact]
    public void ABlocksBytesAreThoseOfItsTokens()
    {
        var text = new SegmentText([7, 7, 7, 7, 7, 7], [0, 0, 2, 5, 5, 6], "zwölfter"u8.ToArray());
        Assert.Equal([0..5, 5..9], new[] { text.BlockBytes(0, 3), text.BlockBytes(1, 3) });
    }

    private static SegmentText Text(string text) =>
        new([.. text.Select(c => (int)c)], [.. Enumerable.Range(0, text.Length)], System.Text.Encoding.ASCII.GetBytes(text));
}
