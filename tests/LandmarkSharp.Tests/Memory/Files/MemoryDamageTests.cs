using LandmarkSharp.Memory.Files;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Memory.Files;

/// <summary>Damage is found, told by document, and never served.</summary>
public sealed class MemoryDamageTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly MemoryScript script = new(MemoryScript.SmallModel, ScalarType.Int8, 21);
    private readonly string path;

    public MemoryDamageTests()
    {
        path = folder["a.memory"];
        using var writer = MemoryFileWriter.Create(path, MemoryScript.SmallModel, ScalarType.Int8);
        while (writer.Sequence < 24) script.Next(writer);
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void AFlippedBitIsFoundOrHarmless()
    {
        var store = script.At(24);
        Assert.Contains(store.Documents, d => d.Pieces.Length > 1);
        var (whole, random) = (File.ReadAllBytes(path), new Random(5));
        var (found, harmless, slots) = (0, 0, 0);
        for (var trial = 0; trial < 500; trial++)
        {
            // Most of them where there is something to lose: nearly all of so small a file is what fills pages.
            var at = (trial % 5) switch
            {
                0 => random.Next(whole.Length),
                1 => (4096 * random.Next(1, 3)) + random.Next(48),
                _ => Used(random),
            };
            Flip(whole, at, 1 << random.Next(8));
            string? said = null;
            try
            {
                using var file = MemoryFile.Open(path, MemoryScript.SmallModel);
                var damage = file.Check(TestContext.Current.CancellationToken);
                slots += damage.Count(d => d.Owner is null);
                try
                {
                    store.Same(file);
                    Assert.DoesNotContain(damage, d => d.Owner is not null);
                    harmless++;
                }
                catch (LandmarkException e)
                {
                    said = e.Message;
                    var owner = Assert.Single(damage).Owner!;
                    Assert.Contains(store.Documents.Concat(store.Sessions), d => d.Name == owner);
                    Assert.Contains(damage[0].ToString(), said, StringComparison.Ordinal);
                }
            }
            catch (LandmarkException e)
            {
                said = e.Message;
            }
            if (said is not null)
            {
                found++;
                Assert.Contains(at < 8 ? "is no memory file" : "is damaged", said, StringComparison.Ordinal);
            }
            File.WriteAllBytes(path, whole);
        }
        Assert.True(found > 150 && harmless > 50 && slots > 0, $"{found} {harmless} {slots}");
    }

    [Fact]
    public void ACatalogThatNoRootNamesIsNoCommit()
    {
        var before = File.ReadAllBytes(path);
        using (var writer = MemoryFileWriter.Open(path)) script.Next(writer);
        File.WriteAllBytes(path, [.. before[..(3 * 4096)], .. File.ReadAllBytes(path)[(3 * 4096)..]]);
        using var file = MemoryFile.Open(path);
        Assert.Equal(24, file.Sequence);
    }

    [Fact]
    public void ATornRootIsMadeUpForByTheCatalog()
    {
        var before = File.ReadAllBytes(path);
        using (var writer = MemoryFileWriter.Open(path)) script.Next(writer);       // 25
        var whole = File.ReadAllBytes(path);
        for (var torn = 1; torn < 48; torn++)
        {
            for (var slot = 1; slot <= 2; slot++)
            {
                var bytes = whole.ToArray();
                before.AsSpan((slot * 4096) + torn, 48 - torn).CopyTo(bytes.AsSpan((slot * 4096) + torn));
                File.WriteAllBytes(path, bytes);
                using var file = MemoryFile.Open(path);
                // Roots begin alike: as long as no more of one is written, the old one stands.
                Assert.Equal(slot == 2 && torn <= 8 ? 24 : 25, file.Sequence);
            }
        }
        // Both gone: the end of the file tells, and a writer writes them anew.
        var none = whole.ToArray();
        none.AsSpan(4096, 8192).Clear();
        File.WriteAllBytes(path, none);
        using (var file = MemoryFile.Open(path))
        {
            Assert.Equal(25, file.Sequence);
            Assert.Equal(2, file.Check(TestContext.Current.CancellationToken).Count);
        }
        MemoryFileWriter.Open(path).Dispose();
        using (var file = MemoryFile.Open(path))
        {
            Assert.Equal(25, file.Sequence);
            Assert.Empty(file.Check(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public void WhatAKilledWriterLeftIsNeverTakenForACommit()
    {
        // Its catalog is whole and has the next number, and then another is written, shorter, by another writer.
        var (before, store) = (File.ReadAllBytes(path), script.At(24));
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Documents.Add("lost");
            writer.Documents.Append("lost", new SegmentText([1, 2], [0, 1], new byte[100_000]), _ => { });
            writer.Commit();
        }
        File.WriteAllBytes(path, [.. before[..(3 * 4096)], .. File.ReadAllBytes(path)[(3 * 4096)..]]);
        byte[] bytes;
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Commit();
            bytes = File.ReadAllBytes(path);            // as a kill leaves it
        }
        bytes.AsSpan(4096, 8192).Clear();
        File.WriteAllBytes(path, bytes);
        using var file = MemoryFile.Open(path);
        Assert.Equal(25, file.Sequence);
        store.Same(file);
    }

    [Fact]
    public void AFileThatIsCutShortIsRefused()
    {
        var whole = File.ReadAllBytes(path);
        for (var length = 1; length < whole.Length; length += 1009)
        {
            File.WriteAllBytes(path, whole[..length]);
            Refusals.Says(() => MemoryFile.Open(path), length < 8 ? "no memory file" : "cut short");
            Refusals.Says(() => MemoryFileWriter.Open(path), length < 8 ? "no memory file" : "cut short");
            Assert.Equal(length, new FileInfo(path).Length);
        }
    }

    [Fact]
    public void DamageGoesAlongWhenAFileIsCompacted()
    {
        var bytes = File.ReadAllBytes(path);
        string name;
        using (var file = MemoryFile.Open(path))
        {
            var document = file.Documents.First(d => d.Blocks > 0);
            name = document.Name;
            Flip(bytes, (int)document.Segments[0].Offset + 1, 4);
        }
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Compact();
            writer.Compact();
        }
        using (var file = MemoryFile.Open(path))
        {
            var damage = Assert.Single(file.Check(TestContext.Current.CancellationToken));
            Assert.Equal(name, damage.Owner);
            Assert.StartsWith("the hashes of blocks 0 to ", damage.Part);
        }
        using (var writer = MemoryFileWriter.Open(path))
        {
            writer.Documents.Remove(name);
            writer.Commit();
        }
        using (var file = MemoryFile.Open(path)) Assert.Empty(file.Check(TestContext.Current.CancellationToken));
    }

    private int Used(Random random)
    {
        using var file = MemoryFile.Open(path);
        MemorySegment[] segments = [.. file.Documents.Concat(file.Sessions).SelectMany(d => d.Segments)];
        var segment = segments[random.Next(segments.Length)];
        // Hashes, landmark keys, tokens and text; or numbers and scales, 96 bytes at the beginning of each layer of a block.
        var pages = segment.Blocks * MemoryScript.SmallModel.Layers;
        return (int)segment.Offset + (pages == 0 || random.Next(3) == 0 ? random.Next(600) : (4096 * random.Next(1, 1 + pages)) + random.Next(96));
    }

    private void Flip(byte[] whole, int at, int bit)
    {
        var bytes = whole.ToArray();
        bytes[at] ^= (byte)bit;
        File.WriteAllBytes(path, bytes);
    }
}
