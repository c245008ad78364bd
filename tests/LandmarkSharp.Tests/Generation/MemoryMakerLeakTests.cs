using LandmarkSharp.Generation;
using LandmarkSharp.Memory.Files;
using LandmarkSharp.Tests.Tensors;
using static TorchSharp.torch;

namespace LandmarkSharp.Tests.Generation;

/// <summary>Making a memory leaves nothing in the process: tensors, open files, mapped pages.</summary>
[Collection(AloneCollection.Name)]
public sealed class MemoryMakerLeakTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly LandmarkEngine engine = TinyEngine.Create(MadeMemory.Config, marks: true);

    public void Dispose()
    {
        engine.Dispose();
        folder.Dispose();
    }

    [Fact]
    public void NothingIsLeftBehind()
    {
        Make("warm");
        // What tests before this one left to the collector is to be gone already.
        GC.Collect();
        GC.WaitForPendingFinalizers();
        var before = (Tensor.TotalCount, Directory.GetFiles("/proc/self/fd").Length);
        Make("watched");
        Assert.Equal(before, (Tensor.TotalCount, Directory.GetFiles("/proc/self/fd").Length));
        Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => line.Contains(folder.Path, StringComparison.Ordinal));
    }

    // A document that is stopped, one that goes on, one that is there.
    private void Make(string name)
    {
        var text = MadeMemory.Text(1000);
        using var writer = MemoryFileWriter.Create(folder[name], engine.MemoryModel(), ScalarType.Int8);
        var maker = new MemoryMaker(engine, writer) { CommitEvery = TimeSpan.Zero, HotBytes = 0 };
        using var cancel = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => maker.Add(name, new StringReader(text), progress: new Cancelling(cancel), cancel: cancel.Token));
        maker.Add(name, new StringReader(text), cancel: TestContext.Current.CancellationToken);
        maker.Add(name, new StringReader(text), cancel: TestContext.Current.CancellationToken);
    }

    private sealed class Cancelling(CancellationTokenSource cancel) : IProgress<MemoryProgress>
    {
        public void Report(MemoryProgress value) => cancel.Cancel();
    }
}
