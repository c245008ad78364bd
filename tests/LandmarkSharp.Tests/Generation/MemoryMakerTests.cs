using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Memory.Files;
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

    private MemoryFileWriter Create(string name, ScalarType type) => MemoryFileWriter.Create(folder[name], engine.MemoryModel(), type);
}
