using System.Text.Json;
using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Tests.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Some blocks of a memory as a memory of their own.</summary>
public sealed class MemoryFocusTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private const int Block = 15;
    private const string Question = "which of them was it";

    private readonly TemporaryFolder folder = new();
    private readonly LandmarkEngine engine = LandmarkEngine.Load(model.Path);

    public void Dispose()
    {
        engine.Dispose();
        folder.Dispose();
    }

    /// <summary>The blocks of some documents are the memory that has those documents alone, to the last bit; all blocks are all.</summary>
    [Theory]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Float32)]
    public void BlocksOfDocumentsAreThoseDocuments(ScalarType type)
    {
        var texts = (int[])[40, 50, 300, 30];
        var documents = texts.Select((blocks, i) => ($"d{i}", Text(blocks, i + 1))).ToArray();
        using var all = engine.OpenMemory([Make("all", type, documents)]);
        using var fewer = engine.OpenMemory([Make("fewer", type, documents[0], documents[2], documents[3])]);
        IEnumerable<long> picked = [.. Range(90, 330), .. Range(0, 40)];
        using (var some = all.Of(picked))
        {
            Assert.Equal(370, some.Blocks);
            Assert.Equal(Scores(fewer), Scores(some));
            using var session = engine.NewSession(some);
            foreach (var (block, was) in new[] { (0L, 0L), (39, 39), (40, 90), (200, 250), (369, 419) })
            {
                var (found, expected) = (Assert.Single(session.Passages([block])), Assert.Single(engine.NewSession(all).Passages([was])));
                Assert.Equal(expected with { Block = block }, found);
            }
        }
        using (var same = all.Of(Range(0, all.Blocks))) Assert.Equal(Scores(all), Scores(same));
        // The whole stays open, and its parts may be several.
        using var first = all.Of([3, 1, 3]);
        using var second = all.Of([7]);
        Assert.Equal((2, 1), (first.Blocks, second.Blocks));
        Assert.NotEqual(Scores(first), Scores(second));
    }

    [Fact]
    public void AQuestionsMostReadBlocksAreKept()
    {
        using var reading = engine.With(new RetrievalOptions { TopK = 3, WindowBlocks = 2 });
        using var memory = reading.OpenMemory([Make("a", ScalarType.Int8, ("one", Text(40, 1)), ("two", MadeMemory.Text(710, 2)))]);
        Assert.NotEmpty(memory.Tail);
        var reads = MemorySearch.Reads(reading, memory, Question, cancel: TestContext.Current.CancellationToken);
        using (var asked = reading.NewSession(memory))
        {
            asked.Append("so", cancel: TestContext.Current.CancellationToken);
            var before = asked.Tokens.Count;
            asked.Append($"\n\n{Question}", cancel: TestContext.Current.CancellationToken);
            Assert.Equal(asked.Tokens.Count - before, reads.Queries);
        }
        var most = ReadSum.Of(Block, [reads with { Layers = [reads.Layers[1]] }]).Blocks.Where(b => b.Block < memory.Blocks).Take(4).Select(b => b.Block).ToArray();
        using var focused = reading.Focus(memory, Question, 4, TestContext.Current.CancellationToken);
        using var expected = memory.Of(most);
        Assert.Equal(4, focused.Blocks);
        Assert.Equal(memory.Tail, focused.Tail);
        Assert.Equal(Scores(expected), Scores(focused));
        Assert.Equal(Texts(memory, most.Order()), Texts(focused, Range(0, 4)));
        using var more = reading.Focus(memory, Question, 100_000, TestContext.Current.CancellationToken);
        Assert.InRange(more.Blocks, 4, memory.Blocks);

        IEnumerable<string> Texts(OpenMemory of, IEnumerable<long> blocks)
        {
            using var asked = reading.NewSession(of);
            return [.. asked.Passages(blocks).Select(p => p.Text)];
        }
    }

    /// <summary>What is put before questions is computed once, and each goes on from it: it reads the same to the last bit, whatever was asked before.</summary>
    [Theory]
    [InlineData(710)]
    [InlineData(705)]
    [InlineData(719)]
    [InlineData(31)]
    public void QuestionsReadTheSameWhateverWasAskedBefore(int tokens)
    {
        using var few = engine.With(new RetrievalOptions { TopK = 3, WindowBlocks = 2 });
        using var many = engine.With(new RetrievalOptions { TopK = 5, WindowBlocks = 3 });
        using var memory = few.OpenMemory([Make("a", ScalarType.Int8, ("one", Text(40, 1)), ("two", MadeMemory.Text(tokens, 2)))]);
        var cancel = TestContext.Current.CancellationToken;
        foreach (var (reading, question) in ((LandmarkEngine, string)[])
            [(few, Question), (few, "so"), (many, Question), (few, Question), (few, string.Concat(Enumerable.Repeat(Question + " or not ", 9)))])
        {
            var reads = MemorySearch.Reads(reading, memory, question, cancel: cancel);
            using var alone = MemorySearch.Begin(reading, memory, cancel);
            var before = alone.Tokens.Count;
            alone.Append($"\n\n{question.Trim()}", cancel: cancel);
            var expected = alone.ReadsOfLast(alone.Tokens.Count - before, cancel);
            Assert.Equal(Told(expected), Told(reads));
        }
        static string Told(TokenReads reads) => JsonSerializer.Serialize(reads);
    }

    /// <summary>Of several files each has a number of its own, however much the others have of what is read.</summary>
    [Fact]
    public void EachFileCanHaveABudgetOfItsOwn()
    {
        using var reading = engine.With(new RetrievalOptions { TopK = 3, WindowBlocks = 2 });
        string[] paths = [.. Enumerable.Range(0, 3).Select(i => Make($"f{i}", ScalarType.Int8, ($"d{i}", Text(30, i + 1))))];
        using var memory = reading.OpenMemory(paths);
        var reads = MemorySearch.Reads(reading, memory, Question, cancel: TestContext.Current.CancellationToken);
        var most = ReadSum.Of(Block, [reads with { Layers = [reads.Layers[1]] }]).Blocks.Select(b => b.Block).Where(b => b < memory.Blocks).ToArray();
        int[] budgets = [2, 1, 4];
        var expected = most.Where(b => b < 30).Take(2).Concat(most.Where(b => b is >= 30 and < 60).Take(1)).Concat(most.Where(b => b >= 60).Take(4)).Order().ToArray();
        Assert.NotEqual(expected, most.Take(7).Order());
        using var focused = reading.Focus(memory, Question, budgets, TestContext.Current.CancellationToken);
        Assert.Equal(expected, Range(0, focused.Blocks).Select(focused.NumberInWhole));
        using var together = reading.Focus(memory, Question, [7], TestContext.Current.CancellationToken);
        Assert.Equal(most.Take(7).Order(), Range(0, together.Blocks).Select(together.NumberInWhole));
        Refusals.Says(() => reading.Focus(memory, Question, [7, 7]), "2 numbers of blocks to read again, and 3 memory files");
        Refusals.Says(() => reading.Focus(memory, Question, [7, 0, 7]), "is 0; it must be at least 1");
    }

    [Fact]
    public void WhatCannotBeReadOrKeptIsRefused()
    {
        var path = Make("a", ScalarType.Float32, ("one", Text(40, 1)));
        using (var memory = engine.OpenMemory([path]))
        {
            var (file, offset) = memory.PartOf(17).File.PagesOf(memory.PartOf(17).Stored, 1);
            using var bytes = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            bytes.Position = offset + (17 * memory.Pages.Bytes) + 5;
            var was = bytes.ReadByte();
            bytes.Position--;
            bytes.WriteByte((byte)(was ^ 4));
            bytes.Flush();
            using var focused = memory.Of(Range(15, 6));
            Refusals.Says(() => Scores(focused), "block 17");
        }
        using var whole = engine.OpenMemory([path]);
        using (var part = whole.Of([1]))
        using (var session = engine.NewSession(part))
        using (var writer = MemoryFileWriter.Open(path))
        {
            session.Append(Question, cancel: TestContext.Current.CancellationToken);
            Refusals.Says(() => session.Save(writer, "part"), "begin it with the whole memory");
        }
        Refusals.Says(() => engine.Focus(whole, Question, 0), "The number of blocks to read again is 0; it must be at least 1");
        Refusals.Says(() => engine.Focus(whole, " ", 1), "The question is empty");
    }

    private float[] Scores(OpenMemory memory)
    {
        using var session = engine.NewSession(memory);
        List<float> all = [];
        session.Score(engine.Tokenizer.Encode(MadeMemory.Text(200, seed: 9), addSpecial: false), (_, some) => all.AddRange(some), TestContext.Current.CancellationToken);
        return [.. all];
    }

    private static IEnumerable<long> Range(long first, long count) => Enumerable.Range(0, (int)count).Select(i => first + i);

    private string Text(int blocks, int seed) => MadeMemory.Blocks(engine, blocks, seed);

    private string Make(string name, ScalarType type, params (string Name, string Text)[] documents) =>
        MadeMemory.Make(folder[name], engine, type, documents);
}
