using LandmarkSharp.Attention;
using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Sessions of an open memory have what an index covers of its documents in common.</summary>
[Collection(AloneCollection.Name)]
public sealed class SharedIndexTests : MemoryShelf
{
    private static readonly RetrievalOptions Indexed = new() { TopK = 2, WindowBlocks = 2, Index = LandmarkIndex.Hierarchical, IndexEffort = 0.5 };

    /// <summary>
    /// Documents of three thousand blocks, which the sessions go on from until four thousand are covered, and become one segment: the bits are
    /// those of a memory with an index of its own, and what is of documents alone is made once.
    /// </summary>
    [Fact]
    public void TheBitsAreThoseOfAnIndexOfItsOwn()
    {
        using var reading = Engine.With(Indexed);
        using var opened = reading.OpenMemory([Make("a", ScalarType.Float32, reading, ("d", MadeMemory.Text((4 * 3500) - 1)))]);
        Assert.Equal((3500, 0), (opened.Blocks, opened.Tail.Count));
        var more = TinyModel.WithLandmarks(Engine.Config, TinyModel.Tokens(4 * 700));
        int[] pieces = [1, 400, 50];
        float[,] expected;
        using (var alone = TinyModel.Memory(Engine.Decoder, Indexed))
        {
            TinyModel.Run(Engine.Decoder, alone, TinyModel.WithLandmarks(Engine.Config, Tokens(opened)), int.MaxValue);
            expected = TinyModel.Run(Engine.Decoder, alone, more, pieces);
        }
        Assert.Equal(0, opened.IndexBytes);
        var made = 0L;
        for (var i = 0; i < 2; i++)
        {
            using var memory = TinyModel.Memory(Engine.Decoder, Indexed);
            memory.StartAfter(opened, 0, (_, _) => { });
            var before = memory.Bytes;
            TinyModel.Run(Engine.Decoder, memory, more[..1], 1);
            if (i == 0) made = opened.IndexBytes;
            // Three segments of a thousand in the second layer: as in the first, all landmarks are equal there.
            Assert.Equal(made, opened.IndexBytes);
            Assert.Equal(Nodes(3, 1024), made);
        }
        using var again = TinyModel.Memory(Engine.Decoder, Indexed);
        again.StartAfter(opened, 0, (_, _) => { });
        Assert.Equal(expected, TinyModel.Run(Engine.Decoder, again, more, pieces));
        // What they became one segment with is the session's own.
        Assert.Equal(made, opened.IndexBytes);
        Assert.True(again.Bytes > Nodes(1, 4096));
    }

    [Fact]
    public void SessionsMakeItAtOnce()
    {
        using var reading = Engine.With(Indexed);
        using var memory = reading.OpenMemory([Make("a", ScalarType.Int8, reading, ("d", MadeMemory.Text(4 * 2200)))]);
        string Read(int n)
        {
            using var session = reading.NewSession(memory);
            session.Append(MadeMemory.Text(20, seed: n % 3));
            return string.Concat(session.Generate(new GenerationOptions { Temperature = 0, MaxTokens = 20, StopAtEndOfText = false }).Select(t => t.Text));
        }
        using var other = reading.OpenMemory([Folder["a"]]);
        var found = new string[6];
        Parallel.For(0, 6, new ParallelOptions { MaxDegreeOfParallelism = 3 }, n => found[n] = Read(n));
        Assert.Equal(Nodes(2, 1024), memory.IndexBytes);
        for (var n = 0; n < 6; n++) Assert.Equal(found[n % 3], found[n]);
        Assert.Equal(3, found.Distinct().Count());
    }

    // [G = 2]: keys, nodes, upper nodes, numbers.
    private static long Nodes(int segments, long blocks) =>
        2 * segments * sizeof(float) * ((blocks * 16) + (blocks / 8 * 17) + (blocks / 64 * 17) + blocks);

    private static int[] Tokens(OpenMemory memory) =>
        [.. memory.Documents.SelectMany(d => d.Segments).SelectMany(s => memory.FileOf(memory.Documents[0]).ReadText(s).Tokens)];
}
