using System.Text;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Memory.Files;
using LandmarkSharp.Tests.Text;
using LandmarkSharp.Text;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Documents read into memory files: what a session would hold, to the last bit, however it is cut.</summary>
public sealed class MemoryMakerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly LandmarkEngine engine = TinyEngine.Create(MadeMemory.Config, marks: true);

    public void Dispose()
    {
        engine.Dispose();
        folder.Dispose();
    }

    /// <summary>
    /// With the mark before it a text has a token more: next to nothing, whole blocks, whole passes, and one more and less. A pass has 76
    /// blocks, and how long one takes is known after the first.
    /// </summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void BlocksAreThoseOfASession(ScalarType type)
    {
        int[] lengths = [1, 3, 4, 302, 303, 304, 607, 1000];
        foreach (var cut in (bool[])[true, false])
        {
            using (var writer = Create($"{cut}", type))
            {
                var maker = new MemoryMaker(engine, writer) { CommitEvery = cut ? TimeSpan.Zero : TimeSpan.FromHours(1), HotBytes = cut ? 0 : null };
                foreach (var letters in lengths)
                    Assert.Equal(
                        new MemoryDocument($"{letters}", letters + 1, (letters + 4) / 4, letters, letters + 1, IsVerbatim: true),
                        maker.Add($"{letters}", new StringReader(MadeMemory.Text(letters)), cancel: TestContext.Current.CancellationToken));
                writer.Commit();
            }
            using var file = MemoryFile.Open(folder[$"{cut}"]);
            foreach (var letters in lengths) MadeMemory.Same(engine, file, $"{letters}", MadeMemory.Text(letters));
            Assert.Equal(cut ? 4 : 2, file.Documents[^1].Segments.Count);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Int8)]
    public void WhatWasStoppedGoesOnAsIfItHadNot(ScalarType type)
    {
        var text = MadeMemory.Text(1500);
        Create("a", type).Dispose();
        var kept = 0L;
        foreach (var passes in (int[])[1, 2, 1])
        {
            using (var writer = MemoryFileWriter.Open(folder["a"]))
            {
                using var cancel = new CancellationTokenSource();
                var told = new Stopping(passes, cancel);
                var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
                Assert.Throws<OperationCanceledException>(() => maker.Add("a", new StringReader(text), progress: told, cancel: cancel.Token));
                Assert.Equal((kept + (passes * 304), passes * 304), (told.Last!.Tokens, told.Last.NewTokens));
            }
            using var file = MemoryFile.Open(folder["a"]);
            Assert.False(file.Documents[0].Complete);
            kept += passes * 304;
            Assert.Equal(kept, file.Documents[0].Tokens);
        }
        using (var writer = MemoryFileWriter.Open(folder["a"]))
        {
            var maker = new MemoryMaker(engine, writer);
            Assert.Equal(1501 - kept, maker.Add("a", new StringReader(text), cancel: TestContext.Current.CancellationToken).NewTokens);
            // All of it is there: it is not read again, and not changed.
            var segments = writer.Documents.All[0].Segments;
            Assert.Equal(0, maker.Add("a", new StringReader(text), cancel: TestContext.Current.CancellationToken).NewTokens);
            Assert.Equal(segments, writer.Documents.All[0].Segments);
            writer.Commit();
        }
        using var made = MemoryFile.Open(folder["a"]);
        MadeMemory.Same(engine, made, "a", text);
    }

    /// <summary>A step is a pass: who takes no more has what was committed, and who takes all of them what <see cref="MemoryMaker.Add"/> makes.</summary>
    [Fact]
    public void StepsThatAreLeftLoseWhatBelongsToNoSegment()
    {
        var text = MadeMemory.Text(1500);
        using var writer = Create("a", ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
        using (var steps = maker.Steps("a", new StringReader(text), cancel: TestContext.Current.CancellationToken).GetEnumerator())
        {
            foreach (var tokens in (int[])[0, 304, 608])
            {
                Assert.True(steps.MoveNext());
                Assert.Equal(new MemoryProgress("a", tokens, tokens), steps.Current);
            }
        }
        Assert.Equal(304, writer.Documents.All[0].Tokens);                                  // the second pass was of a segment that had not ended
        Assert.False(maker.Has("a", new StringReader(text)));
        var all = maker.Steps("a", new StringReader(text), cancel: TestContext.Current.CancellationToken).ToArray();
        Assert.Equal((304L, 0L), (all[0].Tokens, all[0].NewTokens));
        Assert.Equal(1501 - 304, Assert.Single(all, s => s.Made is not null).Made!.NewTokens);
        Assert.True(maker.Has("a", new StringReader(text)));
        Assert.False(maker.Has("a", new StringReader(text + "e")));
        Assert.False(maker.Has("b", new StringReader(text)));
        writer.Commit();
        using var made = MemoryFile.Open(folder["a"]);
        MadeMemory.Same(engine, made, "a", text);
    }

    [Fact]
    public void WhatIsAbandonedIsAsIfItHadNotBegun()
    {
        using var writer = Create("a", ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
        maker.Add("whole", new StringReader("it is whole."), cancel: TestContext.Current.CancellationToken);
        foreach (var name in (string[])["whole", "new"])
        {
            _ = maker.Steps(name, new StringReader(MadeMemory.Text(700)), replace: true, TestContext.Current.CancellationToken).Take(3).Last();
            Assert.False(writer.Documents.All.Single(d => d.Name == name).Written.Complete);
            writer.Documents.Abandon(name);
        }
        writer.Commit();
        using var file = MemoryFile.Open(folder["a"]);
        Assert.Null(Assert.Single(file.Documents).Next);
        MadeMemory.Same(engine, file, "whole", "it is whole.");
    }

    [Fact]
    public void AnotherTextOfThatNameIsRefusedOrReplaces()
    {
        var (text, other) = (MadeMemory.Text(700), MadeMemory.Text(900, seed: 2));
        using var writer = Create("a", ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
        foreach (var complete in (bool[])[true, false])
        {
            var name = $"{complete}";
            if (complete) maker.Add(name, new StringReader(text), cancel: TestContext.Current.CancellationToken);
            else Stop(maker, name, text);
            foreach (var changed in (string[])[other, text[..350] + (text[350] == 'a' ? "b" : "a") + text[351..], text[..200], .. complete ? [text + "e", text[..^1]] : (string[])[]])
                Refusals.Says(() => maker.Add(name, new StringReader(changed)), $"There is another text by the name '{name}' in {folder["a"]}");
            Assert.Equal(complete, writer.Documents.All[^1].Complete);
            maker.Add(name, new StringReader(other), replace: true, cancel: TestContext.Current.CancellationToken);
        }
        // One that is complete is made anew, one that is not goes on.
        Assert.Equal(901, maker.Add("True", new StringReader(other), replace: true, cancel: TestContext.Current.CancellationToken).NewTokens);
        Stop(maker, "b", text);
        Assert.Equal(701 - 608, maker.Add("b", new StringReader(text), replace: true, cancel: TestContext.Current.CancellationToken).NewTokens);
        writer.Commit();
        using var file = MemoryFile.Open(folder["a"]);
        foreach (var name in (string[])["True", "False"]) MadeMemory.Same(engine, file, name, other);
        MadeMemory.Same(engine, file, "b", text);
    }

    /// <summary>Whether documents are there is looked up without a commit, which would write the names of all of them each time.</summary>
    [Fact]
    public void WhatIsThereIsComparedWithoutACommit()
    {
        using var writer = Create("a", ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer);
        foreach (var name in (string[])["a", "b"]) maker.Add(name, new StringReader($"it is {name}."), cancel: TestContext.Current.CancellationToken);
        var committed = writer.Sequence;
        Assert.Equal(0, maker.Add("a", new StringReader("it is a."), cancel: TestContext.Current.CancellationToken).NewTokens);
        Assert.True(maker.Has("b", new StringReader("it is b.")));
        Assert.False(maker.Has("b", new StringReader("it is a.")));
        Assert.Equal(committed, writer.Sequence);
    }

    /// <summary>A document that stopped right where its text has come to end is complete with what is there.</summary>
    [Fact]
    public void ATextThatEndsWhereItStoppedIsComplete()
    {
        var text = MadeMemory.Text(607);
        using var writer = Create("a", ScalarType.Float32);
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
        Stop(maker, "a", text + "more");
        Assert.Equal(0, maker.Add("a", new StringReader(text), cancel: TestContext.Current.CancellationToken).NewTokens);
        writer.Commit();
        using var file = MemoryFile.Open(folder["a"]);
        MadeMemory.Same(engine, file, "a", text);
    }

    /// <summary>A token's bytes are as in passages, whatever characters they are and wherever the text is cut.</summary>
    [Fact]
    public void BlocksHaveTheTextOfPassages()
    {
        using var model = new ToolModel();
        using var spelling = LandmarkEngine.Load(model.Path);
        var text = string.Concat(Enumerable.Repeat("\uFEFFGrüße, 日本 und 🙂!\r\nThe  key.\n", 40));
        using (var writer = MemoryFileWriter.Create(folder["a"], spelling.MemoryModel(), ScalarType.Float32))
        {
            var made = new MemoryMaker(spelling, writer) { CommitEvery = TimeSpan.Zero }.Add("a", new StringReader(text));
            Assert.True(made.IsVerbatim);
            Assert.Equal(Encoding.UTF8.GetByteCount(text), made.Bytes);
            writer.Commit();
        }
        using var file = MemoryFile.Open(folder["a"]);
        var parts = file.Documents[0].Segments.Select(file.ReadText).ToArray();
        Assert.True(parts.Length > 3);
        int[] tokens = [.. parts.SelectMany(p => p.Tokens)];
        Assert.Equal(spelling.Tokenizer.Encode(text, addSpecial: true), tokens);
        var length = file.Model.BlockTokens;
        var passages = spelling.Passages(tokens, Enumerable.Range(0, (tokens.Length + length - 1) / length).Select(b => (long)b));
        Assert.Equal(
            passages.Select(p => p.Text),
            parts.Zip(file.Documents[0].Segments).SelectMany(p => Enumerable.Range(0, p.Second.Blocks).Select(
                b => Encoding.UTF8.GetString(p.First.Text[p.First.BlockBytes(b, length)]))));
    }

    [Fact]
    public void WhatTokensDoNotSpellIsNotKeptAndSaid()
    {
        File.WriteAllText(folder["tokenizer.json"], TokenizerBuilder.Json(
            [.. "caféine ".Select(c => $"{c}").Distinct()], [], decoder: """{"type":"Fuse"}""", normalizer: """{"type":"NFC"}"""));
        using var composing = new LandmarkEngine(engine.Decoder, Tokenizer.Load(folder["tokenizer.json"]), engine.Retrieval, owner: false);
        using var writer = MemoryFileWriter.Create(folder["a"], composing.MemoryModel(), ScalarType.Float32);
        var maker = new MemoryMaker(composing, writer);
        Assert.False(maker.Add("a", new StringReader("cafe\u0301ine")).IsVerbatim);
        Assert.True(maker.Add("b", new StringReader("caféine")).IsVerbatim);
        writer.Commit();
        using var file = MemoryFile.Open(folder["a"]);
        foreach (var document in file.Documents)
            Assert.Equal("caféine", Encoding.UTF8.GetString(file.ReadText(document.Segments[0]).Text));
    }

    /// <summary>The formula of docs/memory-making.md.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 4, 0)]
    [InlineData(ScalarType.BFloat16, 2, 0)]
    [InlineData(ScalarType.Int8, 1, 8)]
    public void TheFileIsAsLargeAsTheFormulaSays(ScalarType type, int bytesOfNumber, int bytesOfScales)
    {
        using (var writer = Create("a", type))
        {
            var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
            foreach (var letters in (int[])[1, 500, 1300])
                maker.Add($"{letters}", new StringReader(MadeMemory.Text(letters)), cancel: TestContext.Current.CancellationToken);
            writer.Documents.Remove("500");
            writer.Compact();
        }
        using var file = MemoryFile.Open(folder["a"]);
        var (layers, heads, length, width) = (file.Model.Layers, file.Model.Heads, file.Model.BlockTokens, file.Model.HeadDim);
        static long Up(long bytes, long multiple) => (bytes + multiple - 1) / multiple * multiple;
        var segments = file.Documents.SelectMany(d => d.Segments).Sum(s =>
            Up(
                Up(8 * ((layers * heads * (s.Blocks + 1)) + 2), 64) + Up(4 * layers * heads * s.Blocks * width, 64)
                + (2 * Up(4 * s.Tokens, 64)) + s.Bytes, 4096)
            + (layers * s.Blocks * Up((2 * heads * length * width * bytesOfNumber) + (bytesOfScales * heads * length), 4096)));
        Assert.Equal(6, file.Documents.Sum(d => d.Segments.Count));
        const long Header = 3 * 4096, Catalog = 4096;
        Assert.Equal((Header + segments + Catalog, Header + segments + Catalog), (file.UsedBytes, new FileInfo(folder["a"]).Length));
    }

    [Fact]
    public void WhatCannotBeMadeIsRefused()
    {
        using var writer = Create("a", ScalarType.Float32);
        using var plain = TinyEngine.Create(TinyModel.Plain());
        Refusals.Says(() => new MemoryMaker(plain, writer), "A model without landmarks has no blocks");
        using var other = TinyEngine.Create(TinyModel.Config(blockTokens: 5), marks: true);
        Refusals.Says(() => new MemoryMaker(other, writer), $"{folder["a"]} holds the memory of another model");
        Refusals.Says(() => new MemoryMaker(engine.With(engine.Retrieval! with { WindowIsCall = true }), writer), "leave out WindowIsCall");
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero };
        Refusals.Says(() => maker.Add("a", new StringReader("")), "The document 'a' has no text");
        Refusals.Says(() => new MemoryMaker(engine, writer) { HotBytes = -1 }.Add("a", new StringReader("text")), "-1 bytes of blocks cannot be kept");
        Refusals.Says(() => maker.Add("", new StringReader("text")), "needs a name");
        Assert.Empty(writer.Documents.All);

        Stop(maker, "a", MadeMemory.Text(1000));
        var wider = new MemoryMaker(engine.With(engine.Retrieval! with { WindowBlocks = 5 }), writer);
        Refusals.Says(() => wider.Add("a", new StringReader(MadeMemory.Text(1000))), "stopped after 152 blocks, which are no passes of 75");
    }

    [Fact]
    public void WhatIsDamagedIsNotGoneOnFrom()
    {
        var text = MadeMemory.Text(1000);
        using (var writer = Create("a", ScalarType.BFloat16)) Stop(new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero }, "a", text);
        using (var file = MemoryFile.Open(folder["a"]))
        using (var bytes = File.OpenHandle(folder["a"], FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            var segment = file.Documents[0].Segments[1];
            // The last page but a block's: the second layer's last block but one.
            var at = segment.Offset + PagesEnd(file, segment) - 4096 - 4000;
            var one = new byte[1];
            RandomAccess.Read(bytes, one, at);
            one[0] ^= 1;
            RandomAccess.Write(bytes, one, at);
        }
        using var again = MemoryFileWriter.Open(folder["a"]);
        Refusals.Says(() => new MemoryMaker(engine, again).Add("a", new StringReader(text)), "damaged in keys and values, in layer 1, of block 150 of 'a'");
    }

    // Blocks are the end of a segment, and what is committed next begins right after it.
    private static long PagesEnd(MemoryFile file, MemorySegment segment) =>
        (file.Documents[0].Segments.Where(s => s.Offset > segment.Offset).Select(s => s.Offset).Append(file.Bytes - 4096).Min()) - segment.Offset;

    /// <summary>Stops a document when two passes are committed, in the third.</summary>
    private static void Stop(MemoryMaker maker, string name, string text)
    {
        using var cancel = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(
            () => maker.Add(name, new StringReader(text), progress: new Stopping(2, cancel), cancel: cancel.Token));
    }

    private MemoryFileWriter Create(string name, ScalarType type) => MemoryFileWriter.Create(folder[name], engine.MemoryModel(), type);

    private sealed class Stopping(int reports, CancellationTokenSource cancel) : IProgress<MemoryProgress>
    {
        private int left = reports;

        public MemoryProgress? Last { get; private set; }

        public void Report(MemoryProgress value)
        {
            Last = value;
            if (--left == 0) cancel.Cancel();
        }
    }
}
