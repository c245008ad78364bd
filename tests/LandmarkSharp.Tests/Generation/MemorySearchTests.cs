using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Cli;
using LandmarkSharp.Tests.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Documents ranked by what a question reads of them.</summary>
public sealed class MemorySearchTests(ToolModel model) : IClassFixture<ToolModel>, IDisposable
{
    private const int Block = 15;

    private readonly TemporaryFolder folder = new();
    private readonly LandmarkEngine engine = LandmarkEngine.Load(model.Path);

    public void Dispose()
    {
        engine.Dispose();
        folder.Dispose();
    }

    /// <summary>
    /// Documents of whole blocks, of one more and of less than one, and memories smaller than a window: where all blocks are read, something is read of all of
    /// them, and what is told is theirs.
    /// </summary>
    [Theory]
    [InlineData(400, 150, 220)]
    [InlineData(400, 150, 2)]
    [InlineData(3)]
    [InlineData(1)]
    [InlineData(27, 3)]
    public void EachDocumentIsScored(params int[] letters)
    {
        using var reading = engine.With(new RetrievalOptions { TopK = 200, WindowBlocks = 3 });
        var texts = letters.Select((n, i) => MadeMemory.Text(n, seed: i + 1)).ToArray();
        using var memory = reading.OpenMemory([Make($"{string.Join(' ', letters)}", reading, [.. texts.Select((t, i) => ($"d{i}", t))])]);
        var reads = MemorySearch.Reads(reading, memory, "which of them was it", MemorySearch.Positions, TestContext.Current.CancellationToken);
        Assert.Equal(MemorySearch.Positions, reads.Queries);
        Assert.True(reads.WindowBlock >= memory.Blocks + (memory.Tail.Count > 0 ? 1 : 0));
        var found = reading.Search(memory, "which of them was it", new SearchOptions { Passages = 200 }, TestContext.Current.CancellationToken);
        Assert.Equal(memory.Documents.Select(d => d.Name), found.Select(d => d.Name).Order());
        Assert.Equal(found.OrderByDescending(d => d.Mass).Select(d => d.Name), found.Select(d => d.Name));
        Assert.InRange(found.Sum(d => d.Mass), 1e-6, 1);
        foreach (var document in found)
        {
            Assert.Equal(document.Mass, document.Passages.Sum(p => p.Mass), 1e-9);
            Assert.All(document.Passages, p => Assert.Equal(document.Name, p.Passage.Document));
            var text = texts[int.Parse(document.Name[1..])];
            var told = string.Concat(document.Passages.OrderBy(p => p.Passage.FirstToken).Select(p => p.Passage.Text));
            Assert.Equal(text, told);
        }
    }

    /// <summary>Of a layer and head, documents have what an answer's first token records of their blocks.</summary>
    [Fact]
    public void MassesAreThoseOfTheTrace()
    {
        using var reading = engine.With(new RetrievalOptions { TopK = 3, WindowBlocks = 2 });
        var path = Make("a", reading, ("one", Text(40, 1)), ("two", Text(50, 2)));
        using var memory = reading.OpenMemory([path, Make("b", reading, ("one", Text(30, 3)))]);
        Assert.Equal((40 + 50 + 30, 0), (memory.Blocks, memory.Tail.Count));
        // The documents end with a window: one block of them stands before the question.
        var again = memory.FileOf(memory.Documents[2]).ReadText(memory.Documents[2].Segments[^1]).Tokens[^Block..];
        using var session = reading.NewSession(memory);
        session.Append(again, cancel: TestContext.Current.CancellationToken);
        session.Append("\n\nwhich of them was it", cancel: TestContext.Current.CancellationToken);
        var token = session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 1, StopAtEndOfText = false, RecordReads = true }).First();
        var found = MemorySearch.Reads(reading, memory, " which of them was it", token.Reads!.Queries, TestContext.Current.CancellationToken);
        Assert.Equal(token.Reads.WindowBlock, found.WindowBlock);
        foreach (var (expected, actual) in token.Reads.Layers.SelectMany(l => l).Zip(found.Layers.SelectMany(l => l)))
        {
            Assert.Equal(expected.Blocks, actual.Blocks);
            Assert.Equal(expected.Masses, actual.Masses, (a, b) => Math.Abs(a - b) < 1e-5);
        }

        // After the answer; two documents of one name are two.
        var sum = ReadSum.Of(Block, [token.Reads]).Blocks.ToLookup(b => b.Block < 40 ? 0 : b.Block < 90 ? 1 : b.Block < 120 ? 2 : 3);
        var ranked = session.Rank(passages: 1);
        Assert.Equal(new[] { 0, 1, 2 }.Where(d => sum[d].Any()).Select(d => sum[d].Sum(b => b.Mass)).OrderDescending(), ranked.Select(d => d.Mass), (a, b) => Math.Abs(a - b) < 1e-7);
        Assert.All(ranked, d => Assert.Equal(sum.SelectMany(s => s).Single(b => b.Block == d.Passages[0].Passage.Block).Mass, d.Passages[0].Mass, 1e-7));
        Assert.Equal(ranked.Select(d => d.Name), ranked.Select(d => Assert.Single(d.Passages).Passage.Document));

        // One layer and head: what it recorded of the documents, as the last third of layers is the last of two.
        var one = reading.Search(memory, "which", new SearchOptions { Layer = 1, Head = 2 }, TestContext.Current.CancellationToken);
        var all = Enumerable.Range(0, 4).SelectMany(h => reading.Search(memory, "which", new SearchOptions { Layer = 1, Head = h }, TestContext.Current.CancellationToken)).Sum(d => d.Mass);
        var late = reading.Search(memory, "which", cancel: TestContext.Current.CancellationToken).Sum(d => d.Mass);
        Assert.Equal(all / 4, late, 1e-6);
        Assert.NotEqual(late, one.Sum(d => d.Mass));
    }

    [Fact]
    public void WhatCannotBeRankedIsSaid()
    {
        using var memory = engine.OpenMemory([Make("a", engine, ("d", MadeMemory.Text(99)))]);
        Refusals.Says(() => engine.Search(memory, " "), "The question is empty");
        Refusals.Says(() => engine.Search(memory, "a", new SearchOptions { Passages = -1 }), "number of passages is -1; it must be 0 or more");
        Refusals.Says(() => engine.Search(memory, "a", new SearchOptions { Layer = 2 }), "There is no layer 2");
        Refusals.Says(() => engine.Search(memory, "a", new SearchOptions { Head = 4 }), "There is no query head 4");
        using var session = engine.NewSession();
        Refusals.Says(() => session.Rank(), "began without a memory");
        using var other = engine.NewSession(memory);
        Assert.Empty(other.Rank());
    }

    private string Text(int blocks, int seed) => MadeMemory.Blocks(engine, blocks, seed);

    private string Make(string name, LandmarkEngine reading, params (string Name, string Text)[] documents) =>
        MadeMemory.Make(folder[name], reading, ScalarType.Int8, documents);
}
