using LandmarkSharp.Generation;
using LandmarkSharp.Memory;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Memory;
using LandmarkSharp.Tests.Memory.Files;
using LandmarkSharp.Tests.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>The pages of memory files that sessions read: how many take memory, and what is wrong in them.</summary>
[Collection(AloneCollection.Name)]
public sealed class OpenMemoryPagesTests : MemoryShelf
{
    /// <summary>Whatever is kept in memory, answers are the same; and no more is, of what the system maps of the file.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1 << 19)]
    [InlineData(1 << 21)]
    public void NoMoreIsHotThanIsAllowed(long hotBytes)
    {
        var path = Make("a", ScalarType.Float32, ("d", MadeMemory.Text(4000)));
        using var free = Engine.OpenMemory([path]);
        using var bound = Engine.OpenMemory([path], hotBytes);
        using LandmarkEngine all = Engine.With(Engine.Retrieval! with { TopK = 2000 }), some = Engine.With(Engine.Retrieval! with { TopK = 20 });
        using (var session = all.NewSession(free))
        {
            session.Append(Question, cancel: TestContext.Current.CancellationToken);
            Answer(session);
            Assert.True(ResidentBytes(path) > 7_000_000, $"{ResidentBytes(path)}");
        }
        Assert.Equal(0, ResidentBytes(path));
        foreach (var reading in (LandmarkEngine[])[all, some])
        {
            using var one = reading.NewSession(bound);
            using var other = reading.NewSession(bound);
            using var unbound = reading.NewSession(free);
            var expected = Answer(unbound).Tokens;
            Assert.Equal(expected, Answer(one).Tokens);
            unbound.Dispose();
            Assert.InRange(ResidentBytes(path), 0, hotBytes);
            Assert.Equal(expected, Answer(other).Tokens);
            Assert.InRange(ResidentBytes(path), 0, 2 * hotBytes);       // each has pages mapped
        }
        Refusals.Says(() => Engine.OpenMemory([path], -1), "give 0 or more");
    }

    /// <summary>Memories that share a bound may each have all of it, whatever was read of others before; and so may those of a bound within it.</summary>
    [Fact]
    public void ABoundHoldsForMemoriesTogether()
    {
        const long all = 1 << 20, some = 1 << 19;
        string[] paths = [.. new[] { "a", "b", "c" }.Select(n => Make(n, ScalarType.Float32, ("d", MadeMemory.Text(4000))))];
        var together = new HotBound(all);
        var within = new HotBound(some, together);
        using var reading = Engine.With(Engine.Retrieval! with { TopK = 2000 });
        using OpenMemory a = reading.OpenMemoryWithin([paths[0]], together), b = reading.OpenMemoryWithin([paths[1]], within), c = reading.OpenMemoryWithin([paths[2]], within);
        using Session ofA = reading.NewSession(a), ofB = reading.NewSession(b), ofC = reading.NewSession(c);
        Answer(ofA);
        Assert.InRange(ResidentBytes(paths[0]), all * 3 / 4, all);
        Answer(ofB);
        Assert.InRange(ResidentBytes(paths[1]), some * 3 / 4, some);
        Assert.InRange(paths.Sum(ResidentBytes), 0, all);
        Answer(ofC);
        Assert.InRange(ResidentBytes(paths[1]), 0, some / 4);
        Assert.InRange(paths.Sum(ResidentBytes), 0, all);
        // What a memory that is closed had is the others'.
        ofC.Dispose();
        c.Dispose();
        Answer(ofA);
        Assert.InRange(ResidentBytes(paths[0]), all * 3 / 4, all);
        within.Limit(0);
        Answer(ofB);
        Assert.Equal(0, ResidentBytes(paths[1]));
    }

    /// <summary>A memory of many documents: what is read is mapped, and not more than so many parts at once, and is what lies in the file.</summary>
    [Fact]
    public void DocumentsAreMappedAsTheyAreRead()
    {
        var path = MadeMemory.Make(
            Folder["a"], Engine, ScalarType.Float32, Enumerable.Range(0, 2200).Select(i => ($"{i}", MadeMemory.Text(1 + (i % 6), seed: i))));
        var (options, more) = (Engine.Retrieval! with { TopK = 5000 }, TinyModel.WithLandmarks(Engine.Config, TinyModel.Tokens(50)));
        using var opened = Engine.OpenMemory([path]);
        Assert.True(2 * opened.Texts.Parts.Count > OpenedBlocks.MostMapped);
        using var memory = TinyModel.Memory(Engine.Decoder, options);
        memory.StartAfter(opened, 0, (_, _) => { });
        Assert.Equal(0, Mappings(path));
        var found = TinyModel.Run(Engine.Decoder, memory, more, [1, 30, 2]);
        Assert.InRange(Mappings(path), 0, OpenedBlocks.MostMapped);
        using var copied = TinyModel.Memory(Engine.Decoder, options);
        copied.StartAfter(opened.Blocks, opened.Model.Heads, (layer, blocks) =>
        {
            foreach (var part in opened.Texts.Parts)
                SavedBlocks.Read(part.File, part.Stored, layer, part.Blocks, blocks, part.First);
        });
        Assert.Equal(TinyModel.Run(Engine.Decoder, copied, more, [1, 30, 2]), found);
        using var few = Engine.NewSession(opened);
        Answer(few);
        Assert.True(Mappings(path) > 4);
    }

    /// <summary>A bit that is flipped in any part is never answered from: what is read is refused by document and block, what is not does no harm.</summary>
    [Fact]
    public void DamageIsSaidAndNeverServed()
    {
        var path = Make("a", ScalarType.Int8, ("one", MadeMemory.Text(303, 1)), ("two", MadeMemory.Text(203, 2)));
        var options = Engine.Retrieval! with { TopK = 3 };
        using var few = Engine.With(options);
        using var all = Engine.With(options with { TopK = 1000 });
        using var reference = Engine.With(options with { TopK = 1000, Reference = true });
        var whole = File.ReadAllBytes(path);
        var (found, harmless, random) = (0, 0, new Random(1));
        (int[] Tokens, long[][] Blocks) expected;
        using (var memory = few.OpenMemory([path]))
        using (var session = few.NewSession(memory)) expected = Answer(session);
        using var file = MemoryFile.Open(path);
        MemorySegment[] segments = [.. file.Documents.SelectMany(d => d.Segments)];
        for (var trial = 0; trial < 60; trial++)
        {
            var segment = segments[random.Next(segments.Length)];
            var (layer, block) = (random.Next(2), random.Next(segment.Blocks));
            var at = file.PagesOf(segment, layer).Offset + (block * 4096L) + random.Next(256 + 64);     // numbers and scales
            whole[at] ^= 4;
            File.WriteAllBytes(path, whole);
            using (var memory = few.OpenMemory([path]))
            {
                foreach (var reading in (LandmarkEngine[])[all, reference])
                {
                    using var session = reading.NewSession(memory);
                    session.Append(Question, cancel: TestContext.Current.CancellationToken);
                    var said = Assert.Throws<LandmarkException>(() => Answer(session)).Message;
                    Assert.Contains($"keys and values, in layer {layer}, of block", said, StringComparison.Ordinal);
                    Assert.Matches("of 'one'|of 'two'", said);
                    Assert.Throws<LandmarkException>(() => Answer(session));        // not the second time either
                }
                using var picky = few.NewSession(memory);
                try
                {
                    Assert.Equal(expected.Tokens, Answer(picky).Tokens);
                    harmless++;
                }
                catch (LandmarkException)
                {
                    found++;
                }
            }
            whole[at] ^= 4;
        }
        Assert.True(found > 3 && harmless > 3, $"{found} {harmless}");
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        var path = Make("a", ScalarType.BFloat16, ("d", MadeMemory.Text(300)));
        void Use()
        {
            using var memory = Engine.OpenMemory([path]);
            using var session = Engine.NewSession(memory);
            Answer(session);
        }
        Use();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var (tensors, files) = (Tensor.TotalCount, Directory.GetFiles("/proc/self/fd").Length);
        Use();
        Assert.Equal((tensors, files), (Tensor.TotalCount, Directory.GetFiles("/proc/self/fd").Length));
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), l => l.EndsWith(path, StringComparison.Ordinal));
    }

    private static int Mappings(string path) => File.ReadLines("/proc/self/maps").Count(l => l.EndsWith(path, StringComparison.Ordinal));

    private static long ResidentBytes(string path)
    {
        var (sum, counts) = (0L, false);
        foreach (var line in File.ReadLines("/proc/self/smaps"))
        {
            if (line.Contains('-', StringComparison.Ordinal) && char.IsAsciiHexDigitLower(line[0]) && line.IndexOf('-', StringComparison.Ordinal) < line.IndexOf(' ', StringComparison.Ordinal))
                counts = line.EndsWith(path, StringComparison.Ordinal);
            else if (counts && line.StartsWith("Rss:", StringComparison.Ordinal))
                sum += 1024 * long.Parse(line[4..^2].Trim(), System.Globalization.CultureInfo.InvariantCulture);
        }
        return sum;
    }
}
