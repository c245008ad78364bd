using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Memory.Files;
using LandmarkSharp.Tests.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Sessions on memory files are those that read the documents, to the last bit.</summary>
[Collection(AloneCollection.Name)]
public sealed class OpenMemoryTests : MemoryShelf
{

    /// <summary>
    /// With the mark a text has a token more: less than a block, whole blocks, a pass of 76 blocks and one more or less. All blocks are read,
    /// or few; and what comes after grows past the memory, in pieces of any size. Where a last block was filled up, the last pass had more
    /// rows, and so products of matrices other last bits.
    /// </summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void AMemoryOfADocumentIsThatOfItsText(ScalarType type)
    {
        foreach (var letters in (int[])[2, 3, 45, 302, 303, 304, 451])
        {
            int[] tokens = [.. Engine.Tokenizer.Encode(MadeMemory.Text(letters), addSpecial: true), .. TinyModel.Tokens(90)];
            foreach (var (i, options) in ((RetrievalOptions[])[new() { TopK = 2, WindowBlocks = 2 }, new() { TopK = 200, WindowBlocks = 3 },
                new() { TopK = 2, WindowBlocks = 2, Selection = SelectionMode.PerToken }, new() { TopK = 3, KeepBlocks = 20, WindowBlocks = 2 },
                new() { TopK = 4, Mass = 0.6, WindowBlocks = 2 }, new() { TopK = 2, WindowBlocks = 2, Reference = true }]).Index())
            {
                using var reading = Engine.With(options);
                using var opened = reading.OpenMemory([Make($"{letters} {i}", type, reading, ("d", MadeMemory.Text(letters)))]);
                Assert.Equal(((letters + 1) / 4, (letters + 1) % 4), (opened.Blocks, opened.Tail.Count));
                var input = TinyModel.WithLandmarks(Engine.Config, tokens);
                var first = (int)opened.Blocks * 5;
                using var scope = NewDisposeScope();
                using var whole = TinyModel.Memory(Engine.Decoder, options with { BlockType = type });
                using var begun = Begun(opened, options);
                if (first > 0) TinyModel.Run(Engine.Decoder, whole, input[..first], int.MaxValue);
                int[] pieces = [7, 1, 1, 20, 1, 33];
                var expected = TinyModel.Run(Engine.Decoder, whole, input[first..], pieces);
                var found = TinyModel.Run(Engine.Decoder, begun, input[first..], pieces);
                if (opened.Tail.Count == 0) Assert.Equal(expected, found);
                else TinyModel.Close(expected, found, type == ScalarType.Float32 ? 1e-4 : 0.1);
            }
        }
    }

    [Fact]
    public void ASessionGoesOnWhereTheDocumentEnds()
    {
        var text = MadeMemory.Text(450);
        using var memory = Engine.OpenMemory([Make("a", ScalarType.Float32, ("d", text))]);
        using var whole = Engine.NewSession();
        whole.Append(text, cancel: TestContext.Current.CancellationToken);
        using var begun = Engine.NewSession(memory);
        Assert.Equal(whole.Tokens.Skip(448), begun.Tokens);
        var (expected, found) = (Answer(whole), Answer(begun));
        Assert.Equal(expected.Tokens, found.Tokens);
        Assert.Equal(expected.Blocks, found.Blocks);
        Assert.Equal(whole.Trace.BlockCount, begun.Trace.BlockCount);
        Assert.Equal(whole.Tokens.Skip(448), begun.Tokens);
        Assert.True(begun.MemoryBytes < whole.MemoryBytes / 2);

        // The mark is a token, and none of the text.
        var (all, last) = (whole.Trace.BlockCount, 112);
        foreach (var (a, b) in whole.Passages(LongRange(all)).Zip(begun.Passages(LongRange(all)), (a, b) => (a, b)))
        {
            Assert.Equal((a.Block, a.Tokens, a.Text), (b.Block, b.Tokens, b.Text));
            foreach (var texts in (IReadOnlyList<string>[])[whole.TokenTexts(a.Block), begun.TokenTexts(b.Block)])
                Assert.Equal((a.Tokens, a.Text), (texts.Count, string.Concat(texts)));
            if (a.Block <= last) Assert.Equal(("d", a.FirstToken, a.FirstByte!.Value), (b.Document, b.FirstToken, b.FirstByte!.Value));
            else Assert.Equal((null, a.FirstToken - 448, null), (b.Document, b.FirstToken, b.FirstByte));
        }
        Refusals.Says(() => begun.Passages([all + 1]), "no block");
        Refusals.Says(() => begun.TokenTexts(all + 1), "no block");
    }

    [Fact]
    public void SessionsShareAMemoryAtOnce()
    {
        var text = MadeMemory.Text(700);
        using var memory = Engine.OpenMemory([Make("a", ScalarType.Int8, ("d", text))]);
        string Read(int n)
        {
            using var session = Engine.NewSession(memory);
            session.Append(MadeMemory.Text(20 + (n % 3 * 30), seed: n % 3));
            return string.Concat(session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 30, StopAtEndOfText = false }).Select(t => t.Text));
        }
        var answers = Enumerable.Range(0, 3).Select(Read).ToArray();
        Assert.Equal(3, answers.Distinct().Count());
        Parallel.For(0, 12, new ParallelOptions { MaxDegreeOfParallelism = 4 }, n => Assert.Equal(answers[n % 3], Read(n)));
    }

    /// <summary>Each document begins a block, the last one of the last file alone goes on; and all of them can be quoted.</summary>
    [Fact]
    public void DocumentsAndFilesFollowEachOther()
    {
        string[] texts = [MadeMemory.Text(333, 1), MadeMemory.Text(8, 2), MadeMemory.Text(50, 3), MadeMemory.Text(401, 4)];
        var paths = new[] { Make("a", ScalarType.Float32, ("one", texts[0]), ("two", texts[1])), Make("b", ScalarType.Float32, ("three", texts[2]), ("four", texts[3])) };
        using var memory = Engine.OpenMemory(paths);
        Assert.Equal(["one", "two", "three", "four"], memory.Documents.Select(d => d.Name));
        Assert.Equal((84 + 3 + 13 + 100, 2), (memory.Blocks, memory.Tail.Count));

        using var session = Engine.NewSession(memory);
        session.Append(Question, cancel: TestContext.Current.CancellationToken);
        var passages = session.Passages(LongRange(memory.Blocks + 1));
        Assert.Equal(LongRange(memory.Blocks + 1), passages.Select(p => p.Block));
        foreach (var (name, text) in memory.Documents.Select(d => d.Name).Zip(texts))
        {
            var own = passages.Where(p => p.Document == name).ToArray();
            Assert.StartsWith(text, string.Concat(own.Select(p => p.Text)), StringComparison.Ordinal);
            foreach (var p in own)
                Assert.StartsWith(p.Text[..Math.Min(p.Text.Length, text.Length - (int)p.FirstByte!)], text[(int)p.FirstByte!..], StringComparison.Ordinal);
            Assert.Equal(0, own[0].FirstToken);
        }

        // The same blocks in one memory that read them one by one.
        using var scope = NewDisposeScope();
        var options = Engine.Retrieval!;
        using var begun = Begun(memory, options);
        int[] question = TinyModel.Tokens(40);
        var logits = TinyModel.Run(Engine.Decoder, begun, TinyModel.WithLandmarks(Engine.Config, question), 9);
        using var one = Engine.OpenMemory([paths[0]]);
        using var alone = Begun(one, options);
        Assert.NotEqual(logits, TinyModel.Run(Engine.Decoder, alone, TinyModel.WithLandmarks(Engine.Config, question), 9));
    }

    [Fact]
    public void WhatDoesNotFitIsSaid()
    {
        var path = Make("a", ScalarType.Int8, ("d", MadeMemory.Text(60)));
        using var memory = Engine.OpenMemory([path]);
        Refusals.Says(() => Engine.OpenMemory([]), "No memory file is given");
        Refusals.Says(() => Engine.OpenMemory([path, Folder["none"]]), "There is no memory file");
        Refusals.Says(() => Engine.OpenMemory([path, Make("b", ScalarType.Float32, ("d", "abc"))]), "b keeps blocks as Float32, and Int8 is asked for");
        var bfloat = Engine.With(Engine.Retrieval! with { BlockType = ScalarType.BFloat16 });
        Refusals.Says(() => bfloat.OpenMemory([path]), "a keeps blocks as Int8, and BFloat16 is asked for");
        Refusals.Says(() => bfloat.NewSession(memory), "was opened for another model, or for one that reads otherwise");
        var call = Engine.With(Engine.Retrieval! with { WindowIsCall = true });
        Refusals.Says(() => call.OpenMemory([path]), "leave out WindowIsCall");
        Refusals.Says(() => call.NewSession(memory), "was opened for another model");
        using var plain = TinyEngine.Create(TinyModel.Plain());
        Refusals.Says(() => plain.OpenMemory([path]), "A model without landmarks");
        using var marks = TinyEngine.Create(MadeMemory.Config);
        Refusals.Says(() => marks.OpenMemory([path]), "another tokenizer");
        using var wide = TinyEngine.Create(TinyModel.Config(blockTokens: 5), marks: true);
        Refusals.Says(() => wide.OpenMemory([path]), "blocks of 5 tokens");
        Refusals.Says(() => wide.NewSession(memory), "was opened for another model");
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Documents.Remove("d");
            writer.Documents.Add("begun");
            writer.Commit();
        }
        Refusals.Says(() => Engine.OpenMemory([path]), "has no complete document");
    }

    private static long[] LongRange(long count) => [.. Enumerable.Range(0, (int)count).Select(i => (long)i)];

    private BlockMemory Begun(OpenMemory opened, RetrievalOptions options)
    {
        var memory = TinyModel.Memory(Engine.Decoder, options with { BlockType = opened.Type });
        memory.StartAfter(opened, 0, (_, _) => { });
        return memory;
    }
}
